#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "base/wait_graph.hpp"
#include "sqlane/call_site.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

// Up to `capacity` resources of one kind, made on demand and lent to one holder
// at a time. Knows nothing of what it lends. Safe to use from any thread.
//
// A free resource goes to whoever asks first, because waking a waiter costs
// more than most uses last; but one who has waited for `patience` is handed the
// next one that comes back.
//
// Invariants, under mutex_
//  1. A slot is idle exactly when it is listed in idle_, which holds the most
//     recently returned at its end.
//  2. A slot in use has one holder: whoever acquire() gave it to, or a waiter
//     that it has been granted to and that is about to wake.
//  3. While a resource is idle or a slot is empty, and somebody waits, a waiter
//     has been notified that has not run yet.
// Making and destroying resources happens outside the lock.
template <class T>
class Pool final : public Waitable {
 public:
  using Factory = std::function<std::unique_ptr<T>()>;
  using Tidy = std::function<bool(T&)>;  // before each return; false retires the resource

  class Slot {
   public:
    [[nodiscard]] T& resource() noexcept { return *resource_; }

   private:
    friend class Pool;
    enum class State : std::uint8_t { empty, idle, in_use };

    std::unique_ptr<T> resource_;
    State state_ = State::empty;
    std::uint64_t uses_ = 0;
    CallSite site_;
    std::thread::id thread_;
    Clock::time_point since_;
  };

  Pool(std::size_t capacity, Factory factory, Tidy tidy, Clock& clock,
       Clock::duration patience = std::chrono::milliseconds(10))
      : factory_(std::move(factory)), tidy_(std::move(tidy)), clock_(clock), patience_(patience), slots_(capacity) {
    idle_.reserve(capacity);
    for (Slot& slot : slots_) empty_.push_back(&slot);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Throws TimeoutError, ClosedError, InterruptedError when `stop` is requested
  // before it is the caller's turn, or what the factory throws.
  // Give the slot back with release().
  [[nodiscard]] Slot& acquire(Clock::time_point deadline, CallSite site, const std::stop_token& stop = {})
      SQLANE_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (is_closed_) throw_closed();
    if (stop.stop_requested()) throw_stopped(site);
    Slot* slot = take();
    if (slot != nullptr) lend(*slot, site, std::this_thread::get_id());
    lock.unlock();
    if (slot == nullptr) slot = &wait(deadline, site, stop);
    if (slot->resource_ == nullptr) fill(*slot);
    HeldHere::add();
    return *slot;
  }

  void release(Slot& slot) noexcept SQLANE_EXCLUDES(mutex_) {
    HeldHere::remove();
    std::unique_ptr<T> retired;
    if (!tidy_(*slot.resource_)) retired = std::move(slot.resource_);
    MutexLock lock(mutex_);
    if (is_closed_ && slot.resource_ != nullptr) retired = std::move(slot.resource_);
    if (retired != nullptr) {
      lock.unlock();
      retired.reset();
      lock.lock();
    }
    put_back(slot);
  }

  // Throws UsageError when the calling thread holds something itself, so that waiting for it could not end.
  void expect_foreign_holders(const CallSite& site) SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    for (const Slot& slot : slots_) {
      if (slot.state_ != Slot::State::in_use || slot.thread_ != std::this_thread::get_id()) continue;
      throw UsageError("waiting at " + site.to_string() +
                       " for all readers would wait for this thread itself: one is " + "held by " +
                       slot.site_.to_string());
    }
  }

  // Refuses new calls, wakes those that wait with ClosedError, destroys what is
  // idle, and waits for what is in use. Throws TimeoutError naming the holders;
  // what they still hold is destroyed when it comes back.
  void close(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_) {
    shut();
    MutexLock lock(mutex_);
    while (in_use() > 0) {
      if (clock_.now() >= deadline) throw TimeoutError("the readers are still in use: " + describe_holders());
      clock_.wait_until(returned_, lock, deadline);
    }
  }

  // The part of close() that does not wait.
  void shut() noexcept SQLANE_EXCLUDES(mutex_) {
    std::vector<std::unique_ptr<T>> retired;
    MutexLock lock(mutex_);
    is_closed_ = true;
    for (Slot* slot : idle_) {
      retired.push_back(std::move(slot->resource_));
      slot->state_ = Slot::State::empty;
      empty_.push_back(slot);
    }
    idle_.clear();
    for (Waiter* waiter : waiters_) {
      waiter->is_over = true;
      waiter->wake.notify_one();
    }
    lock.unlock();
  }

  // Waits until everything that other threads hold now has come back once; what
  // is lent out meanwhile does not count. False at the deadline.
  bool wait_for_turnover(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::vector<std::pair<const Slot*, std::uint64_t>> held;
    for (const Slot& slot : slots_) {
      if (slot.state_ == Slot::State::in_use && slot.thread_ != std::this_thread::get_id()) {
        held.emplace_back(&slot, slot.uses_);
      }
    }
    while (true) {
      std::erase_if(held, [](const auto& one) { return one.first->uses_ != one.second; });
      if (held.empty()) return true;
      if (clock_.now() >= deadline) return false;
      clock_.wait_until(returned_, lock, deadline);
    }
  }

  // Those who hold something, when nothing is free.
  [[nodiscard]] std::vector<Holder> holders() override SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (!idle_.empty() || !empty_.empty()) return {};
    std::vector<Holder> all;
    for (const Slot& slot : slots_) all.push_back({slot.thread_, slot.site_});
    return all;
  }
  [[nodiscard]] std::string name() const override { return "a reader"; }

  struct Counts {
    std::size_t idle = 0;
    std::size_t in_use = 0;
    std::size_t waiting = 0;
  };
  [[nodiscard]] Counts counts() SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return {idle_.size(), in_use(), waiters_.size()};
  }

 private:
  // Lives on the waiting thread's stack.
  struct Waiter {
    CallSite site;
    std::thread::id thread;
    Clock::time_point since;
    Condition wake;
    Slot* granted = nullptr;
    std::atomic<bool> is_over = false;  // the waiting
  };

  void lend(Slot& slot, const CallSite& site, std::thread::id thread) SQLANE_REQUIRES(mutex_) {
    slot.state_ = Slot::State::in_use;
    slot.site_ = site;
    slot.thread_ = thread;
    slot.since_ = clock_.now();
  }

  [[nodiscard]] std::size_t in_use() const SQLANE_REQUIRES(mutex_) {
    return slots_.size() - idle_.size() - empty_.size();
  }

  // An idle resource, or else an empty slot to make one in; or null.
  Slot* take() SQLANE_REQUIRES(mutex_) {
    std::vector<Slot*>& from = idle_.empty() ? empty_ : idle_;
    if (from.empty()) return nullptr;
    Slot* slot = from.back();
    from.pop_back();
    return slot;
  }

  // Returns a slot that is lent to the caller.
  Slot& wait(Clock::time_point deadline, const CallSite& site, const std::stop_token& stop) SQLANE_EXCLUDES(mutex_) {
    Waiter self{.site = site, .thread = std::this_thread::get_id(), .since = clock_.now(), .wake = {}};
    std::optional<WaitEdge> edge;
    // Others may wait for what this thread holds.
    if (HeldHere::any() && clock_.now() < deadline) edge.emplace(*this, site, self.is_over);
    // Its destructor waits for a notification that is under way, so it has to come after the lock's.
    const std::stop_callback on_stop(stop, [&] {
      const MutexLock lock(mutex_);
      self.is_over = true;
      self.wake.notify_one();
    });
    MutexLock lock(mutex_);
    const auto place = waiters_.insert(waiters_.end(), &self);
    Slot* slot = is_closed_ ? nullptr : take();
    while (slot == nullptr && !is_closed_ && !stop.stop_requested() && clock_.now() < deadline) {
      clock_.wait_until(self.wake, lock, deadline);
      slot = self.granted != nullptr ? self.granted : is_closed_ ? nullptr : take();
    }
    if (self.granted == nullptr) waiters_.erase(place);
    // Two returns in a row may both have notified this thread alone.
    if (!waiters_.empty() && !(idle_.empty() && empty_.empty())) waiters_.front()->wake.notify_one();
    if (slot != nullptr) {
      lend(*slot, site, self.thread);
      self.is_over = true;
      return *slot;
    }
    if (is_closed_) throw_closed();
    if (stop.stop_requested()) throw_stopped(site);
    throw TimeoutError("no reader came free in time for " + site.to_string() + "; held by " + describe_holders(),
                       {.retryable = true});
  }

  // Makes the resource of a slot in use.
  void fill(Slot& slot) SQLANE_EXCLUDES(mutex_) {
    try {
      slot.resource_ = factory_();
    } catch (...) {
      const MutexLock lock(mutex_);
      put_back(slot);
      throw;
    }
  }

  void put_back(Slot& slot) noexcept SQLANE_REQUIRES(mutex_) {
    ++slot.uses_;
    returned_.notify_all();
    Waiter* const oldest = waiters_.empty() ? nullptr : waiters_.front();
    if (oldest != nullptr && !is_closed_ && clock_.now() - oldest->since >= patience_) {
      oldest->granted = &slot;
      oldest->is_over = true;
      lend(slot, oldest->site, oldest->thread);
      waiters_.pop_front();
    } else {
      const bool is_idle = slot.resource_ != nullptr;
      slot.state_ = is_idle ? Slot::State::idle : Slot::State::empty;
      (is_idle ? idle_ : empty_).push_back(&slot);
    }
    if (oldest != nullptr) oldest->wake.notify_one();
  }

  [[noreturn]] static void throw_stopped(const CallSite& site) {
    throw InterruptedError("stopped while waiting for a reader at " + site.to_string());
  }

  [[noreturn]] static void throw_closed() { throw ClosedError("the database has been closed"); }

  [[nodiscard]] std::string describe_holders() SQLANE_REQUIRES(mutex_) {
    std::string text;
    for (const Slot& slot : slots_) {
      if (slot.state_ != Slot::State::in_use) continue;
      const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - slot.since_);
      text += (text.empty() ? "" : ", ") + slot.site_.to_string() + " for " + std::to_string(held.count()) + " ms";
    }
    return text;
  }

  // Constant after construction.
  const Factory factory_;
  const Tidy tidy_;
  Clock& clock_;
  const Clock::duration patience_;

  Mutex mutex_;
  std::vector<Slot> slots_;  // the vector never changes; a slot's state_ and the like are under mutex_
  std::vector<Slot*> idle_ SQLANE_GUARDED_BY(mutex_);
  std::vector<Slot*> empty_ SQLANE_GUARDED_BY(mutex_);
  std::list<Waiter*> waiters_ SQLANE_GUARDED_BY(mutex_);  // the longest waiting first
  Condition returned_;
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;
};

}  // namespace sqlane::detail
