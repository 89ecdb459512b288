# Configures a project that has SQLANE_DIR as a folder of its own, and installs it without having built anything: that
# succeeds where nothing of sqlane is part of it, since the library is not there.
file(REMOVE_RECURSE ${WORK_DIR})
file(WRITE ${WORK_DIR}/source/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(parent LANGUAGES CXX)
add_subdirectory(${SQLANE_DIR} sqlane)
install(FILES CMakeLists.txt DESTINATION share/parent)
")

# The files that are installed, or FAILED.
function(install_parent result)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${WORK_DIR}/source -B ${WORK_DIR}/build -G ${GENERATOR}
      -D CMAKE_CXX_COMPILER=${CXX_COMPILER} -D "CMAKE_PREFIX_PATH=${PREFIX_PATH}" ${ARGN}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${WORK_DIR}/build --prefix ${WORK_DIR}/installed
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  file(GLOB_RECURSE files RELATIVE ${WORK_DIR}/installed ${WORK_DIR}/installed/*)
  if(NOT status EQUAL 0)
    set(files FAILED)
  endif()
  set(${result} ${files} PARENT_SCOPE)
endfunction()

install_parent(files)
if(NOT files STREQUAL "share/parent/CMakeLists.txt")
  message(FATAL_ERROR "the parent installs ${files}")
endif()
install_parent(files -D SQLANE_INSTALL=ON)
if(NOT files STREQUAL "FAILED")
  message(FATAL_ERROR "sqlane is not installed where that is asked for, but ${files}")
endif()
