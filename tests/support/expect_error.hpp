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

// Each of `parts`.
template <class... Parts>
bool mentions(std::string_view text, const Parts&... parts) {
  return ((text.find(std::string_view(parts)) != std::string_view::npos) && ...);
}
template <class... Parts>
bool mentions(const std::exception& error, const Parts&... parts) {
  return mentions(std::string_view(error.what()), parts...);
}

}  // namespace sqlane::testing
