#!/usr/bin/env bash
# The verification of public headers has to fail for one that does not compile
# alone, although the library that uses it does. CXX is the compiler.
set -euo pipefail
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"

cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(house LANGUAGES CXX)
add_library(house house.cpp)
target_sources(house PUBLIC FILE_SET HEADERS FILES house.hpp)
set_target_properties(house PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
CMAKE
printf '#include <string>\n#include "house.hpp"\n' >house.cpp
printf '#pragma once\n#include <string>\nstd::string street();\n' >house.hpp
cmake -S . -B build -G Ninja >/dev/null
cmake --build build --target all all_verify_interface_header_sets >/dev/null

printf '#pragma once\nstd::string street();\n' >house.hpp
cmake --build build >/dev/null
if cmake --build build --target all_verify_interface_header_sets >/dev/null; then
  echo "a header that leans on another's includes passes" >&2
  exit 1
fi
