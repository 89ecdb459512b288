#!/usr/bin/env bash
# check_invariants.sh has to notice each kind of name that is nowhere, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"

mkdir -p src/room include/sqlane tests
cat >src/room/thing.hpp <<'C'
class Thing {
  void stay();
  void go() {}
};
C
echo 'void Other::run(int n) {}' >src/room/other.cpp
printf 'TEST(Things, Stay) {\nTEST_P(Things, GoWhereTheyLike) {\n' >tests/thing_test.cpp

table() { # ENFORCED PROVED
  printf '# Architecture\n\n## Invariants\n\n| | holds | enforced in | proved by |\n|---|---|---|---|\n' >ARCHITECTURE.md
  # shellcheck disable=SC2016 # backticks of Markdown
  printf '| 1 | It `Holds::always`. | `%s` | `%s` |\n\n## After it\n\n| 1 | `no::such` | `no::such` | `No.Such` |\n' "$1" "$2" \
    >>ARCHITECTURE.md
}
sees() { ! bash "$here/check_invariants.sh" . >/dev/null; }

for enforced in room/thing.hpp src/room Thing Thing::stay Thing::go Other::run; do
  for proved in 'Things.*' 'Th*' Things.Stay Things.GoWhere… tests/thing_test.cpp; do
    table "$enforced" "$proved"
    bash "$here/check_invariants.sh" .
  done
done
for enforced in room/nothing.hpp Nothing Thing::leave Other::stay Nothing::stay; do
  table "$enforced" 'Things.*'
  sees || { echo "check_invariants.sh does not see: $enforced" >&2; exit 1; }
done
for proved in 'Thing.*' 'Nothing*' Things.Go Things.Leave… tests/nothing_test.cpp; do
  table Thing "$proved"
  sees || { echo "check_invariants.sh does not see: $proved" >&2; exit 1; }
done
echo 'No table' >ARCHITECTURE.md
sees || { echo "check_invariants.sh passes a page without a table" >&2; exit 1; }
