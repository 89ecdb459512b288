#pragma once

#include <algorithm>
#include <chrono>

#include "base/mutex.hpp"

namespace sqlane::detail {

// Time as the library sees it, so that a test can move it by hand. All waiting
// with a deadline goes through here. Safe to use from any thread.
class Clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  virtual ~Clock() = default;

  [[nodiscard]] virtual time_point now() = 0;

  // A quarter of the cost, and up to some milliseconds behind.
  [[nodiscard]] virtual time_point roughly_now() { return now(); }

  // The moment `timeout` from now; one too long to be counted becomes a year.
  [[nodiscard]] time_point deadline(std::chrono::milliseconds timeout) {
    constexpr std::chrono::milliseconds kNone{0};
    return now() + std::clamp<std::chrono::milliseconds>(timeout, kNone, std::chrono::hours(365 * 24));
  }

  // Blocks until `condition` is notified or `deadline` has come; may also wake
  // for no reason. `lock` is held at the call and at the return.
  virtual void wait_until(Condition& condition, MutexLock& lock, time_point deadline) = 0;

  void sleep_until(time_point deadline);

  // The computer's monotonic clock.
  static Clock& steady();
};

}  // namespace sqlane::detail
