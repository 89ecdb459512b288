#!/usr/bin/env bash
# Does what the invariants in ARCHITECTURE.md name exist?
#
#   check_invariants.sh ROOT    prints each name that does not, and fails when there is one
#
# The columns "enforced in" and "proved by" name, between backticks,
#
#   lane/writer_lane.cpp    a file or folder of src/, include/sqlane/, include/ or the root
#   Connection::tidy        a function that is defined in src/ or include/
#   LostFile.*, Backup*     suites of tests; Suite.Test, Suite.Beginning… a test
#   Core                    a word of src/ or include/
set -euo pipefail
cd "$1"

violations=0
violation() { # NAME, WHAT
  echo "ARCHITECTURE.md: \`$1\`: $2"
  violations=$((violations + 1))
}

tests=$(grep -rhoE --include='*.cpp' '^TEST(_F|_P)?\([A-Za-z0-9]+, *[A-Za-z0-9]+\)' tests |
  sed -E 's/^[A-Z_]+\(([A-Za-z0-9]+), *([A-Za-z0-9]+)\)$/\1.\2/')

is_file() {
  [[ -e src/$1 || -e include/sqlane/$1 || -e include/$1 || -e $1 ]]
}
is_function() { # CLASS::MEMBER
  local class=${1%%::*} member=${1##*::} file
  if grep -rqE "\b$class::$member\(" src include; then
    return 0
  fi
  while read -r file; do
    if grep -qE "\b$member\(" "$file"; then
      return 0
    fi
  done < <(grep -rlE "^ *(class|struct) $class\b[^;]*\$" src include)
  return 1
}

has_test() { # BEGINNING
  awk -v "beginning=$1" 'index($0, beginning) == 1 { found = 1 } END { exit !found }' <<<"$tests"
}

check() { # NAME
  case $1 in
    */* | *.hpp | *.cpp)
      is_file "$1" || violation "$1" "no such file" ;;
    *::*)
      is_function "$1" || violation "$1" "no such function" ;;
    *\*)
      has_test "${1%\*}" || violation "$1" "no such suite of tests" ;;
    *…)
      has_test "${1%…}" || violation "$1" "no such test" ;;
    *.*)
      grep -qxF "$1" <<<"$tests" || violation "$1" "no such test" ;;
    *)
      grep -rqw -- "$1" src include || violation "$1" "no such word" ;;
  esac
}

rows=$(sed -n '/^## Invariants/,/^## [^I]/p' ARCHITECTURE.md | grep -E '^\| [0-9]+ \|' || true)
if [[ -z $rows ]]; then
  echo "ARCHITECTURE.md has no table of invariants"
  exit 1
fi
# shellcheck disable=SC2016 # backticks of Markdown
names=$(awk -F' \\| ' '{ print $3; print $4 }' <<<"$rows" | grep -oE '`[^`]+`' | tr -d '`' | sort -u)
while read -r name; do
  check "$name"
done <<<"$names"
exit $((violations > 0))
