#!/usr/bin/env bash
# check_named_options.sh sees an option that is not there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src" "$work/include/sqlane"
echo 'namespace sqlane { struct Inner { int depth; }; struct Options { int readers; Inner sql; }; }' >"$work/include/sqlane/sqlane.hpp"

expect() {
  local outcome=$1
  echo "const char* text = \"set Options::$2\";" >"$work/src/some.cpp"
  local seen=passes
  bash "$here/check_named_options.sh" "$work" >"$work/said" 2>&1 || seen=fails
  if [[ $seen != "$outcome" ]]; then
    echo "Options::$2 was expected to be one that $outcome, but it $seen:" >&2
    cat "$work/said" >&2
    exit 1
  fi
}

expect passes readers
expect passes sql.depth
expect fails reader
expect fails sql.width
expect fails sql.depth.more
echo 'int nothing;' >"$work/src/some.cpp"
if bash "$here/check_named_options.sh" "$work" 2>/dev/null; then
  echo "a folder without any message passed" >&2
  exit 1
fi
