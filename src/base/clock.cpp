#include "base/clock.hpp"

#include <time.h>

namespace sqlane::detail {
namespace {

class SteadyClock final : public Clock {
 public:
  time_point now() override { return std::chrono::steady_clock::now(); }

  time_point roughly_now() override {
#if defined(CLOCK_MONOTONIC_COARSE)
    // The clock that std::chrono::steady_clock reads, as of the kernel's last tick.
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
#else
    return now();
#endif
  }

  void wait_until(Condition& condition, MutexLock& lock, time_point deadline) override {
    condition.wait_until(lock.native(), deadline);
  }
};

}  // namespace

void Clock::sleep_until(time_point deadline) {
  Mutex mutex;
  Condition condition;
  MutexLock lock(mutex);
  while (now() < deadline) wait_until(condition, lock, deadline);
}

Clock& Clock::steady() {
  static SteadyClock clock;
  return clock;
}

}  // namespace sqlane::detail
