#pragma once

#include "testing/stepped_clock.hpp"

namespace sqlane::testing {

// For what takes a clock directly. Databases are given the ManualClock of sqlane/testing.hpp.
using SteppedClock = detail::SteppedClock;

}  // namespace sqlane::testing
