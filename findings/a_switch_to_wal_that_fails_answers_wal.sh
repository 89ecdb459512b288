#!/usr/bin/env bash
# SQLite 3.53.2, as in the npm package better-sqlite3 12.11.1; 3.40.1 (Debian 12) does the same.
#
# Expected: PRAGMA journal_mode=WAL on an empty file for which there is no room fails, or answers with the mode that the
#           database stays in, as its documentation has it for a mode that cannot be set.
# Seen:     it returns a row "wal", and the error with the next step. Asked again, the connection says "wal"; the database
#           has no log and is in rollback mode, which it says only once something has been written to it.
# Means:    a program that takes the first row of a PRAGMA for its outcome goes on without a write-ahead log. Step until
#           SQLITE_DONE, and ask for the mode once more after a read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >switch.c <<'C'
#include "sqlite3.h"
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

static void ask(sqlite3* connection, const char* sql) {
  sqlite3_stmt* statement = 0;
  int code = sqlite3_prepare_v2(connection, sql, -1, &statement, 0);
  printf("%s:", sql);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) printf(" row \"%s\",", sqlite3_column_text(statement, 0));
  }
  printf(" %s\n", code == SQLITE_DONE ? "done" : sqlite3_errmsg(connection));
  sqlite3_finalize(statement);
}

int main(void) {
  sqlite3* connection = 0;
  struct rlimit before, little;
  signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit fails as on a full disk
  getrlimit(RLIMIT_FSIZE, &before);
  little = before;
  little.rlim_cur = 1024;  // enough for the head of a journal, too little for a page
  sqlite3_open("new.db", &connection);
  setrlimit(RLIMIT_FSIZE, &little);
  ask(connection, "PRAGMA journal_mode=WAL");
  setrlimit(RLIMIT_FSIZE, &before);
  ask(connection, "PRAGMA journal_mode");
  ask(connection, "CREATE TABLE t (a)");
  ask(connection, "PRAGMA journal_mode");
  sqlite3_close(connection);
  return 0;
}
C
tar -xzf "$(npm pack --silent better-sqlite3@12.11.1 | tail -n 1)"
cc -O0 -w -I package/deps/sqlite3 switch.c package/deps/sqlite3/sqlite3.c -lpthread -lm -ldl -o switch
./switch | tee said
diff - said <<'SAID'
PRAGMA journal_mode=WAL: row "wal", disk I/O error
PRAGMA journal_mode: row "wal", done
CREATE TABLE t (a): done
PRAGMA journal_mode: row "delete", done
SAID
