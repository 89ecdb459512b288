#!/usr/bin/env bash
# check_apart.sh has to notice each mark of a source that belongs into a process of its own, and one that does not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/unit"

plant() { # LINE OF together_test.cpp, LINE OF apart_test.cpp
  printf 'sqlane_add_tests(unit SHARDS 2 SOURCES\n  together_test.cpp\n  APART\n  apart_test.cpp)\n' >"$tree/unit/CMakeLists.txt"
  echo "$1" >"$tree/unit/together_test.cpp"
  echo "$2" >"$tree/unit/apart_test.cpp"
}
expect_refused() { # SOURCE
  if bash "$here/check_apart.sh" "$tree" >"$tree/said"; then
    echo "check_apart.sh does not see: $(cat "$tree/unit/$1")" >&2
    exit 1
  fi
  grep -q "^unit/$1" "$tree/said"
}

plant 'std::thread thread; fork_with_love(); exit_code(0);' 'const pid_t child = ::fork();'
bash "$here/check_apart.sh" "$tree"
for line in 'if (fork() == 0) return;' '#include "support/foreign_process.hpp"' '#include "support/forked_child.hpp"' \
  'EXPECT_EXIT(run(), ended, "");' 'ASSERT_DEATH(run(), "");' '::_exit(0);' 'std::abort();' '::kill(::getpid(), SIGINT);' \
  'configure_process({});' '::setrlimit(RLIMIT_FSIZE, &limit);' '::setenv("A", "b", 1);' 'popen("ls", "r");'; do
  plant "$line" 'fork();'
  expect_refused together_test.cpp
done
plant 'int a;' 'int b;'
expect_refused apart_test.cpp
rm -r "$tree/unit"
if bash "$here/check_apart.sh" "$tree" 2>/dev/null; then
  echo "check_apart.sh passes an empty folder" >&2
  exit 1
fi
