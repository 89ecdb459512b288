#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/fork.hpp"
#include "base/maintenance_thread.hpp"
#include "base/mutex.hpp"
#include "base/thread_number.hpp"
#include "base/wait_graph.hpp"
#include "pool/circuit_breaker.hpp"
#include "pool/upkeep.hpp"
#include "sqlane/detail/pool_base.hpp"

namespace sqlane::detail {

// One place of a pool. Its word says everything that has to be decided at once:
//
//   ticket (61 bits) | marked (1 bit) | ResourceState (2 bits)
//
// The ticket grows with each loan, so a lease that was recovered from its thread
// is recognised. A place in use is `marked` while somebody wants to hear of its
// return: that then has to take the pool's mutex.
class alignas(64) PoolSlot {
 public:
  static constexpr std::uint64_t kStateBits = 3;
  static constexpr std::uint64_t kMarked = Loan::kMarked;
  static constexpr std::uint64_t kOneTicket = Loan::kOneTicket;
  static constexpr std::uint64_t kNobody = ~std::uint64_t{0};  // published, while it is nobody's loan

  [[nodiscard]] static constexpr ResourceState state_of(std::uint64_t word) noexcept {
    return static_cast<ResourceState>(word & kStateBits);
  }
  [[nodiscard]] static constexpr std::uint64_t ticket_of(std::uint64_t word) noexcept { return word / kOneTicket; }
  [[nodiscard]] static constexpr std::uint64_t word_of(std::uint64_t ticket, ResourceState state) noexcept {
    return ticket * kOneTicket | static_cast<std::uint64_t>(state);
  }

 private:
  friend class PoolCore;
  friend struct Loan;

  using Ticks = Clock::duration::rep;

  std::atomic<std::uint64_t> word_ = word_of(0, ResourceState::closed);

  // Of the holder. Others may look, so they are atomic; what they see belongs
  // together while published_ is the word's ticket.
  std::atomic<void*> resource_ = nullptr;
  std::uint64_t returns_slowly_at_ = 0;  // the ticket, from which on it does not simply become idle
  std::atomic<std::uint64_t> published_ = kNobody;
  std::atomic<const char*> file_ = "";
  std::atomic<const char*> function_ = "";
  std::atomic<int> line_ = 0;
  std::atomic<ThreadNumber> thread_{};  // none: of the pool itself, or of a lease that was unbound
  std::atomic<Ticks> since_ = 0;
  std::atomic<Ticks> idle_since_ = 0;
  Clock::time_point sampled_since_{};

  // Of the resource; written by whoever holds the slot.
  std::atomic<std::uint64_t> id_ = 0;
  std::atomic<std::uint64_t> first_ticket_ = 0;
  std::atomic<std::uint64_t> errors_ = 0;
  std::atomic<Ticks> made_at_ = 0;
  std::atomic<Ticks> dies_at_ = 0;
  std::atomic<Ticks> validated_at_ = 0;

  // Under the pool's mutex.
  std::optional<CloseReason> condemned_;  // to be closed when it comes back
  bool is_interrupted_ = false;           // its present loan
  std::uint64_t reported_ = kNobody;      // the newest ticket that was reported for overstaying
};

// Throws UsageError when they make no sense.
void expect_valid(const PoolOptions& options);

// The pool without its types: who gets what, and when. Knows nothing of what it lends.
//
// Invariants
//  1. A slot that is not idle has one owner: the holder of its lease, a thread
//     that makes, checks or closes its resource, or a waiter that it was handed
//     to; or it is closed and has none. Its owner alone touches its resource.
//  2. From idle to in_use it goes by one compare-and-swap, with or without the
//     mutex. Every other step is made by its owner: back to idle by one
//     compare-and-swap as well, which is the last thing that its owner touches,
//     unless it is marked; anything else under mutex_.
//  3. Marks are set under mutex_, on slots in use. Who goes to sleep has, since it
//     last looked and under the same lock, seen no idle slot and marked all that
//     are in use; so whatever comes back wakes somebody. While a waiter has been
//     woken and has not run yet, others may come back unnoticed: it sees to the
//     rest when it runs (wake_next).
//  4. While a slot can be filled, nothing is being made, and somebody waits, a
//     waiter has been woken that has not run yet.
//  5. After shut() no slot is idle, and all that are in use are marked; so each
//     comes back under mutex_. A core that has been orphaned is destroyed by
//     whoever is the last to leave: with a slot, or as a visitor without.
// Making, checking and closing resources happens outside mutex_.
//
// Safe to use from any thread.
class PoolCore final : public Waitable {
 public:
  PoolCore(const PoolOptions& options, std::unique_ptr<ResourceKind> kind, Clock& clock);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;

  // Opens min_idle where that is asked for; starts maintenance.
  void start() SQLANE_EXCLUDES(mutex_);
  // Nobody will call any more: shuts, waits for the calls that have begun, and
  // is destroyed, now or when the last loan comes back.
  void orphan() noexcept SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] Loan acquire(const AcquireOptions& options, const CallSite& site) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Loan try_acquire(const CallSite& site) SQLANE_EXCLUDES(mutex_);
  void release(PoolSlot& slot, std::uint64_t ticket) noexcept SQLANE_EXCLUDES(mutex_);

  void count_error(PoolSlot& slot) noexcept;
  void retire(PoolSlot& slot) noexcept SQLANE_EXCLUDES(mutex_);
  void count_fallback() noexcept { fallbacks_.fetch_add(1, std::memory_order_relaxed); }

  // Throws UsageError when the calling thread holds something itself, so that waiting for all could not end.
  void expect_foreign_holders(const CallSite& site) SQLANE_EXCLUDES(mutex_);
  // Waits until everything that other threads hold now has come back once; what
  // is lent meanwhile does not count. False at the deadline.
  bool wait_for_turnover(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // Closes everything that there is: what is idle now, the rest when it comes
  // back. Waits for that; TimeoutError naming those who hold something still.
  void renew(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // Closes the circuit breaker: the next resource is made however often making one has failed.
  void forget_failures() noexcept SQLANE_EXCLUDES(mutex_);

  // Refuses new calls, wakes those that wait with ClosedError, closes what is idle.
  void shut(PoolState state) noexcept SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<LeaseReport> drain(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  void close(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);

  void maintain() SQLANE_EXCLUDES(mutex_);
  std::size_t prune() SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] PoolStatistics statistics() const;
  [[nodiscard]] std::vector<ResourceReport> resources() const;
  [[nodiscard]] PoolState state() const noexcept { return state_; }
  [[nodiscard]] std::size_t load() const noexcept { return count_in_use() + waiting_; }
  // Not while making resources is not even tried.
  [[nodiscard]] bool is_healthy() SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<LeaseReport> leases() SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] std::vector<Holder> holders() override SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::string name() const override { return options_.name; }
  [[nodiscard]] Clock& clock() const noexcept { return clock_; }

  // What the thread that is ending holds still goes back.
  static void recover_from_ending_thread() noexcept;

 private:
  static constexpr std::uint64_t kHoldsASample = 64;  // one hold in so many is measured

  struct Waiter;
  struct Wait;
  class Visit;
  struct Recovered {
    PoolSlot* slot = nullptr;
    std::optional<LeaseReport> report{};
  };
  struct Claim {
    PoolSlot* slot = nullptr;
    std::uint64_t ticket = 0;
  };
  enum class Marking : std::uint8_t { no, yes };
  enum class FirstUse : std::uint8_t { of_a_loan, by_the_pool };

  ~PoolCore();

  [[nodiscard]] Claim take_fast() noexcept;
  [[nodiscard]] Loan acquire_inline(const AcquireOptions* options, const CallSite& site) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Claim acquire_slowly(Claim claim, const AcquireOptions* waiting, const CallSite& site)
      SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Claim queue_up(const AcquireOptions& options, Clock::time_point deadline, const CallSite& site)
      SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Claim take_idle(Marking marking) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Claim take_closed(FirstUse use) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool can_make() const noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Loan lend(Claim claim, const CallSite& site) noexcept;
  void publish(PoolSlot& slot, std::uint64_t ticket, const CallSite& site, ThreadNumber thread) noexcept;
  void fill(PoolSlot& slot, FirstUse use) SQLANE_EXCLUDES(mutex_);
  void fail_filling(PoolSlot& slot, FirstUse use, const char* reason) noexcept SQLANE_EXCLUDES(mutex_);
  void give_up_filling(PoolSlot& slot, FirstUse use) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool needs_check(const PoolSlot& slot) const noexcept;
  [[nodiscard]] bool is_usable(PoolSlot& slot) SQLANE_EXCLUDES(mutex_);
  void release_slowly(PoolSlot& slot, Cleaning cleaning) noexcept SQLANE_EXCLUDES(mutex_);
  void release_void_lease() noexcept SQLANE_EXCLUDES(mutex_);
  void bring_back(PoolSlot& slot) noexcept SQLANE_EXCLUDES(mutex_);
  void close_resource(PoolSlot& slot, CloseReason reason) noexcept SQLANE_EXCLUDES(mutex_);
  void put_back(PoolSlot& slot) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool take_for_the_pool(PoolSlot& slot) noexcept SQLANE_REQUIRES(mutex_);
  void set_state(PoolSlot& slot, ResourceState state) noexcept SQLANE_REQUIRES(mutex_);
  bool mark_unless_idle(PoolSlot& slot) noexcept SQLANE_REQUIRES(mutex_);
  void wake_next() noexcept SQLANE_REQUIRES(mutex_);
  void dismiss_waiters() noexcept SQLANE_REQUIRES(mutex_);
  void leave_queue(Waiter& waiter) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] bool is_over() const noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] Recovered take_from_this_thread() noexcept SQLANE_EXCLUDES(mutex_);
  void recover(const Recovered& lost) noexcept SQLANE_EXCLUDES(mutex_);

  void close_idle_that_are_due() SQLANE_EXCLUDES(mutex_);
  void condemn_those_in_use_that_are_due() SQLANE_EXCLUDES(mutex_);
  void report_overstaying() SQLANE_EXCLUDES(mutex_);
  void adapt_size() SQLANE_REQUIRES(maintaining_) SQLANE_EXCLUDES(mutex_);
  enum class Failures : std::uint8_t { swallowed, thrown };
  void refill(Failures failures) SQLANE_EXCLUDES(mutex_);

  [[nodiscard]] ResourceFacts facts_of(const PoolSlot& slot) const noexcept;
  [[nodiscard]] std::size_t index_of(const PoolSlot& slot) const noexcept {
    return static_cast<std::size_t>(&slot - slots_.data());
  }
  [[nodiscard]] bool is_overflow(const PoolSlot& slot) const noexcept { return index_of(slot) >= options_.max; }
  [[nodiscard]] std::size_t count(ResourceState state) const noexcept;
  [[nodiscard]] std::size_t count_in_use() const noexcept {
    return count(ResourceState::in_use) + count(ResourceState::error);
  }
  [[nodiscard]] static std::optional<Holder> holder_of(const PoolSlot& slot) noexcept;
  [[nodiscard]] std::optional<LeaseReport> report_on(PoolSlot& slot, Clock::time_point now) SQLANE_REQUIRES(mutex_);
  void interrupt(PoolSlot& slot) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] std::string describe_holders() SQLANE_REQUIRES(mutex_);
  [[noreturn]] void throw_closed() const;
  [[noreturn]] void throw_of_parent() const;
  [[noreturn]] void throw_stopped(const CallSite& site) const;
  [[noreturn]] void throw_timeout(const CallSite& site) SQLANE_REQUIRES(mutex_);

  // Constant after construction.
  const PoolOptions options_;
  const Upkeep& upkeep_ = options_.upkeep;
  const std::unique_ptr<ResourceKind> kind_;
  Clock& clock_;
  const std::uint64_t id_;  // of no other pool, ever
  const std::uint32_t generation_ = ForkGeneration::watch();
  const bool cleans_;
  const bool checks_on_acquire_;
  const bool notes_idleness_;
  std::vector<PoolSlot> slots_;  // max, then max_overflow

  std::atomic<std::size_t> reach_ = 0;  // slots beyond have never been filled
  std::atomic<std::size_t> limit_;

  Mutex maintaining_;  // one at a time
  Clock::time_point last_adapted_ SQLANE_GUARDED_BY(maintaining_){};
  std::uint64_t waits_then_ SQLANE_GUARDED_BY(maintaining_) = 0;
  std::uint64_t held_then_ SQLANE_GUARDED_BY(maintaining_) = 0;
  AdaptiveState adaptive_ SQLANE_GUARDED_BY(maintaining_){};

  mutable Mutex mutex_;
  std::list<Waiter*> waiters_ SQLANE_GUARDED_BY(mutex_);  // the longest waiting first
  bool is_wake_pending_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_making_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_orphan_ SQLANE_GUARDED_BY(mutex_) = false;
  std::size_t visitors_ SQLANE_GUARDED_BY(mutex_) = 0;     // threads that are inside, maybe without a slot
  std::size_t void_leases_ SQLANE_GUARDED_BY(mutex_) = 0;  // whose threads have ended, and that exist still
  Condition visitor_left_;
  std::size_t filled_ SQLANE_GUARDED_BY(mutex_) = 0;  // slots that are not closed
  int watchers_ SQLANE_GUARDED_BY(mutex_) = 0;        // of returned_
  Condition returned_;
  std::optional<CircuitBreaker> breaker_ SQLANE_GUARDED_BY(mutex_);
  std::string last_failure_ SQLANE_GUARDED_BY(mutex_);  // of making one, in words
  std::minstd_rand random_ SQLANE_GUARDED_BY(mutex_);
  std::uint64_t last_resource_ SQLANE_GUARDED_BY(mutex_) = 0;
  std::optional<MaintenanceThread::Task> task_;

  // Changed under mutex_, or where nobody hurries.
  std::atomic<PoolState> state_ = PoolState::active;
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<std::uint64_t> not_lent_ = 0;  // tickets that became no loan
  std::atomic<std::uint64_t> waits_ = 0;
  std::atomic<std::uint64_t> timeouts_ = 0;
  std::atomic<std::uint64_t> fallbacks_ = 0;
  std::atomic<std::uint64_t> created_ = 0;
  std::atomic<std::uint64_t> failed_creations_ = 0;
  std::atomic<std::uint64_t> refused_creations_ = 0;
  std::array<std::atomic<std::uint64_t>, kCloseReasons> closed_{};
  std::atomic<std::uint64_t> cleaned_ = 0;
  std::atomic<std::uint64_t> validations_ = 0;
  std::atomic<std::uint64_t> overstayed_ = 0;
  std::atomic<std::uint64_t> interrupted_ = 0;
  std::atomic<std::uint64_t> recovered_ = 0;
  Histogram wait_times_;
  Histogram hold_times_;
};

// A thread that is inside without a slot of its own. Requires, at its beginning,
// that the core cannot go away: the pool exists, or the thread has a slot.
class PoolCore::Visit {
 public:
  explicit Visit(PoolCore& core) SQLANE_EXCLUDES(core.mutex_) : core_(core) {
    if (core_.generation_ != ForkGeneration::now()) core_.throw_of_parent();
    const MutexLock lock(core_.mutex_);
    ++core_.visitors_;
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    MutexLock lock(core_.mutex_);
    --core_.visitors_;
    core_.visitor_left_.notify_all();
    const bool is_last = core_.is_over();
    lock.unlock();
    if (is_last) delete &core_;
  }

 private:
  PoolCore& core_;
};

inline Clock::duration::rep ticks(Clock::time_point time) noexcept { return time.time_since_epoch().count(); }

inline Clock::time_point time_of(Clock::duration::rep ticks) noexcept {
  return Clock::time_point(Clock::duration(ticks));
}

inline std::chrono::milliseconds in_ms(Clock::duration duration) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::max(duration, Clock::duration::zero()));
}

inline void add_one(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

}  // namespace sqlane::detail
