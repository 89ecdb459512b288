#!/usr/bin/env bash
# SQLite 3.53.2, as in the npm package better-sqlite3 12.11.1; 3.40.1 (Debian 12) does the same.
#
# Expected: an authorizer refuses a statement because of a function in a view; after another connection has replaced the view
#           by one without that function, the same statement is prepared and runs, since SQLite looks whether the schema
#           has changed.
# Seen:     it is refused again and again. A preparation that an authorizer ends does not look whether the schema in memory
#           is still the one in the file; the first other statement that reads a table does, and from then on it works.
# Means:    a connection that serves one statement only has to be opened anew after such a refusal, or to run another one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >ask.c <<'C'
#include "sqlite3.h"
#include <stdio.h>
#include <string.h>

static int refuse_upper(void* data, int action, const char* first, const char* second, const char* schema,
                        const char* view) {
  (void)data, (void)first, (void)schema;
  return action == SQLITE_FUNCTION && view != 0 && strcmp(second, "upper") == 0 ? SQLITE_DENY : SQLITE_OK;
}

static void ask(sqlite3* connection, const char* what, const char* sql) {
  const int code = sqlite3_exec(connection, sql, 0, 0, 0);
  printf("%s: %s\n", what, code == SQLITE_OK ? "runs" : sqlite3_errmsg(connection));
}

int main(void) {
  sqlite3 *asking = 0, *other = 0;
  sqlite3_open("made.db", &other);
  sqlite3_exec(other, "CREATE TABLE t (a); CREATE VIEW v AS SELECT upper(a) FROM t", 0, 0, 0);
  sqlite3_open("made.db", &asking);
  sqlite3_set_authorizer(asking, refuse_upper, 0);
  ask(asking, "with upper()", "SELECT * FROM v");
  sqlite3_exec(other, "DROP VIEW v; CREATE VIEW v AS SELECT a FROM t", 0, 0, 0);
  ask(asking, "mended", "SELECT * FROM v");
  ask(asking, "once more", "SELECT * FROM v");
  ask(asking, "the table", "SELECT * FROM t");
  ask(asking, "after that", "SELECT * FROM v");
  sqlite3_close(asking);
  sqlite3_close(other);
  return 0;
}
C
tar -xzf "$(npm pack --silent better-sqlite3@12.11.1 | tail -n 1)"
cc -O0 -w -I package/deps/sqlite3 ask.c package/deps/sqlite3/sqlite3.c -lpthread -lm -ldl -o ask
./ask | tee said
diff - said <<'SAID'
with upper(): not authorized to use function: upper
mended: not authorized to use function: upper
once more: not authorized to use function: upper
the table: runs
after that: runs
SAID
