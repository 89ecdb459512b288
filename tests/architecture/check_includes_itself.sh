#!/usr/bin/env bash
# check_includes.sh has to notice each kind of violation: a small tree that is in
# order passes, and fails with any one of the lines below added to it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

plant() { # FILE, LINE
  mkdir -p "$(dirname "$tree/$1")"
  echo "$2" >>"$tree/$1"
}
plant_tree() {
  rm -rf "${tree:?}"/*
  plant include/sqlane/sql.hpp '#include <string>'
  plant include/sqlane/sqlane.hpp '#include "sqlane/sql.hpp"'
  plant src/base/clock.hpp '#include <chrono>'
  plant src/sqlite/connection.hpp '#include <SQLiteCpp/Database.h>'
  plant src/sqlite/connection.cpp '#include "sqlite/connection.hpp"'
  plant src/sqlite/connection.cpp '#include "vfs/memory.hpp"'
  plant src/vfs/memory.cpp '#include <sqlite3.h>'
  plant src/transaction/state.hpp '#include "sqlane/sql.hpp"'
  plant src/transaction/transaction.cpp '#include "sqlite/connection.hpp"'
  plant src/pool/pool.hpp '#include "base/clock.hpp"'
  plant src/lane/admission.hpp '#include <cstddef>'
  plant src/lane/writer_lane.cpp '#include "sqlite/connection.hpp"'
  plant src/care/governor.hpp '#include "base/clock.hpp"'
  plant src/database.cpp '#include "care/governor.hpp"'
  plant src/testing/clock.cpp '#include "sqlane/testing/clock.hpp"'
  plant src/testing/clock.cpp '#include "base/clock.hpp"'
  plant src/testing/clone.cpp '#include "vfs/memory.hpp"'
  plant include/sqlane/testing.hpp '#include "sqlane/testing/clock.hpp"'
  plant include/sqlane/testing/clock.hpp '#include "sqlane/sql.hpp"'
  plant src/cli/histogram.hpp '#include <vector>'
  plant src/cli/main.cpp '#include "histogram.hpp"'
  plant src/cli/main.cpp '#include "sqlane/sqlane.hpp"'
  plant src/cli/main.cpp '#include <fmt/format.h>'
  plant src/cli/main.cpp '#include "peer/recipe.hpp"'
  plant src/peer/recipe.hpp '#include <string>'
  plant src/peer/recipe.cpp '#include <SQLiteCpp/SQLiteCpp.h>'
}
expect_refused() { # FILE, LINE
  plant_tree
  plant "$1" "$2"
  if bash "$here/check_includes.sh" "$tree" >"$tree/said"; then
    echo "check_includes.sh does not see: $1: $2" >&2
    exit 1
  fi
  if ! grep -q "^$1:" "$tree/said"; then
    echo "check_includes.sh blames another file than $1:" >&2
    cat "$tree/said" >&2
    exit 1
  fi
}

plant_tree
bash "$here/check_includes.sh" "$tree"

# the engine outside its rooms
expect_refused include/sqlane/sql.hpp '#include <sqlite3.h>'
expect_refused src/lane/writer_lane.cpp '#include <sqlite3.h>'
expect_refused src/database.cpp '#  include "SQLiteCpp/Database.h"'
expect_refused src/base/clock.hpp '#include <sqlite3ext.h>'
expect_refused src/cli/main.cpp '#include <SQLiteCpp/SQLiteCpp.h>'
# arrows that run back, or to the side
expect_refused src/base/clock.hpp '#include "sqlite/connection.hpp"'
expect_refused src/sqlite/connection.cpp '#include "transaction/state.hpp"'
expect_refused src/vfs/memory.cpp '#include "sqlite/connection.hpp"'
expect_refused src/transaction/transaction.cpp '#include "lane/admission.hpp"'
expect_refused src/lane/writer_lane.cpp '#include "care/governor.hpp"'
expect_refused src/care/governor.hpp '#include <lane/admission.hpp>'
expect_refused src/pool/pool.hpp '#include "lane/admission.hpp"'
expect_refused src/database.cpp '#include "cli/main.hpp"'
# the kit for tests in what is no test, and the engine in the kit
expect_refused src/database.cpp '#include "testing/clock.hpp"'
expect_refused src/database.cpp '#include "sqlane/testing/clock.hpp"'
expect_refused src/cli/main.cpp '#include "sqlane/testing.hpp"'
expect_refused include/sqlane/sqlane.hpp '#include "sqlane/testing.hpp"'
expect_refused src/testing/clone.cpp '#include "care/governor.hpp"'
expect_refused src/testing/clone.cpp '#include <sqlite3.h>'
expect_refused include/sqlane/testing/clock.hpp '#include "testing/clock.hpp"'
# what must not know the engine
expect_refused src/pool/pool.hpp '#include "sqlite/connection.hpp"'
expect_refused src/lane/admission.hpp '#include "sqlite/connection.hpp"'
expect_refused src/transaction/state.hpp '#include "sqlite/connection.hpp"'
# a public header that needs what is not public, a command that does
expect_refused include/sqlane/sql.hpp '#include "base/clock.hpp"'
expect_refused src/cli/main.cpp '#include "sqlite/connection.hpp"'
expect_refused src/cli/main.cpp '#include <pool/pool.hpp>'
expect_refused src/peer/recipe.cpp '#include "sqlite/connection.hpp"'
expect_refused src/database.cpp '#include "peer/recipe.hpp"'
expect_refused src/sqlite/connection.cpp '#include "peer/recipe.hpp"'
# ways around
expect_refused src/lane/writer_lane.cpp '#include "../care/governor.hpp"'
expect_refused src/lane/writer_lane.cpp '#include "admission.hpp"'
expect_refused src/attic/old.cpp '#include <vector>'
expect_refused src/loose.cpp '#include <vector>'

# nothing at all is no success
rm -rf "${tree:?}"/*
mkdir "$tree/include" "$tree/src"
if bash "$here/check_includes.sh" "$tree" 2>/dev/null; then
  echo "check_includes.sh passes an empty tree" >&2
  exit 1
fi
