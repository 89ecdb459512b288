#pragma once

#include <stdexcept>
#include <string_view>

namespace sqlane::testing {

// The error that `action` ends with. Another error passes through, and none is
// one as well: either fails the test.
template <class Expected, class Action>
Expected error_of(Action&& action) {
  try {
    action();
  } catch (const Expected& error) {
    return error;
  }
  throw std::runtime_error("expected an error, but there was none");
}

inline bool mentions(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
inline bool mentions(const std::exception& error, std::string_view part) { return mentions(error.what(), part); }

}  // namespace sqlane::testing
