#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace sqlane::testing {

// The amount of work of a test that draws random input or races threads: `once`, times SQLANE_TESTS_EFFORT, which is 1
// unless set. scripts/torture sets it.
inline int with_effort(int once) {
  const char* const text = std::getenv("SQLANE_TESTS_EFFORT");
  const int effort = text == nullptr ? 1 : std::atoi(text);
  if (effort < 1) throw std::runtime_error("SQLANE_TESTS_EFFORT is a whole number above 0, not " + std::string(text));
  return once * effort;
}

}  // namespace sqlane::testing
