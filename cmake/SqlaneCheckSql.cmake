# Checks at build time whether SQL fits the schema that migrations make.

# The .sql files of folders and of those below, as absolute paths; a build looks for new ones. With them comes the file
# `list`, made here: it is new whenever one has come or gone, which no time of those that are there tells.
function(_sqlane_find_sql output list)
  set(patterns "")
  foreach(folder IN LISTS ARGN)
    if(NOT IS_DIRECTORY "${folder}")
      message(FATAL_ERROR "${folder} is no folder")
    endif()
    # A bracket in a folder's name is no pattern.
    string(REPLACE "[" "[[]" pattern "${folder}")
    list(APPEND patterns "${pattern}/*.sql")
  endforeach()
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${patterns})
  file(CONFIGURE OUTPUT "${list}" CONTENT "@files@\n" @ONLY)
  set(${output} ${files} ${list} PARENT_SCOPE)
endfunction()

# sqlane_check_sql(target MIGRATIONS folder QUERIES folder…)
#
# Before `target` is built, every statement of the queries' .sql files is prepared
# against the schema that the migrations make. One that does not fit fails the
# build with its file, line and column. Relative folders are those of the calling
# CMakeLists.txt.
function(sqlane_check_sql target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MIGRATIONS" "QUERIES")
  if(NOT TARGET ${target} OR NOT arg_MIGRATIONS OR NOT arg_QUERIES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "sqlane_check_sql(target MIGRATIONS folder QUERIES folder...)")
  endif()
  if(NOT TARGET sqlane::cli)
    message(FATAL_ERROR "sqlane_check_sql() needs the command: build sqlane with SQLANE_BUILD_CLI=ON")
  endif()
  get_filename_component(migrations "${arg_MIGRATIONS}" ABSOLUTE)
  set(queries "")
  foreach(folder IN LISTS arg_QUERIES)
    get_filename_component(folder "${folder}" ABSOLUTE)
    list(APPEND queries "${folder}")
  endforeach()
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}_check_sql.stamp")
  _sqlane_find_sql(files ${stamp}.files ${migrations} ${queries})
  add_custom_command(OUTPUT ${stamp}
    COMMAND sqlane::cli check-sql ${migrations} ${queries}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${files} $<TARGET_FILE:sqlane::cli>
    COMMENT "Checking the queries of ${target} against its migrations"
    VERBATIM)
  add_custom_target(${target}_check_sql DEPENDS ${stamp})
  add_dependencies(${target} ${target}_check_sql)
endfunction()

# sqlane_check_registered_sql(target MIGRATIONS folder)
#
# After the library `target` has been built, every literal "…"_sql in it is
# prepared against the schema that the migrations make, by a program that links
# all of the library. One that does not fit fails the build.
function(sqlane_check_registered_sql target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MIGRATIONS" "")
  if(NOT TARGET ${target} OR NOT arg_MIGRATIONS OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "sqlane_check_registered_sql(target MIGRATIONS folder)")
  endif()
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "^(STATIC|SHARED|OBJECT)_LIBRARY$")
    message(FATAL_ERROR "sqlane_check_registered_sql(): ${target} is no library that a program can link")
  endif()
  get_filename_component(migrations "${arg_MIGRATIONS}" ABSOLUTE)
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${target}_check_registered_sql.stamp")
  _sqlane_find_sql(files ${stamp}.files ${migrations})
  set(program ${target}_check_registered_sql_program)
  add_executable(${program} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/check_registered_sql.cpp)
  target_compile_features(${program} PRIVATE cxx_std_20)
  if(type STREQUAL "STATIC_LIBRARY")
    target_link_libraries(${program} PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,${target}> sqlane::sqlane)
  else()  # some linkers leave a shared library out that nothing is used of
    target_link_options(${program} PRIVATE $<$<PLATFORM_ID:Linux>:LINKER:--no-as-needed>)
    target_link_libraries(${program} PRIVATE ${target} sqlane::sqlane)
  endif()
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${program} ${migrations}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${files} ${program}
    COMMENT "Checking the SQL literals of ${target} against its migrations"
    VERBATIM)
  add_custom_target(${target}_check_registered_sql ALL DEPENDS ${stamp})
endfunction()
