#!/usr/bin/env bash
# SQLite 3.39.0 and 3.53.2, as in the npm packages better-sqlite3 7.6.0 and 12.11.1.
#
# Expected: PRAGMA integrity_check says the same of a database whoever asks, be it a connection that may write or one that
#           was opened with SQLITE_OPEN_READONLY, and the same again of a copy that nobody can write.
# Seen:     a row that violates a CHECK is reported to the connection that may write; the one that only reads says "ok". A
#           connection that cannot write leaves the CHECKs out of the schema that it keeps.
# Means:    a backup that is verified by a read-only connection, for safety's sake, was not verified for its CHECKs (nor is
#           a file on a read-only mount); NOT NULL and UNIQUE are looked at by both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >ask.c <<'C'
#include "sqlite3.h"
#include <stdio.h>

static int show(void* who, int count, char** values, char** names) {
  (void)count, (void)names;
  printf("%s %s: %s\n", sqlite3_libversion(), (const char*)who, values[0]);
  return 0;
}

static void run(int flags, const char* who, const char* sql) {
  sqlite3* connection = 0;
  sqlite3_open_v2("made.db", &connection, flags, 0);
  if (sqlite3_exec(connection, sql, show, (void*)who, 0) != SQLITE_OK) printf("%s\n", sqlite3_errmsg(connection));
  sqlite3_close(connection);
}

int main(void) {
  remove("made.db");
  run(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "maker",
      "CREATE TABLE t (n CHECK (n > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (-1);");
  run(SQLITE_OPEN_READWRITE, "writer", "PRAGMA integrity_check");
  run(SQLITE_OPEN_READONLY, "reader", "PRAGMA integrity_check");
  return 0;
}
C
for version in 7.6.0 12.11.1; do
  tar -xzf "$(npm pack --silent "better-sqlite3@$version" | tail -n 1)"
  cc -O0 -w -I package/deps/sqlite3 ask.c package/deps/sqlite3/sqlite3.c -lpthread -lm -ldl -o ask
  ./ask
  rm -rf package
done | tee said
diff - said <<'SAID'
3.39.0 writer: CHECK constraint failed in t
3.39.0 reader: ok
3.53.2 writer: CHECK constraint failed in t
3.53.2 reader: ok
SAID
