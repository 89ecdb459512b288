#!/usr/bin/env bash
# Do the includes of a source tree keep to the house (ARCHITECTURE.md)?
#
#   check_includes.sh ROOT    prints each include that does not, and fails when there is one
#
#  1. The headers of SQLite and SQLiteCpp are included in src/sqlite, src/vfs and src/peer alone.
#  2. Arrows run one way: a room includes what the table below lists, besides itself.
#  3. Public headers include public headers only; every room may include those.
#  4. The pure files include no room but base.
#  5. src/cli uses public headers, its own, and those of src/peer.
#  6. The kit for the tests of others, src/testing and include/sqlane/testing, is included by itself alone.
set -euo pipefail
cd "$1"

# Room by room, from the bottom: what it may include.
declare -A may_include=(
  [public]=""
  [base]=""
  [sqlite]="vfs base"
  [vfs]="base"
  [transaction]="sqlite base"
  [pool]="base"
  [lane]="transaction sqlite base"
  [care]="transaction sqlite base"
  [observe]="transaction sqlite base"
  [migrate]="transaction sqlite base"
  [database]="migrate observe care lane pool transaction sqlite vfs base"
  [testing]="database lane pool transaction sqlite vfs base"
  [peer]=""
  [cli]=""
)
pure_files="src/lane/admission.hpp src/lane/batch.hpp src/transaction/state.hpp"

violations=0
violation() { # FILE:LINE, WHAT
  echo "$1: $2"
  violations=$((violations + 1))
}

room_of() { # FILE
  case $1 in
    include/sqlane/*) echo public ;;
    src/*/*) local path=${1#src/}; echo "${path%%/*}" ;;
    src/database.[ch]pp) echo database ;;
    *) echo "none" ;;
  esac
}

check() { # FILE:LINE, ROOM, "HEADER" or <HEADER>
  local place=$1 file=${1%:*} room=$2 quote=${3:0:1} header=${3:1:-1}
  local target=${header%%/*}
  case $header in
    sqlite3.h | sqlite3ext.h | SQLiteCpp/*)
      if [[ $room != sqlite && $room != vfs && $room != peer ]]; then
        violation "$place" "$header belongs to src/sqlite, src/vfs and src/peer"
      fi
      return ;;
    sqlane/testing.hpp | sqlane/testing/*)
      if [[ $room != testing && $file != include/sqlane/testing.hpp && $file != include/sqlane/testing/* ]]; then
        violation "$place" "$header is for tests"
      fi
      return ;;
    sqlane/*) return ;;
  esac
  if [[ $room == cli ]]; then
    if [[ $quote == '"' && ! -e src/cli/$header && ! (($target == cli || $target == peer) && -e src/$header) ]]; then
      violation "$place" "\"$header\" is neither public nor of src/cli or src/peer"
    elif [[ $quote == '<' && -n ${may_include[$target]+known} && -d src/$target ]]; then
      violation "$place" "<$header> is not public"
    fi
    return
  fi
  if [[ $quote == '"' && (-z ${may_include[$target]+known} || $target == "$header") ]]; then
    violation "$place" "\"$header\" does not say which room it is of"
  elif [[ -z ${may_include[$target]+known} || $target == "$header" ]]; then
    return # the standard library, the system, a dependency
  elif [[ " $pure_files " == *" $file "* && $target != base ]]; then
    violation "$place" "a pure file includes $header"
  elif [[ $target != "$room" && " ${may_include[$room]} " != *" $target "* ]]; then
    violation "$place" "no arrow leads from $room to $target ($header)"
  fi
}

files=0
while IFS= read -r file; do
  files=$((files + 1))
  room=$(room_of "$file")
  if [[ -z ${may_include[$room]+known} ]]; then
    violation "$file:1" "the table of rooms in check_includes.sh does not know this place"
    continue
  fi
  while IFS=: read -r line directive; do
    [[ -n $line ]] || continue
    check "$file:$line" "$room" "$(sed -E 's/^[^"<]*(["<][^">]*[">]).*$/\1/' <<<"$directive")"
  done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' "$file" || true)
done < <(find include src -name '*.[ch]pp' | sort)

if ((files == 0)); then
  echo "There is nothing to check in $PWD" >&2
  exit 2
fi
((violations == 0))
