#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.hpp"

namespace sqlane::testing {

// A clock that stands still until it is advanced. Threads that wait for it
// wait without a timeout, so a wake-up that the tested code forgets shows as a
// test that hangs, not as one that is slow.
class ManualClock final : public detail::Clock {
 public:
  [[nodiscard]] time_point now() override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  void wait_until(detail::Condition& condition, detail::MutexLock& lock, time_point deadline) override {
    auto sleeper = std::make_shared<Sleeper>(Sleeper{&condition, lock.native().mutex(), true});
    {
      const std::lock_guard own(mutex_);
      if (now_ >= deadline) return;
      std::erase_if(sleepers_, [](const auto& one) { return one.expired(); });
      sleepers_.push_back(sleeper);
    }
    ++sleeping_;
    condition.wait(lock.native());
    --sleeping_;
    sleeper->is_asleep = false;
  }

  // Threads that wait, or hold the lock under which they are about to.
  [[nodiscard]] int sleeping() const { return sleeping_; }

  void advance(duration step) {
    std::vector<std::weak_ptr<Sleeper>> sleepers;
    {
      const std::lock_guard lock(mutex_);
      now_ += step;
      sleepers = sleepers_;
    }
    for (const auto& weak : sleepers) {
      const std::shared_ptr<Sleeper> sleeper = weak.lock();
      if (sleeper == nullptr) continue;
      // With its mutex held the sleeper is inside wait(), or past it for good.
      const std::lock_guard lock(*sleeper->mutex);
      if (sleeper->is_asleep) sleeper->condition->notify_all();
    }
  }

 private:
  struct Sleeper {
    detail::Condition* condition;
    std::mutex* mutex;
    bool is_asleep;  // under *mutex
  };

  std::atomic<int> sleeping_ = 0;
  std::mutex mutex_;
  time_point now_{};
  std::vector<std::weak_ptr<Sleeper>> sleepers_;
};

}  // namespace sqlane::testing
