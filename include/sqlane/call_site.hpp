#pragma once

#include <string>

namespace sqlane {

// Where in the caller's source an operation began. Captured by default
// arguments, so that an error can name both the one who waits and the one who
// holds. (std::source_location is not there yet with clang 14.)
struct CallSite {
  const char* file = "";
  int line = 0;
  const char* function = "";

  [[nodiscard]] static constexpr CallSite current(const char* file = __builtin_FILE(), int line = __builtin_LINE(),
                                                  const char* function = __builtin_FUNCTION()) {
    return {file, line, function};
  }

  // "src/notes.cpp:42 (save_note)"
  [[nodiscard]] std::string to_string() const;
};

}  // namespace sqlane
