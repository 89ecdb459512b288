#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/clock.hpp"
#include "base/mutex.hpp"

namespace sqlane::detail {

// Given once by one thread, awaited by one other, on whose stack it may live:
// it is not touched any more once the other has seen it.
//
//   waiting ──► given             while the other still looks by itself
//   waiting ──► asleep ──► given  the other has to be woken
class Signal {
 public:
  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void give() noexcept SQLANE_EXCLUDES(mutex_) {
    State expected = State::waiting;
    if (state_.compare_exchange_strong(expected, State::given, std::memory_order_acq_rel)) return;
    // Whoever sleeps leaves through the mutex, so not before this is over.
    const MutexLock lock(mutex_);
    state_.store(State::given, std::memory_order_release);
    wake_.notify_one();
  }

  [[nodiscard]] bool is_given() const noexcept { return state_.load(std::memory_order_acquire) == State::given; }

  // False at the deadline; then it can be awaited again. Looks up to `looks`
  // times, letting others run in between, before it sleeps: going to sleep and
  // being woken costs both sides more than a short wait.
  [[nodiscard]] bool await(Clock& clock, Clock::time_point deadline, int looks) SQLANE_EXCLUDES(mutex_) {
    for (int i = 0; i < looks && !has_slept_; ++i) {
      if (is_given()) return true;
      std::this_thread::yield();
    }
    has_slept_ = true;
    MutexLock lock(mutex_);
    State expected = State::waiting;
    state_.compare_exchange_strong(expected, State::asleep, std::memory_order_acq_rel);
    while (!is_given()) {
      if (clock.now() >= deadline) return false;
      clock.wait_until(wake_, lock, deadline);
    }
    return true;
  }

 private:
  enum class State : std::uint8_t { waiting, asleep, given };

  std::atomic<State> state_ = State::waiting;
  bool has_slept_ = false;  // of the one who awaits
  Mutex mutex_;
  Condition wake_;
};

}  // namespace sqlane::detail
