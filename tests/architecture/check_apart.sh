#!/usr/bin/env bash
# A test that forks, kills, ends or changes its process is not run in the process of others: its source stands below
# APART in the CMakeLists.txt of its folder, and no other source does.
#
#   check_apart.sh TESTS    prints each source that stands in the wrong place, and fails when there is one
set -euo pipefail
cd "$1"
marks='foreign_process\.hpp|forked_child\.hpp|\bfork\(|\bpopen\(|(EXPECT|ASSERT)_(EXIT|DEATH)|\b(_exit|abort)\(|::kill\('
marks+='|\bconfigure_process\(|\bsetrlimit\(|\bpthread_setattr_default_np\(|\bsetenv\('
marks+='|\bFileCall::map\b' # a process remembers where files could be mapped

sources=0
violations=0
for list in */CMakeLists.txt; do
  folder=${list%/*}
  apart=" $(awk '/^ *[A-Z]+$/ || /SOURCES/ { below = $1 == "APART" } below && /\.cpp/ { sub(/\)/, ""); printf "%s ", $1 }' "$list")"
  for source in "$folder"/*_test.cpp; do
    [[ -e $source ]] || continue
    sources=$((sources + 1))
    is_apart=no
    if [[ $apart == *" ${source##*/} "* ]]; then is_apart=yes; fi
    if mark=$(grep -noE -m 1 "$marks" "$source"); then
      if [[ $is_apart == no ]]; then
        echo "$source:${mark%%:*}: ${mark#*:}, but the source is not APART in $list"
        violations=$((violations + 1))
      fi
    elif [[ $is_apart == yes ]]; then
      echo "$source: APART in $list without a reason"
      violations=$((violations + 1))
    fi
  done
done
if ((sources == 0)); then
  echo "There is nothing to check in $PWD" >&2
  exit 2
fi
((violations == 0))
