# Warnings for our own code, never for those who use it. Errors only in presets.
add_library(sqlane_warnings INTERFACE)
target_compile_options(sqlane_warnings INTERFACE
  $<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wsign-conversion;-Wold-style-cast>
  $<BUILD_INTERFACE:-Wnon-virtual-dtor;-Woverloaded-virtual;-Wcast-align;-Wformat=2;-Wimplicit-fallthrough>
  $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>>
  $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>>
  $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:Clang>:-Wno-missing-field-initializers>>)
# gcc 12 takes the concatenation of strings for copies that overlap or go too far.
# https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(sqlane_warnings INTERFACE
    $<BUILD_INTERFACE:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>)
endif()
