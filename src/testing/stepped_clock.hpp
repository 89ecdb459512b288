#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "base/clock.hpp"

namespace sqlane::detail {

// A clock that stands still until it is advanced. Threads that wait for it
// wait without a timeout, so a wake-up that the tested code forgets shows as a
// test that hangs, not as one that is slow.
class SteppedClock final : public Clock {
 public:
  [[nodiscard]] time_point now() override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  void wait_until(Condition& condition, MutexLock& lock, time_point deadline) override {
    Sleeper sleeper{&condition, lock.native().mutex()};
    {
      const std::lock_guard own(mutex_);
      if (now_ >= deadline) return;
      sleepers_.push_back(&sleeper);
    }
    ++sleeping_;
    sleeping_.notify_all();
    condition.wait(lock.native());
    --sleeping_;
    sleeper.is_asleep = false;
    // Whoever advances the clock may be about to lock that mutex, so it stays.
    lock.native().unlock();
    {
      const std::lock_guard advancing(advancing_);
      const std::lock_guard own(mutex_);
      std::erase(sleepers_, &sleeper);
    }
    lock.native().lock();
  }

  // Threads that wait, or hold the lock under which they are about to.
  [[nodiscard]] int sleeping() const { return sleeping_; }

  // Returns once there are so many.
  void await_sleeping(int threads) const {
    for (int now = sleeping_; now < threads; now = sleeping_) sleeping_.wait(now);
  }

  void advance(duration step) {
    const std::lock_guard advancing(advancing_);
    std::vector<Sleeper*> sleepers;
    {
      const std::lock_guard lock(mutex_);
      now_ += step;
      sleepers = sleepers_;
    }
    for (Sleeper* const sleeper : sleepers) {
      // With its mutex held the sleeper is inside wait(), or past it for good.
      const std::lock_guard lock(*sleeper->mutex);
      if (sleeper->is_asleep) sleeper->condition->notify_all();
    }
  }

 private:
  struct Sleeper {
    Condition* condition;
    std::mutex* mutex;
    bool is_asleep = true;  // under *mutex
  };

  std::atomic<int> sleeping_ = 0;
  std::mutex advancing_;  // locked before those of the sleepers
  std::mutex mutex_;      // locked after those
  time_point now_{};
  std::vector<Sleeper*> sleepers_;
};

}  // namespace sqlane::detail
