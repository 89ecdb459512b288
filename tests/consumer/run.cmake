# Installs BUILD_DIR, builds a copy of SOURCE_DIR against the result with the same compiler and flags, and runs it.
# Then changes queries and migrations so that they do not fit, and expects that the build says where.
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# The build fails, and prints `message`.
function(expect_failing_build message)
  execute_process(COMMAND ${build_consumer}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(FIND "${output}" "${message}" position)
  if(result EQUAL 0 OR position EQUAL -1)
    message(FATAL_ERROR "expected a build that fails with \"${message}\", got ${result}:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG} --prefix ${WORK_DIR}/installed)
set(project "${WORK_DIR}/a [new] project")  # no pattern
file(COPY ${SOURCE_DIR}/ DESTINATION "${project}")
run(${CMAKE_COMMAND} -S ${project} -B ${WORK_DIR}/build -G ${GENERATOR}
  -D CMAKE_BUILD_TYPE=${CONFIG}
  -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
  -D "CMAKE_CXX_FLAGS=${CXX_FLAGS}"
  -D "CMAKE_EXE_LINKER_FLAGS=${LINKER_FLAGS}"
  -D "CMAKE_PREFIX_PATH=${WORK_DIR}/installed;${PREFIX_PATH}"
  -D CMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON)
set(build_consumer ${CMAKE_COMMAND} --build ${WORK_DIR}/build --config ${CONFIG})
run(${build_consumer})
set(programs ${WORK_DIR}/build ${WORK_DIR}/build/${CONFIG})
find_program(consumer NAMES consumer PATHS ${programs} NO_DEFAULT_PATH REQUIRED)
run(${consumer} ${WORK_DIR}/consumer.db)

# A query that does not fit, in a file that is there and in one that is new.
file(READ ${project}/queries/find.sql find)
string(REPLACE "title FROM" "titel FROM" changed "${find}")
file(WRITE ${project}/queries/find.sql "${changed}")
expect_failing_build("${project}/queries/find.sql:3:3: error: no such column: titel")
file(WRITE ${project}/queries/find.sql "${find}")
file(WRITE ${project}/queries/reports/new.sql "SELECT body FROM note")
expect_failing_build("${project}/queries/reports/new.sql:1:8: error: no such column: body")
file(REMOVE ${project}/queries/reports/new.sql)
run(${build_consumer})

# A query that has fitted only since a migration that is gone, and one that is new, but of old.
file(WRITE ${project}/migrations/0003_add_body.sql "ALTER TABLE note ADD COLUMN body TEXT")
file(WRITE ${project}/queries/reports/body.sql "SELECT body FROM note")
run(${build_consumer})
file(REMOVE ${project}/migrations/0003_add_body.sql)
expect_failing_build("${project}/queries/reports/body.sql:1:8: error: no such column: body")
file(REMOVE ${project}/queries/reports/body.sql)
run(${build_consumer})
file(WRITE ${WORK_DIR}/old.sql "SELECT body FROM note")
execute_process(COMMAND touch -t 202001010000 ${WORK_DIR}/old.sql COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${WORK_DIR}/old.sql ${project}/queries/reports/old.sql)
expect_failing_build("${project}/queries/reports/old.sql:1:8: error: no such column: body")
file(REMOVE ${project}/queries/reports/old.sql)
run(${build_consumer})

# A literal that does not fit any more.
file(REMOVE_RECURSE ${project}/queries/reports)
file(WRITE ${project}/queries/find.sql "SELECT id FROM note")
file(WRITE ${project}/migrations/0003_rename_title.sql "ALTER TABLE note RENAME COLUMN title TO heading")
expect_failing_build(
  "error: no such column: title, at 1:12 of the literal \"SELECT id, title FROM note ORDER BY id\"_sql")
file(REMOVE ${project}/migrations/0003_rename_title.sql)
run(${build_consumer})

# The embedded migrations are those of the folder, and each build looks for changes in it.
find_program(migrated NAMES migrated PATHS ${programs} NO_DEFAULT_PATH REQUIRED)
run(${migrated} ${project}/migrations)
string(REPEAT "-- A comment; with semicolons; [brackets]; and back\\slashes.\n" 18000 large)
file(WRITE ${project}/migrations/0003_large.sql "${large}SELECT 1;\n")  # a megabyte
run(${build_consumer})
run(${migrated} ${project}/migrations)
file(WRITE ${project}/migrations/0003_large.sql "SELECT 2")
run(${build_consumer})
run(${migrated} ${project}/migrations)
file(REMOVE ${project}/migrations/0003_large.sql)
run(${build_consumer})
run(${migrated} ${project}/migrations)
