#include "sqlane/testing/manual_clock.hpp"

#include <utility>

#include "sqlane/error.hpp"
#include "testing/stepped_clock.hpp"

namespace sqlane::testing {

ManualClock::ManualClock() : clock_(std::make_shared<detail::SteppedClock>()) {}

Options ManualClock::into(Options options) const {
  options.clock = clock_;
  return options;
}

detail::Clock* ManualClock::for_pool() const noexcept { return clock_.get(); }

ManualClock::time_point ManualClock::now() const { return clock_->now(); }

void ManualClock::advance(duration step) {
  if (step < duration::zero()) throw UsageError("a ManualClock goes forward only");
  clock_->advance(step);
}

int ManualClock::sleeping() const { return clock_->sleeping(); }

void ManualClock::await_sleeping(int threads) const { clock_->await_sleeping(threads); }

}  // namespace sqlane::testing
