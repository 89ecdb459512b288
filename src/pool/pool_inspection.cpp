#include <algorithm>
#include <utility>

#include "pool/pool_core.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

std::size_t PoolCore::count(ResourceState state) const noexcept {
  const std::size_t reach = reach_.load(std::memory_order_acquire);
  std::size_t count = 0;
  for (std::size_t i = 0; i < reach; ++i) {
    if (PoolSlot::state_of(slots_[i].word_.load(std::memory_order_relaxed)) == state) ++count;
  }
  return count;
}

// Nothing while it has none, or has got it this instant.
std::optional<Waitable::Holder> PoolCore::holder_of(const PoolSlot& slot) noexcept {
  const std::uint64_t word = slot.word_.load(std::memory_order_acquire);
  const std::uint64_t ticket = PoolSlot::ticket_of(word);
  if (PoolSlot::state_of(word) != ResourceState::in_use) return std::nullopt;
  if (slot.published_.load(std::memory_order_acquire) != ticket) return std::nullopt;
  const Holder holder{slot.thread_, {slot.file_, slot.line_, slot.function_}};
  if ((slot.word_.load(std::memory_order_relaxed) ^ word) & ~PoolSlot::kMarked) return std::nullopt;
  return holder;
}

// Of a lease that cannot end before the mutex is free.
std::optional<LeaseReport> PoolCore::report_on(PoolSlot& slot, Clock::time_point now) {
  if (!mark_unless_idle(slot)) return std::nullopt;
  const std::optional<Holder> holder = holder_of(slot);
  if (!holder) return std::nullopt;
  return LeaseReport{
      .site = holder->site, .held = in_ms(now - time_of(slot.since_)), .activity = kind_->activity(slot.resource_)};
}

void PoolCore::interrupt(PoolSlot& slot) noexcept {
  slot.is_interrupted_ = true;
  if (kind_->interrupt(slot.resource_)) add_one(interrupted_);
}

std::string PoolCore::describe_holders() {
  std::string text;
  const Clock::time_point now = clock_.now();
  for (PoolSlot& slot : slots_) {
    const std::optional<LeaseReport> report = report_on(slot, now);
    if (!report) continue;
    text += (text.empty() ? "" : ", ") + report->site.to_string() + " for " + std::to_string(report->held.count()) +
            " ms" + (report->activity.empty() ? "" : ", running \"" + report->activity + "\"");
  }
  return text;
}

// Those who hold something, when nothing is free, nor ever will be without them.
std::vector<Waitable::Holder> PoolCore::holders() {
  const MutexLock lock(mutex_);
  std::vector<Holder> all;
  for (const PoolSlot& slot : slots_) {
    std::optional<Holder> holder = holder_of(slot);
    if (!holder) return {};
    all.push_back(*std::move(holder));
  }
  return all;
}

std::vector<LeaseReport> PoolCore::leases() {
  const Visit visit(*this);
  const MutexLock lock(mutex_);
  const Clock::time_point now = clock_.now();
  std::vector<LeaseReport> all;
  for (PoolSlot& slot : slots_) {
    if (std::optional<LeaseReport> report = report_on(slot, now)) all.push_back(*std::move(report));
  }
  return all;
}

bool PoolCore::is_healthy() {
  const Visit visit(*this);
  const MutexLock lock(mutex_);
  if (state_ != PoolState::active) return false;
  return !breaker_ || breaker_->state(clock_.now()) != CircuitBreaker::State::open;
}

PoolStatistics PoolCore::statistics() const {
  PoolStatistics now{.state = state_,
                     .limit = limit_,
                     .total = 0,
                     .idle = 0,
                     .in_use = 0,
                     .waiting = waiting_,
                     .waits = waits_,
                     .timeouts = timeouts_,
                     .fallbacks = fallbacks_,
                     .created = created_,
                     .failed_creations = failed_creations_,
                     .refused_creations = refused_creations_,
                     .cleaned = cleaned_,
                     .validations = validations_,
                     .overstayed = overstayed_,
                     .interrupted = interrupted_,
                     .recovered = recovered_,
                     .wait_times = wait_times_,
                     .hold_times = hold_times_};
  for (std::size_t i = 0; i < kCloseReasons; ++i) now.closed[i] = closed_[i];
  const std::uint64_t not_lent = not_lent_;
  for (const PoolSlot& slot : slots_) {
    const std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
    now.acquires += PoolSlot::ticket_of(word);
    const ResourceState state = PoolSlot::state_of(word);
    if (state != ResourceState::closed) ++now.total;
    if (state == ResourceState::idle) ++now.idle;
    if (state == ResourceState::in_use) ++now.in_use;
  }
  now.acquires -= std::min(now.acquires, not_lent);
  return now;
}

std::vector<ResourceReport> PoolCore::resources() const {
  std::vector<ResourceReport> all;
  const Clock::time_point now = clock_.now();
  for (const PoolSlot& slot : slots_) {
    const ResourceState state = PoolSlot::state_of(slot.word_);
    if (state == ResourceState::closed || slot.resource_ == nullptr) continue;
    ResourceFacts facts = facts_of(slot);
    facts.idle_since = std::max(facts.idle_since, time_of(slot.since_));
    all.push_back({.id = slot.id_,
                   .state = state,
                   .age = in_ms(now - facts.made_at),
                   .idle = state == ResourceState::idle ? in_ms(now - facts.idle_since) : std::chrono::milliseconds(0),
                   .uses = facts.uses,
                   .errors = facts.errors});
  }
  return all;
}

void PoolCore::throw_closed() const {
  throw ClosedError(options_.name + " is not lent any more: its pool " +
                    (state_ == PoolState::draining ? "is being drained" : "has been closed"));
}

void PoolCore::throw_of_parent() const {
  throw UsageError("the pool that lends " + options_.name +
                   " was made before this process was forked: it is the parent's");
}

void PoolCore::throw_stopped(const CallSite& site) const {
  throw InterruptedError("stopped while waiting for " + options_.name + " at " + site.to_string());
}

void PoolCore::throw_timeout(const CallSite& site) {
  add_one(timeouts_);
  throw TimeoutError(
      "waiting for " + options_.name + " at " + site.to_string() + " took too long; held by " + describe_holders(),
      ErrorDetails{.sql = {}, .database = {}, .retryable = true});
}

}  // namespace sqlane::detail
