#pragma once

#include <chrono>
#include <memory>

#include "sqlane/options.hpp"

namespace sqlane {

namespace detail {
class SteppedClock;
}

namespace testing {

// Time that stands still until it is advanced, for the Databases that are opened
// with it: whatever they wait for with a limit, and whatever grows old, goes by it.
//
//   ManualClock clock;
//   auto db = Database::in_memory(clock.into({.acquire_timeout = 5s}));
//
// A limit that nobody reaches by advancing the clock never comes, that of close()
// among them. Whoever waits for another process's lock looks again when the clock
// is advanced. What is done in the background from time to time (Upkeep,
// Options::health_interval) still comes by the computer's time; see
// Database::maintain_now() and health().
//
// Safe to use from any thread. The Databases may outlive it: then time stands
// still for them.
class ManualClock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  ManualClock();
  ManualClock(const ManualClock&) = delete;
  ManualClock& operator=(const ManualClock&) = delete;

  // The same options, with this clock.
  [[nodiscard]] Options into(Options options = {}) const;

  // For the constructor of a Pool; that may not outlive it.
  [[nodiscard]] detail::Clock* for_pool() const noexcept;

  [[nodiscard]] time_point now() const;

  // Those whose time has come wake up. Throws UsageError when `step` is negative.
  void advance(duration step);

  // Threads that wait by this clock; those of the library that wait for work
  // count as well.
  [[nodiscard]] int sleeping() const;
  // Returns once there are so many.
  void await_sleeping(int threads) const;

 private:
  const std::shared_ptr<detail::SteppedClock> clock_;
};

}  // namespace testing
}  // namespace sqlane
