#include "base/clock.hpp"

namespace sqlane::detail {
namespace {

class SteadyClock final : public Clock {
 public:
  time_point now() override { return std::chrono::steady_clock::now(); }

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
