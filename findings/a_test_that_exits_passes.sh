#!/usr/bin/env bash
# GoogleTest 1.12.1 (Debian 12), CTest 3.25.
#
# Expected: when a test calls exit(0), the tests after it are lost, so the program, or ctest above it, reports a failure.
# Seen:     the program ends with 0, without a summary, and ctest counts it as passed.
# Means:    a suite that runs many tests in one process has to compare what began with what ended; its exit code and
#           ctest's summary do not tell that half of it did not run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet libgtest-dev=1.12.1-0.2 >&2
dpkg-deb -x libgtest-dev_*.deb root

cat >suite_test.cpp <<'CPP'
#include <cstdlib>
#include <gtest/gtest.h>

TEST(Suite, Passes) {}
TEST(Suite, Exits) { std::exit(0); }
TEST(Suite, WouldFail) { FAIL(); }
CPP
g++ -std=c++17 -I root/usr/include suite_test.cpp -o suite_test \
  root/usr/lib/*/libgtest.a root/usr/lib/*/libgtest_main.a -pthread
echo 'add_test(suite "./suite_test")' >CTestTestfile.cmake

code=0
./suite_test >said || code=$?
echo "exit code $code; began $(grep -c '\[ RUN' said), ended $(grep -c '\[       OK' said)"
ctest | grep 'tests passed'
[[ $code == 0 && $(grep -c '\[ RUN' said) == 2 && $(grep -c '\[       OK' said) == 1 ]]
if grep -q 'PASSED\|FAILED' said; then exit 1; fi
ctest | grep -q '100% tests passed'
