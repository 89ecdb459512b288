#include "pool/pool_core.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <exception>
#include <new>
#include <utility>

#include "pool/state.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

constexpr std::uint64_t kNoTicket = ~std::uint64_t{0};  // a ticket that nobody gets

// What this thread had last, of the pools whose ids fall on the same place.
struct Affinity {
  std::uint64_t pool = 0;
  PoolSlot* slot = nullptr;
};
constexpr std::size_t kAffinities = 4;
thread_local constinit std::array<Affinity, kAffinities> affinities{};

// Its destructor runs when the thread ends.
struct ThreadEnd {
  bool is_watched = true;
  ~ThreadEnd() { PoolCore::recover_from_ending_thread(); }
};

void watch_for_the_end_of_this_thread() {
  thread_local ThreadEnd end;
  static_cast<void>(end.is_watched);
}

// The pools of this process, under ForkGeneration::mutex().
std::vector<PoolCore*>& pools() {
  static auto* const all = new std::vector<PoolCore*>;  // never destroyed: threads may end after main()
  return *all;
}

std::uint64_t next_id() noexcept {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

// Time as it is meant by those who say the longest there is.
template <class Duration>
Duration bounded(Duration duration) {
  return std::min<Duration>(duration, std::chrono::hours(365 * 24));
}

PoolOptions bounded(PoolOptions options) {
  Upkeep& upkeep = options.upkeep;
  options.patience = bounded(options.patience);
  upkeep.validation_idle = bounded(upkeep.validation_idle);
  upkeep.maintenance_interval = bounded(upkeep.maintenance_interval);
  for (auto* const time :
       {&upkeep.idle_timeout, &upkeep.max_lifetime, &upkeep.validation_interval, &upkeep.leak_threshold}) {
    if (*time) *time = bounded(**time);
  }
  if (upkeep.breaker) upkeep.breaker->open_for = bounded(upkeep.breaker->open_for);
  return options;
}

bool asks_for_maintenance(const Upkeep& upkeep) {
  return upkeep.min_idle > 0 || upkeep.idle_timeout || upkeep.max_lifetime || upkeep.validation_interval ||
         upkeep.leak_threshold || upkeep.adaptive_size;
}

}  // namespace

void expect_valid(const PoolOptions& options) {
  constexpr std::size_t kMost = 1000;
  const Upkeep& upkeep = options.upkeep;
  const auto expect = [](bool is_right, const char* what) {
    if (!is_right) throw UsageError(what);
  };
  const auto expect_positive = [&](const auto& optional, const char* what) {
    expect(!optional || optional->count() > 0, what);
  };
  expect(options.max >= 1, "PoolOptions::max must be at least 1");
  expect(options.max <= kMost, "a pool has at most 1000 resources");
  expect(options.max_overflow <= kMost, "PoolOptions::max_overflow must be at most 1000");
  expect(options.acquire_timeout.count() >= 0, "PoolOptions::acquire_timeout must not be negative");
  expect(options.patience.count() >= 0, "PoolOptions::patience must not be negative");
  expect(upkeep.min_idle <= options.max, "Upkeep::min_idle must be at most the number of resources");
  expect_positive(upkeep.idle_timeout, "Upkeep::idle_timeout must be positive");
  expect_positive(upkeep.max_lifetime, "Upkeep::max_lifetime must be positive");
  expect(upkeep.lifetime_jitter >= 0 && upkeep.lifetime_jitter <= 1, "Upkeep::lifetime_jitter must be from 0 to 1");
  expect(!upkeep.max_uses || *upkeep.max_uses > 0, "Upkeep::max_uses must be positive");
  expect(!upkeep.max_errors || *upkeep.max_errors > 0, "Upkeep::max_errors must be positive");
  expect_positive(upkeep.validation_interval, "Upkeep::validation_interval must be positive");
  expect(upkeep.validation_idle.count() >= 0, "Upkeep::validation_idle must not be negative");
  expect_positive(upkeep.leak_threshold, "Upkeep::leak_threshold must be positive");
  expect(upkeep.maintenance_interval.count() > 0, "Upkeep::maintenance_interval must be positive");
  if (upkeep.breaker) {
    expect(upkeep.breaker->failures > 0, "Breaker::failures must be positive");
    expect(upkeep.breaker->open_for.count() >= 0, "Breaker::open_for must not be negative");
  }
  if (upkeep.adaptive_size) {
    const AdaptiveSize& size = *upkeep.adaptive_size;
    expect(size.least >= 1 && size.least <= options.max, "AdaptiveSize::least must be from 1 to the pool's size");
    expect(size.rounds >= 1, "AdaptiveSize::rounds must be at least 1");
    expect(size.shrink_below >= 0 && size.grow_above <= 1 && size.shrink_below < size.grow_above,
           "AdaptiveSize::shrink_below must be below grow_above, both from 0 to 1");
  }
}

// Lives on the waiting thread's stack.
struct PoolCore::Waiter {
  CallSite site;
  ThreadNumber thread;
  Clock::time_point since;
  Condition wake{};
  std::list<Waiter*>::iterator place{};
  Claim granted{};
  bool is_woken = false;              // and has not run since
  std::atomic<bool> is_over = false;  // the waiting
};

// From the first time that somebody queues up to the end of the call.
struct PoolCore::Wait {
  Wait(PoolCore& pool, const AcquireOptions& options)
      : core(pool), deadline(core.clock_.deadline(options.timeout.value_or(core.options_.acquire_timeout))) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { core.wait_times_.record(core.clock_.now() - since); }

  PoolCore& core;
  const Clock::time_point since = core.clock_.now();
  const Clock::time_point deadline;
};

PoolCore::PoolCore(const PoolOptions& options, std::unique_ptr<ResourceKind> kind, Clock& clock)
    : options_((expect_valid(options), bounded(options))),
      kind_(std::move(kind)),
      clock_(clock),
      id_(next_id()),
      cleans_(kind_->has_cleaning()),
      checks_on_acquire_(upkeep_.max_lifetime || upkeep_.validate_on_acquire != ValidateOnAcquire::never),
      notes_idleness_(upkeep_.idle_timeout || upkeep_.validation_interval ||
                      upkeep_.validate_on_acquire == ValidateOnAcquire::if_idle_longer_than),
      slots_(options_.max + options_.max_overflow),
      limit_(upkeep_.adaptive_size ? std::max(upkeep_.adaptive_size->least, upkeep_.min_idle) : options_.max),
      last_adapted_(clock.now()),
      adaptive_{.limit = limit_},
      random_(static_cast<std::minstd_rand::result_type>(id_ * 0x9e37'79b9U)) {
  if (upkeep_.breaker) breaker_.emplace(*upkeep_.breaker);
  const MutexLock lock(ForkGeneration::mutex());
  pools().push_back(this);
}

PoolCore::~PoolCore() {
  const MutexLock lock(ForkGeneration::mutex());
  std::erase(pools(), this);
}

void PoolCore::start() {
  if (upkeep_.warm_up == WarmUp::at_start) refill(Failures::thrown);
  if (upkeep_.maintenance == Maintenance::in_background && asks_for_maintenance(upkeep_)) {
    task_.emplace(upkeep_.maintenance_interval, [this] { maintain(); });
  }
}

void PoolCore::orphan() noexcept {
  if (generation_ != ForkGeneration::now()) return;  // the parent's
  const Visit visit(*this);
  task_.reset();
  shut(PoolState::closed);
  MutexLock lock(mutex_);
  is_orphan_ = true;
  // What they call of the pool's maker should not outlive this. (On the thread of maintenance, that is a visitor too.)
  while (visitors_ > 1 && !MaintenanceThread::is_this()) visitor_left_.wait(lock.native());
}

// Nobody is inside, nothing is lent, and nobody will come. Whoever makes this
// true destroys the core, after unlocking.
bool PoolCore::is_over() const noexcept {
  return is_orphan_ && visitors_ == 0 && void_leases_ == 0 && count_in_use() == 0;
}

// Acquiring

namespace {

// Takes it if it is idle; 0 if not.
inline std::uint64_t take(std::atomic<std::uint64_t>& word) noexcept {
  constexpr std::uint64_t kLend = PoolSlot::kOneTicket + static_cast<std::uint64_t>(ResourceState::in_use) -
                                  static_cast<std::uint64_t>(ResourceState::idle);
  std::uint64_t found = word.load(std::memory_order_relaxed);
  if (PoolSlot::state_of(found) != ResourceState::idle) return 0;
  const std::uint64_t taken = found + kLend;
  if (!word.compare_exchange_strong(found, taken, std::memory_order_acq_rel, std::memory_order_relaxed)) return 0;
  return PoolSlot::ticket_of(taken);
}

}  // namespace

// The one that this thread had last, or any that is idle. Takes no lock.
inline PoolCore::Claim PoolCore::take_fast() noexcept {
  const Affinity& affinity = affinities[id_ % kAffinities];
  if (affinity.pool == id_) {
    if (const std::uint64_t ticket = take(affinity.slot->word_); ticket != 0) return {affinity.slot, ticket};
  }
  const std::size_t reach = reach_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < reach; ++i) {
    if (const std::uint64_t ticket = take(slots_[i].word_); ticket != 0) return {&slots_[i], ticket};
  }
  return {};
}

// Lets others see who has it.
inline void PoolCore::publish(PoolSlot& slot, std::uint64_t ticket, const CallSite& site,
                              ThreadNumber thread) noexcept {
  // Whoever sees one of these also sees the word with the new ticket.
  constexpr auto kRelease = std::memory_order_release;
  slot.file_.store(site.file, kRelease);
  slot.line_.store(site.line, kRelease);
  slot.function_.store(site.function, kRelease);
  slot.thread_.store(thread, kRelease);
  slot.since_.store(ticks(clock_.roughly_now()), kRelease);
  slot.published_.store(ticket, kRelease);
}

inline Loan PoolCore::lend(Claim claim, const CallSite& site) noexcept {
  PoolSlot& slot = *claim.slot;
  Affinity& affinity = affinities[id_ % kAffinities];
  if (affinity.pool != id_) watch_for_the_end_of_this_thread();
  affinity = {id_, &slot};
  publish(slot, claim.ticket, site, this_thread_number());
  if (claim.ticket % kHoldsASample == 0) slot.sampled_since_ = clock_.now();
  HeldHere::add();
  return {this, &slot, claim.ticket, slot.resource_.load(std::memory_order_relaxed), &slot.word_};
}

inline Loan PoolCore::acquire_inline(const AcquireOptions* options, const CallSite& site) {
  if (generation_ != ForkGeneration::now()) throw_of_parent();
  Claim claim = take_fast();
  if (claim.slot == nullptr || (checks_on_acquire_ && needs_check(*claim.slot))) {
    claim = acquire_slowly(claim, options, site);
    if (claim.slot == nullptr) return {};
  }
  return lend(claim, site);
}

Loan PoolCore::acquire(const AcquireOptions& options, const CallSite& site) {
  if (options.stop.stop_requested()) throw_stopped(site);
  return acquire_inline(&options, site);
}

Loan PoolCore::try_acquire(const CallSite& site) { return acquire_inline(nullptr, site); }

// From `claim` on, which has to be checked if it is any. With `waiting` null it
// does not wait, and may come back with nothing.
PoolCore::Claim PoolCore::acquire_slowly(Claim claim, const AcquireOptions* waiting, const CallSite& site) {
  const Visit visit(*this);
  if (claim.slot != nullptr && is_usable(*claim.slot)) return claim;
  std::optional<Wait> wait;
  while (true) {
    {
      const MutexLock lock(mutex_);
      if (state_ != PoolState::active) throw_closed();
      claim = take_idle(Marking::no);
      // Those who wait already come first where there is nothing to be had at once.
      if (claim.slot == nullptr && waiters_.empty()) claim = take_closed(FirstUse::of_a_loan);
    }
    if (claim.slot == nullptr) {
      if (waiting == nullptr) return {};
      if (!wait) wait.emplace(*this, *waiting);
      claim = queue_up(*waiting, wait->deadline, site);
    }
    const bool is_new = claim.slot->resource_ == nullptr;
    if (is_new) fill(*claim.slot, FirstUse::of_a_loan);
    if (!is_new && checks_on_acquire_ && !is_usable(*claim.slot)) continue;
    if (wait) add_one(waits_);
    return claim;
  }
}

PoolCore::Claim PoolCore::take_idle(Marking marking) noexcept {
  const std::size_t reach = reach_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < reach; ++i) {
    PoolSlot& slot = slots_[i];
    std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
    while (true) {
      std::uint64_t wanted = word | PoolSlot::kMarked;
      const ResourceState state = PoolSlot::state_of(word);
      if (state == ResourceState::idle) {
        wanted = PoolSlot::word_of(PoolSlot::ticket_of(word) + 1, ResourceState::in_use);
      } else if (marking == Marking::no || state != ResourceState::in_use || wanted == word) {
        break;
      }
      if (!slot.word_.compare_exchange_weak(word, wanted, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        continue;
      }
      if (state == ResourceState::idle) return {&slot, PoolSlot::ticket_of(wanted)};
      break;
    }
  }
  return {};
}

bool PoolCore::can_make() const noexcept {
  if (is_making_ || state_ != PoolState::active || filled_ == slots_.size()) return false;
  const auto is_closed = [](const PoolSlot& slot) {
    return PoolSlot::state_of(slot.word_.load(std::memory_order_relaxed)) == ResourceState::closed;
  };
  const auto begin = slots_.begin();
  return std::any_of(begin, begin + static_cast<std::ptrdiff_t>(limit_.load()), is_closed) ||
         std::any_of(begin + static_cast<std::ptrdiff_t>(options_.max), slots_.end(), is_closed);
}

// A place to make a resource in; whoever gets it has to fill() it.
PoolCore::Claim PoolCore::take_closed(FirstUse use) noexcept {
  if (!can_make()) return {};
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const bool is_overflow = i >= options_.max;
    if (i >= limit_ && !is_overflow) continue;
    if (is_overflow && use == FirstUse::by_the_pool) return {};
    PoolSlot& slot = slots_[i];
    const std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
    if (PoolSlot::state_of(word) != ResourceState::closed) continue;
    const std::uint64_t ticket = PoolSlot::ticket_of(word) + (use == FirstUse::of_a_loan ? 1 : 0);
    assert(can_follow(ResourceState::closed, ResourceState::in_use));
    slot.published_.store(PoolSlot::kNobody, std::memory_order_relaxed);
    slot.word_.store(PoolSlot::word_of(ticket, ResourceState::in_use), std::memory_order_relaxed);
    ++filled_;
    is_making_ = true;
    if (i >= reach_) reach_.store(i + 1, std::memory_order_release);
    return {&slot, ticket};
  }
  return {};
}

void PoolCore::fail_filling(PoolSlot& slot, FirstUse use, const char* reason) noexcept {
  add_one(failed_creations_);
  const MutexLock lock(mutex_);
  if (breaker_) breaker_->failed(clock_.now());
  try {
    last_failure_ = reason;
  } catch (const std::bad_alloc&) {
    last_failure_.clear();
  }
  give_up_filling(slot, use);
}

// Makes the resource of a slot from take_closed().
void PoolCore::fill(PoolSlot& slot, FirstUse use) {
  {
    const MutexLock lock(mutex_);
    if (breaker_ && !breaker_->let_through(clock_.now())) {
      add_one(refused_creations_);
      give_up_filling(slot, use);
      throw OpenError("making " + options_.name +
                          " has failed too often, and is not tried again for a while; the last time: " + last_failure_,
                      ErrorDetails{.sql = {}, .database = {}, .retryable = true});
    }
  }
  void* resource = nullptr;
  try {
    resource = kind_->make();
  } catch (const std::exception& error) {
    fail_filling(slot, use, error.what());
    throw;
  } catch (...) {  // of a factory of the user's
    fail_filling(slot, use, "an exception that is not a std::exception");
    throw;
  }
  add_one(created_);
  const Clock::time_point now = clock_.now();
  const std::uint64_t ticket = PoolSlot::ticket_of(slot.word_.load(std::memory_order_relaxed));
  const std::uint64_t first = use == FirstUse::of_a_loan ? ticket : ticket + 1;
  const MutexLock lock(mutex_);
  if (breaker_) breaker_->succeeded();
  slot.id_ = ++last_resource_;
  slot.first_ticket_ = first;
  slot.errors_ = 0;
  slot.condemned_.reset();
  slot.made_at_ = ticks(now);
  slot.validated_at_ = ticks(now);
  slot.idle_since_ = ticks(now);
  const double chance = static_cast<double>(random_()) / static_cast<double>(std::minstd_rand::max());
  slot.dies_at_ = ticks(end_of_life(upkeep_, now, chance));
  slot.returns_slowly_at_ = is_overflow(slot) || upkeep_.validate_on_release == ValidateOnRelease::yes ? 0
                            : upkeep_.max_uses ? first + *upkeep_.max_uses - 1
                                               : kNoTicket;
  slot.resource_ = resource;
  is_making_ = false;
  wake_next();
}

void PoolCore::give_up_filling(PoolSlot& slot, FirstUse use) noexcept {
  is_making_ = false;
  if (use == FirstUse::of_a_loan) add_one(not_lent_);
  put_back(slot);
}

ResourceFacts PoolCore::facts_of(const PoolSlot& slot) const noexcept {
  return {.made_at = time_of(slot.made_at_),
          .dies_at = time_of(slot.dies_at_),
          .idle_since = time_of(slot.idle_since_),
          .validated_at = time_of(std::max(slot.validated_at_.load(), slot.idle_since_.load())),
          .uses = PoolSlot::ticket_of(slot.word_) - slot.first_ticket_ + 1,
          .errors = slot.errors_};
}

// Whether an idle slot that was just taken has to be looked at before it is lent.
bool PoolCore::needs_check(const PoolSlot& slot) const noexcept {
  const Clock::time_point now = clock_.roughly_now();
  const ResourceFacts facts = facts_of(slot);
  return now >= facts.dies_at || is_validated_on_acquire(facts, upkeep_, now);
}

// Of a slot in the calling thread's hands, that was idle. When it is not usable it is closed.
bool PoolCore::is_usable(PoolSlot& slot) {
  const Clock::time_point now = clock_.now();
  ResourceFacts facts = facts_of(slot);
  --facts.uses;  // this one
  std::optional<CloseReason> reason = reason_to_replace(facts, upkeep_, now);
  if (!reason && is_validated_on_acquire(facts, upkeep_, now)) {
    add_one(validations_);
    if (!kind_->is_valid(slot.resource_)) reason = CloseReason::invalid;
  }
  if (!reason) return true;
  add_one(not_lent_);
  close_resource(slot, *reason);
  bring_back(slot);
  return false;
}

// Waiting

PoolCore::Claim PoolCore::queue_up(const AcquireOptions& options, Clock::time_point deadline, const CallSite& site) {
  Waiter self{.site = site, .thread = this_thread_number(), .since = clock_.now()};
  std::optional<WaitEdge> edge;
  // Others may wait for what this thread holds.
  if (HeldHere::any() && self.since < deadline) edge.emplace(*this, site, self.is_over);
  // Its destructor waits for a notification that is under way, so it has to come after the lock's.
  const std::stop_callback on_stop(options.stop, [&] {
    const MutexLock lock(mutex_);
    self.is_over = true;
    self.wake.notify_one();
  });
  MutexLock lock(mutex_);
  self.place = waiters_.insert(waiters_.end(), &self);
  ++waiting_;
  Claim claim;
  while (true) {
    claim = self.granted;
    if (claim.slot != nullptr || state_ != PoolState::active || options.stop.stop_requested()) break;
    claim = take_idle(Marking::yes);
    if (claim.slot == nullptr && waiters_.front() == &self) claim = take_closed(FirstUse::of_a_loan);
    if (claim.slot != nullptr) break;
    if (clock_.now() >= deadline) break;
    clock_.wait_until(self.wake, lock, deadline);
    if (std::exchange(self.is_woken, false)) is_wake_pending_ = false;
  }
  leave_queue(self);
  if (claim.slot != nullptr) {
    self.is_over = true;
    return claim;
  }
  if (state_ != PoolState::active) throw_closed();
  if (options.stop.stop_requested()) throw_stopped(site);
  throw_timeout(site);
}

// Whoever leaves sees to it that those who stay hear of what is free.
void PoolCore::leave_queue(Waiter& waiter) noexcept {
  if (waiter.granted.slot == nullptr) {
    waiters_.erase(waiter.place);
    --waiting_;
  }
  wake_next();
}

// Who waits now hears that it is over.
void PoolCore::dismiss_waiters() noexcept {
  for (Waiter* const waiter : waiters_) {
    waiter->is_over = true;
    waiter->wake.notify_one();
  }
}

// Wakes the one who has waited longest, if there is something to be had; else
// makes sure that what comes back will wake somebody.
void PoolCore::wake_next() noexcept {
  if (waiters_.empty() || is_wake_pending_) return;
  bool is_worth_it = can_make();
  const std::size_t reach = reach_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < reach && !is_worth_it; ++i) is_worth_it = !mark_unless_idle(slots_[i]);
  if (!is_worth_it) return;
  is_wake_pending_ = true;
  waiters_.front()->is_woken = true;
  waiters_.front()->wake.notify_one();
}

// False when it is idle.
bool PoolCore::mark_unless_idle(PoolSlot& slot) noexcept {
  std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
  while (PoolSlot::state_of(word) == ResourceState::in_use && (word & PoolSlot::kMarked) == 0) {
    if (slot.word_.compare_exchange_weak(word, word | PoolSlot::kMarked, std::memory_order_acq_rel,
                                         std::memory_order_relaxed)) {
      return true;
    }
  }
  return PoolSlot::state_of(word) != ResourceState::idle;
}

// Coming back

void PoolCore::release(PoolSlot& slot, std::uint64_t ticket) noexcept {
  if (generation_ != ForkGeneration::now()) return;  // the parent's
  const std::uint64_t held = PoolSlot::word_of(ticket, ResourceState::in_use);
  if ((slot.word_.load(std::memory_order_relaxed) & ~PoolSlot::kMarked) != held) return release_void_lease();
  if (slot.thread_.load(std::memory_order_relaxed) == this_thread_number()) HeldHere::remove();
  Cleaning cleaning = Cleaning::nothing_to_do;
  if (cleans_) {
    cleaning = kind_->clean(slot.resource_.load(std::memory_order_relaxed));
    if (cleaning != Cleaning::nothing_to_do) add_one(cleaned_);
  }
  if (ticket % kHoldsASample == 0) hold_times_.record(clock_.now() - slot.sampled_since_);
  if (cleaning != Cleaning::broken && ticket < slot.returns_slowly_at_) {
    if (notes_idleness_) slot.idle_since_.store(ticks(clock_.roughly_now()), std::memory_order_relaxed);
    std::uint64_t word = held;
    const std::uint64_t idle = PoolSlot::word_of(ticket, ResourceState::idle);
    if (slot.word_.compare_exchange_strong(word, idle, std::memory_order_acq_rel, std::memory_order_relaxed)) return;
  }
  release_slowly(slot, cleaning);
}

void PoolCore::release_slowly(PoolSlot& slot, Cleaning cleaning) noexcept {
  bool is_valid = cleaning != Cleaning::broken;
  if (is_valid && upkeep_.validate_on_release == ValidateOnRelease::yes) {
    add_one(validations_);
    is_valid = kind_->is_valid(slot.resource_);
  }
  const Clock::time_point now = clock_.now();
  slot.idle_since_ = ticks(now);
  MutexLock lock(mutex_);
  if (std::exchange(slot.is_interrupted_, false)) kind_->resume(slot.resource_);
  std::optional<CloseReason> reason = slot.condemned_;
  if (cleaning == Cleaning::broken) {
    reason = CloseReason::broken;
  } else if (!is_valid) {
    reason = CloseReason::invalid;
  } else if (state_ != PoolState::active) {
    reason = CloseReason::pool_closed;
  } else if (!reason && is_overflow(slot)) {
    reason = CloseReason::overflow;
  } else if (!reason) {
    reason = reason_to_replace(facts_of(slot), upkeep_, now);
  }
  if (reason) {
    lock.unlock();
    close_resource(slot, *reason);
    lock.lock();
  }
  put_back(slot);
  const bool is_last = is_over();
  lock.unlock();
  if (is_last) delete this;
}

// It was recovered from its thread before.
void PoolCore::release_void_lease() noexcept {
  MutexLock lock(mutex_);
  --void_leases_;
  const bool is_last = is_over();
  lock.unlock();
  if (is_last) delete this;
}

// What the pool has taken itself. By a visitor.
void PoolCore::bring_back(PoolSlot& slot) noexcept {
  MutexLock lock(mutex_);
  if (slot.resource_ != nullptr && state_ != PoolState::active) {
    lock.unlock();
    close_resource(slot, CloseReason::pool_closed);
    lock.lock();
  }
  put_back(slot);
}

// Of a slot in the calling thread's hands.
void PoolCore::close_resource(PoolSlot& slot, CloseReason reason) noexcept {
  {
    const MutexLock lock(mutex_);
    if (reason == CloseReason::broken || reason == CloseReason::invalid) set_state(slot, ResourceState::error);
    slot.condemned_.reset();
    slot.published_ = PoolSlot::kNobody;
  }
  kind_->destroy(slot.resource_.exchange(nullptr), reason);
  add_one(closed_[static_cast<std::size_t>(reason)]);
}

// Of a slot in the calling thread's hands. It can have a resource or none.
void PoolCore::put_back(PoolSlot& slot) noexcept {
  if (watchers_ > 0) returned_.notify_all();
  if (slot.resource_ == nullptr) {
    --filled_;
    set_state(slot, ResourceState::closed);
    wake_next();
    return;
  }
  Waiter* const oldest = waiters_.empty() ? nullptr : waiters_.front();
  if (oldest != nullptr && state_ == PoolState::active && clock_.now() - oldest->since >= options_.patience) {
    const std::uint64_t ticket = PoolSlot::ticket_of(slot.word_.load(std::memory_order_relaxed)) + 1;
    slot.word_.store(PoolSlot::word_of(ticket, ResourceState::in_use) | PoolSlot::kMarked, std::memory_order_relaxed);
    publish(slot, ticket, oldest->site, oldest->thread);
    oldest->granted = {&slot, ticket};
    oldest->is_over = true;
    waiters_.pop_front();
    --waiting_;
    oldest->wake.notify_one();
    return;
  }
  set_state(slot, ResourceState::idle);
  wake_next();
}

// Takes the mark away.
void PoolCore::set_state(PoolSlot& slot, ResourceState state) noexcept {
  const std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
  assert(can_follow(PoolSlot::state_of(word), state));
  slot.word_.store(PoolSlot::word_of(PoolSlot::ticket_of(word), state), std::memory_order_release);
}

void PoolCore::count_error(PoolSlot& slot) noexcept {
  const std::uint64_t errors = slot.errors_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (upkeep_.max_errors && errors >= *upkeep_.max_errors) slot.returns_slowly_at_ = 0;
}

void PoolCore::retire(PoolSlot& slot) noexcept {
  if (generation_ != ForkGeneration::now()) return;
  const MutexLock lock(mutex_);
  slot.condemned_ = CloseReason::broken;
  slot.returns_slowly_at_ = 0;
}

// A thread's end

void PoolCore::recover_from_ending_thread() noexcept {
  while (true) {
    Recovered lost;
    PoolCore* owner = nullptr;
    {
      const MutexLock lock(ForkGeneration::mutex());
      for (PoolCore* const core : pools()) {
        if (core->generation_ != ForkGeneration::now()) continue;
        lost = core->take_from_this_thread();
        owner = core;
        if (lost.slot != nullptr) break;
      }
    }
    if (lost.slot == nullptr) return;
    owner->recover(lost);  // the slot keeps it alive
  }
}

// Makes one of its leases void, if there is any.
PoolCore::Recovered PoolCore::take_from_this_thread() noexcept {
  const MutexLock lock(mutex_);
  for (PoolSlot& slot : slots_) {
    const std::optional<Holder> holder = holder_of(slot);
    if (!holder || holder->thread != this_thread_number()) continue;
    Recovered lost{&slot, report_on(slot, clock_.now())};
    slot.word_.fetch_add(PoolSlot::kOneTicket);
    slot.published_ = PoolSlot::kNobody;
    ++slot.first_ticket_;  // that was no use
    if (slot.returns_slowly_at_ != 0 && slot.returns_slowly_at_ != kNoTicket) ++slot.returns_slowly_at_;
    ++void_leases_;
    return lost;
  }
  return {};
}

void PoolCore::recover(const Recovered& lost) noexcept {
  add_one(not_lent_);
  add_one(recovered_);
  if (lost.report && upkeep_.on_leak) upkeep_.on_leak(*lost.report);
  const Cleaning cleaning = cleans_ ? kind_->clean(lost.slot->resource_) : Cleaning::nothing_to_do;
  if (cleaning != Cleaning::nothing_to_do) add_one(cleaned_);
  release_slowly(*lost.slot, cleaning);
}

// What the templates use

void Loan::give_back() noexcept {
  if (slot != nullptr) core->release(*slot, ticket);
}

void Loan::count_error() noexcept {
  if (is_live()) core->count_error(*slot);
}

void Loan::retire() noexcept {
  if (is_live()) core->retire(*slot);
}

void Loan::unbind() noexcept {
  if (!is_live()) return;
  if (slot->thread_.exchange({}, std::memory_order_relaxed) == this_thread_number()) HeldHere::remove();
}

PoolBase::PoolBase(const PoolOptions& options, std::unique_ptr<ResourceKind> kind, Clock* clock)
    : core_(new PoolCore(options, std::move(kind), clock == nullptr ? Clock::steady() : *clock)) {
  try {
    core_->start();
  } catch (...) {
    core_->orphan();
    throw;
  }
}

PoolBase::~PoolBase() { core_->orphan(); }

Loan PoolBase::acquire(const AcquireOptions& options, const CallSite& site) { return core_->acquire(options, site); }
Loan PoolBase::try_acquire(const CallSite& site) { return core_->try_acquire(site); }
void PoolBase::count_fallback() noexcept { core_->count_fallback(); }
void PoolBase::maintain_now() { core_->maintain(); }
std::size_t PoolBase::prune() { return core_->prune(); }
std::vector<LeaseReport> PoolBase::drain(std::chrono::milliseconds timeout) {
  return core_->drain(core_->clock().deadline(timeout));
}
void PoolBase::close(std::chrono::milliseconds timeout) { core_->close(core_->clock().deadline(timeout)); }
PoolStatistics PoolBase::statistics() const { return core_->statistics(); }
PoolState PoolBase::state() const noexcept { return core_->state(); }
std::size_t PoolBase::load() const noexcept { return core_->load(); }
bool PoolBase::is_healthy() const { return core_->is_healthy(); }
std::vector<ResourceReport> PoolBase::resources() const { return core_->resources(); }

}  // namespace sqlane::detail
