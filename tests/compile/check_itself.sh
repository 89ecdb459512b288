#!/usr/bin/env bash
# check.sh has to fail for code that compiles, for a refusal in other words, for
# a case that is not there, and for right code that is wrong.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export WORK=$WORK/itself
export TABLE=$WORK/table.txt
mkdir -p "$WORK"
cat >"$TABLE" <<'TABLE'
refused
  wrong  db.execute("");
  right  db.execute("DELETE FROM note");
  says   the_sql_text_holds_no_statement

accepted
  wrong  db.execute("DELETE FROM note");
  says   the_sql_text_holds_no_statement

refused in other words
  wrong  db.execute("");
  says   the_sql_text_holds_more_than_one_statement

without words
  wrong  db.execute("");
TABLE

expect_failure() {
  if bash "$here/check.sh" "$@" >/dev/null 2>&1; then
    echo "check.sh passes, and should not: $*" >&2
    exit 1
  fi
}
bash "$here/check.sh" prepare
bash "$here/check.sh" refuse 'refused'
expect_failure refuse 'accepted'
expect_failure refuse 'refused in other words'
expect_failure refuse 'without words'
expect_failure refuse 'no such case'
sed -i 's/  right .*/  right  db.execute("");/' "$TABLE"
expect_failure prepare
