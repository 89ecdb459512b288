#!/usr/bin/env bash
# An option that a message names exists: check_named_options.sh ROOT [INCLUDE…]
#
# Takes "Options::sql.foreign_keys", "PoolOptions::max" and the like out of the string literals below ROOT/src, and compiles
# a line for each. The folders INCLUDE have the headers that those of ROOT include.
set -euo pipefail
root=$1
includes=()
for folder in "${@:2}"; do includes+=(-idirafter "$folder"); done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t names < <(find "$root/src" -name '*.[ch]pp' -print0 | xargs -0 grep -hoE '"[^"]*"' |
  { grep -oE '[A-Za-z]*Options::[a-z_]+(\.[a-z_]+)*' || true; } | sort -u)
if ((${#names[@]} == 0)); then
  echo "no message below $root/src names an option: is this the right folder?" >&2
  exit 1
fi
count=0
{
  echo '#include <sqlane/sqlane.hpp>'
  for name in "${names[@]}"; do
    printf 'using A%d = decltype(sqlane::%s().%s);\n' "$((++count))" "${name%%::*}" "${name#*::}"
  done
} >"$work/named.cpp"
if ! "${CXX:-c++}" -std=c++20 -fsyntax-only -I "$root/include" "${includes[@]}" "$work/named.cpp" 2>"$work/said"; then
  echo "messages name options that do not exist:" >&2
  grep 'error:' "$work/said" >&2
  exit 1
fi
echo "${#names[@]} options are named"
