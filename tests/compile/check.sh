#!/usr/bin/env bash
# Compiles what mistakes.txt holds.
#
#   check.sh prepare       precompiles prelude.hpp, and compiles everything that is right
#   check.sh refuse CASE   the case's wrong code must be refused, with the words that it asks for
#
# COMPILE is the compiler with its arguments, WORK a folder to write to; the
# table is TABLE, or mistakes.txt beside this script.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
table=${TABLE:-$here/mistakes.txt}
read -ra compile <<<"${COMPILE:?}"
mkdir -p "$WORK"
cd "$WORK"

# values_of KEY [CASE]: what follows KEY, in one case or in all.
values_of() {
  local key=$1 wanted=${2:-} line name=
  while IFS= read -r line; do
    case $line in
      '' | '#'*) ;;
      "  $key "*) if [[ -z $wanted || $name == "$wanted" ]]; then printf '%s\n' "${line#"  $key"}"; fi ;;
      ' '*) ;;
      *) name=$line ;;
    esac
  done <"$table" | sed -E 's/^ +//'
}

# The function that the code stands in, each line in a block of its own when there is more than one case.
source_with() {
  echo '[[maybe_unused]] static void attempt('
  echo '    sqlane::Database& db, sqlane::Transaction& tx, const sqlane::Snapshot& snapshot, const std::string& title) {'
  echo '  static_cast<void>(db), static_cast<void>(tx), static_cast<void>(snapshot), static_cast<void>(title);'
  sed 's/.*/  { & }/'
  echo '}'
}

case $1 in
  prepare)
    cp "$here/prelude.hpp" prelude.hpp
    rm -f prelude.hpp.gch
    "${compile[@]}" -x c++-header prelude.hpp -o prelude.hpp.gch
    values_of right | source_with >right.cpp
    "${compile[@]}" -include prelude.hpp -fsyntax-only right.cpp
    ;;
  refuse)
    name=$2
    source=wrong_${name//[^a-zA-Z]/_}.cpp
    words=$(values_of says "$name")
    values_of wrong "$name" | source_with >"$source"
    if [[ -z $words ]] || ! grep -q '{ .* }$' "$source"; then
      echo "There is no such case, or it lacks its wrong or says: $name" >&2
      exit 2
    fi
    if said=$("${compile[@]}" -include prelude.hpp -fsyntax-only "$source" 2>&1); then
      echo "This compiles, and should not:" >&2
      cat "$source" >&2
      exit 1
    fi
    if ! grep -qE -- "$words" <<<"$said"; then
      printf 'Refused, but without saying "%s":\n%s\n' "$words" "$said" >&2
      exit 1
    fi
    grep -E -m 1 -- "$words" <<<"$said"
    ;;
esac
