# sqlane_embed_migrations(target folder [NAMESPACE namespace])
#
# Compiles the migrations of `folder` (NNNN_name.sql, NNNN_name.down.sql) into `target`, which links sqlane::sqlane:
#
#   sqlane_embed_migrations(app migrations)
#
#   #include "app/migrations.hpp"                                  // <namespace>/<folder's name>.hpp
#   const sqlane::Migrations& migrations = app::migrations();      // <namespace>::<folder's name>()
#
# The function makes them at its first call, which throws what Migrations::from_files() throws; from any thread. The
# namespace is the target's name unless given; "a::b" is found in "a/b/". What is no identifier in these names becomes "_".
#
# The texts are the files' bytes. The next build sees each file that was added, changed or deleted.
function(sqlane_embed_migrations target folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAMESPACE" "")
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "sqlane_embed_migrations(target folder [NAMESPACE namespace]): got ${ARGV}")
  endif()
  if(NOT TARGET ${target})
    message(FATAL_ERROR "sqlane_embed_migrations: there is no target \"${target}\" yet")
  endif()
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  string(REGEX REPLACE "/$" "" folder "${folder}")
  if(NOT IS_DIRECTORY "${folder}")
    message(FATAL_ERROR "sqlane_embed_migrations: there is no folder ${folder}")
  endif()

  cmake_path(GET folder FILENAME name)
  string(MAKE_C_IDENTIFIER "${name}" name)
  if(NOT DEFINED arg_NAMESPACE)
    string(MAKE_C_IDENTIFIER "${target}" arg_NAMESPACE)
  elseif(NOT arg_NAMESPACE MATCHES "^[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*$")
    message(FATAL_ERROR "sqlane_embed_migrations: \"${arg_NAMESPACE}\" is no C++ namespace")
  endif()
  string(REPLACE "::" "/" header "${arg_NAMESPACE}/${name}.hpp")

  # A bracket in a folder's name is no pattern.
  string(REPLACE "[" "[[]" pattern "${folder}")
  file(GLOB files LIST_DIRECTORIES false RELATIVE "${folder}" CONFIGURE_DEPENDS "${pattern}/*.[sS][qQ][lL]")
  list(SORT files)
  set(entries "")
  foreach(file IN LISTS files)
    if(file MATCHES "^[.]")  # hidden, as an editor's copies
      continue()
    elseif(NOT file MATCHES "^[0-9]+_[A-Za-z0-9_.-]+[.]sql$")
      message(FATAL_ERROR "sqlane_embed_migrations: the name of ${folder}/${file} is no migration's: "
        "rename it, as in 0001_create_visit.sql")
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/${file}")
    file(READ "${folder}/${file}" bytes HEX)
    # In lines of 32 bytes, each byte written as \x12.
    string(REPEAT "." 64 line)
    string(REGEX REPLACE "(${line})" "\\1\"\n       \"" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
    string(APPEND entries "      {\"${file}\"sv,\n       \"${bytes}\"sv},\n")
  endforeach()

  set(root "${CMAKE_CURRENT_BINARY_DIR}/sqlane_migrations/${target}")
  string(REGEX REPLACE "[.]hpp$" ".cpp" source "${header}")
  file(CONFIGURE OUTPUT "${root}/${header}" @ONLY NEWLINE_STYLE UNIX CONTENT [=[
// Made by sqlane_embed_migrations().
#pragma once

#include <sqlane/migration.hpp>

namespace @arg_NAMESPACE@ {

// Made at the first call. Safe to use from any thread.
[[nodiscard]] const ::sqlane::Migrations& @name@();

}  // namespace @arg_NAMESPACE@
]=])
  file(CONFIGURE OUTPUT "${root}/${source}" @ONLY NEWLINE_STYLE UNIX CONTENT [=[
// Made by sqlane_embed_migrations().
#include "@header@"

#include <string_view>
#include <vector>

#if defined(__clang__)
#pragma clang diagnostic ignored "-Woverlength-strings"
#endif

namespace @arg_NAMESPACE@ {
namespace {

std::vector<::sqlane::MigrationFile> files() {
  using namespace std::string_view_literals;
  return {
@entries@  };
}

}  // namespace

const ::sqlane::Migrations& @name@() {
  static const ::sqlane::Migrations migrations = ::sqlane::Migrations::from_files(files());
  return migrations;
}

}  // namespace @arg_NAMESPACE@
]=])
  target_sources(${target} PRIVATE "${root}/${source}")
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${root}>")
endfunction()
