# Runs PROGRAM in a new FOLDER; it has to print what is EXPECTED.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE code OUTPUT_VARIABLE out)
if(NOT code EQUAL 0 OR NOT out STREQUAL "${EXPECTED}")
  message(FATAL_ERROR "exit code ${code}, output:\n${out}")
endif()
