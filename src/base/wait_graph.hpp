#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/thread_number.hpp"
#include "sqlane/call_site.hpp"

namespace sqlane::detail {

// Something that threads hold, and that other threads wait for.
class Waitable {
 public:
  struct Holder {
    ThreadNumber thread;
    CallSite site;  // where it was asked for
  };

  // Any one of them can end the waiting; none when it is free. Takes the
  // resource's own lock.
  [[nodiscard]] virtual std::vector<Holder> holders() = 0;
  [[nodiscard]] virtual std::string name() const = 0;

 protected:
  ~Waitable() = default;
};

// A thread waits, while it holds something itself. (Whoever holds nothing cannot
// be waited for, and pays nothing for this.) Across all databases of the process.
//
// Waiting would never end exactly when all threads that could end it, and those
// that could end their waiting in turn, wait themselves. The last one to join
// such a ring finds that out: edges are added one at a time, and each before
// its thread begins to wait.
class WaitEdge {
 public:
  // `is_over` becomes true when its turn has come, at the latest with the lock
  // under which the resource gets another holder.
  // Throws UsageError naming who waits for whom, when waiting would never end.
  WaitEdge(Waitable& resource, const CallSite& site, const std::atomic<bool>& is_over);
  WaitEdge(const WaitEdge&) = delete;
  WaitEdge& operator=(const WaitEdge&) = delete;
  ~WaitEdge();

 private:
  [[nodiscard]] bool blocks() const noexcept { return !is_over_.load(std::memory_order_acquire); }
  [[nodiscard]] bool would_never_end(std::string& chain) const;

  Waitable& resource_;
  const CallSite site_;
  const std::atomic<bool>& is_over_;
  const ThreadNumber thread_ = this_thread_number();
};

// Counts what the calling thread holds. A guard of the lane that is released on
// another thread spoils the count: then a ring may go unnoticed until somebody's
// deadline, no more.
class HeldHere {
 public:
  static void add() noexcept { ++count_; }
  static void remove() noexcept { --count_; }
  [[nodiscard]] static bool any() noexcept { return count_ > 0; }

 private:
  static inline thread_local int count_ = 0;
};

}  // namespace sqlane::detail
