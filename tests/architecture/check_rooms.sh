#!/usr/bin/env bash
# scripts/rooms, which is given, has to draw a tree from top to bottom, and to notice rooms that know each other.
set -euo pipefail
rooms=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree"/src/{top,middle,bottom} "$tree"/include/sqlane
echo '#pragma once' | tee "$tree"/src/{top,middle,bottom}/it.hpp >"$tree/include/sqlane/it.hpp"
printf '#include "middle/it.hpp"\n#include "bottom/it.hpp"\n#include <vector>\n' >"$tree/src/top/it.cpp"
printf '#include "bottom/it.hpp"\n#include "middle/it.hpp"\n' >"$tree/src/middle/it.cpp"
printf '#include "sqlane/it.hpp"\n' >"$tree/src/bottom/it.cpp"

bash "$rooms" "$tree" | awk '{ $4 = "" } NR > 1' | tr -s ' ' | sed 's/ $//' | diff - <(
  cat <<'ROOMS'
top 2 4 middle (1) bottom (1)
middle 2 3 bottom (1)
bottom 2 2 public (1)
public 1 1
ROOMS
)

printf '#include "top/it.hpp"\n' >>"$tree/src/bottom/it.cpp"
if bash "$rooms" "$tree" >"$tree/said"; then
  echo "scripts/rooms does not see a ring of three" >&2
  exit 1
fi
grep -q '^bottom knows' "$tree/said"
rm -r "$tree/src" "$tree/include"
mkdir "$tree/src" "$tree/include"
if bash "$rooms" "$tree" 2>/dev/null; then
  echo "scripts/rooms passes an empty tree" >&2
  exit 1
fi
