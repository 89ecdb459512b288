# SQLite's amalgamation in the folder SQLANE_SQLITE, as SQLite::SQLite3 in place of the system's library.

if(NOT EXISTS "${SQLANE_SQLITE}/sqlite3.c" OR NOT EXISTS "${SQLANE_SQLITE}/sqlite3.h")
  message(FATAL_ERROR "SQLANE_SQLITE: there are no sqlite3.c and sqlite3.h in \"${SQLANE_SQLITE}\". It takes the folder "
    "of an amalgamation; for a library that is built already, set SQLite3_INCLUDE_DIR and SQLite3_LIBRARY instead.")
endif()
file(STRINGS "${SQLANE_SQLITE}/sqlite3.h" version REGEX "^#define SQLITE_VERSION  *\"")
string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" version "${version}")
if(version VERSION_LESS SQLANE_OLDEST_SQLITE)
  message(FATAL_ERROR "SQLANE_SQLITE: that is SQLite ${version}; sqlane needs ${SQLANE_OLDEST_SQLITE} or newer.")
endif()
message(STATUS "SQLite ${version} from ${SQLANE_SQLITE}")

enable_language(C)
add_library(sqlane_sqlite3 STATIC "${SQLANE_SQLITE}/sqlite3.c")
add_library(SQLite::SQLite3 ALIAS sqlane_sqlite3)
target_include_directories(sqlane_sqlite3 PUBLIC "${SQLANE_SQLITE}")
target_compile_definitions(sqlane_sqlite3 PRIVATE SQLITE_THREADSAFE=1 SQLITE_ENABLE_COLUMN_METADATA)  # SQLiteCpp asks for it
target_compile_options(sqlane_sqlite3 PRIVATE -w ${SQLANE_SQLITE_OPTIONS})
target_link_libraries(sqlane_sqlite3 PRIVATE Threads::Threads m ${CMAKE_DL_LIBS})
set_target_properties(sqlane_sqlite3 PROPERTIES POSITION_INDEPENDENT_CODE ON)
