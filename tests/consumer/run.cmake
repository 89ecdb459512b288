# Installs BUILD_DIR, builds SOURCE_DIR against the result with the same compiler and flags, and runs it.
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --config ${CONFIG} --prefix ${WORK_DIR}/installed)
file(COPY ${SOURCE_DIR}/migrations DESTINATION ${WORK_DIR})
run(${CMAKE_COMMAND} -S ${SOURCE_DIR} -B ${WORK_DIR}/build -G ${GENERATOR}
  -D CMAKE_BUILD_TYPE=${CONFIG}
  -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
  -D "CMAKE_CXX_FLAGS=${CXX_FLAGS}"
  -D "CMAKE_EXE_LINKER_FLAGS=${LINKER_FLAGS}"
  -D "CMAKE_PREFIX_PATH=${WORK_DIR}/installed;${PREFIX_PATH}"
  -D MIGRATIONS=${WORK_DIR}/migrations
  -D CMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON)
set(build_consumer ${CMAKE_COMMAND} --build ${WORK_DIR}/build --config ${CONFIG})
run(${build_consumer})
set(programs ${WORK_DIR}/build ${WORK_DIR}/build/${CONFIG})
find_program(consumer NAMES consumer PATHS ${programs} NO_DEFAULT_PATH REQUIRED)
run(${consumer} ${WORK_DIR}/consumer.db)

# The embedded migrations are those of the folder, and each build looks for changes in it.
find_program(migrated NAMES migrated PATHS ${programs} NO_DEFAULT_PATH REQUIRED)
run(${migrated} ${WORK_DIR}/migrations)
string(REPEAT "-- A comment; with semicolons; [brackets]; and back\\slashes.\n" 18000 large)
file(WRITE ${WORK_DIR}/migrations/0003_large.sql "${large}SELECT 1;\n")  # a megabyte
run(${build_consumer})
run(${migrated} ${WORK_DIR}/migrations)
file(WRITE ${WORK_DIR}/migrations/0003_large.sql "SELECT 2")
run(${build_consumer})
run(${migrated} ${WORK_DIR}/migrations)
file(REMOVE ${WORK_DIR}/migrations/0003_large.sql)
run(${build_consumer})
run(${migrated} ${WORK_DIR}/migrations)
