#include "base/clock.hpp"

#include <chrono>

#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::milliseconds;

TEST(Clock, CountsADeadlineFromNow) {
  testing::SteppedClock clock;
  clock.advance(milliseconds(3));
  EXPECT_EQ(clock.deadline(milliseconds(5)) - clock.now(), milliseconds(5));
}

TEST(Clock, TakesATimeoutThatCannotBeCountedForAYear) {
  testing::SteppedClock clock;
  EXPECT_EQ(clock.deadline(milliseconds::max()) - clock.now(), std::chrono::hours(365 * 24));
}

TEST(Clock, TakesANegativeTimeoutForNone) {
  testing::SteppedClock clock;
  EXPECT_EQ(clock.deadline(milliseconds::min()), clock.now());
}

}  // namespace
}  // namespace sqlane::detail
