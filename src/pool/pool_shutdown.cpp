#include <utility>

#include "pool/pool_core.hpp"
#include "pool/state.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

void PoolCore::shut(PoolState state) noexcept {
  const Visit visit(*this);
  MutexLock lock(mutex_);
  if (can_follow(state_, state)) {
    state_ = state;
    dismiss_waiters();
  }
  // Also when another thread is at it: what has not been looked at could still be idle.
  for (PoolSlot& slot : slots_) {
    if (!take_for_the_pool(slot)) continue;
    lock.unlock();
    bring_back(slot);
    lock.lock();
  }
}

// Takes it if it is idle, else marks it.
bool PoolCore::take_for_the_pool(PoolSlot& slot) noexcept {
  while (!mark_unless_idle(slot)) {
    std::uint64_t word = slot.word_.load(std::memory_order_relaxed);
    if (PoolSlot::state_of(word) != ResourceState::idle) continue;
    const std::uint64_t taken = PoolSlot::word_of(PoolSlot::ticket_of(word), ResourceState::in_use);
    if (slot.word_.compare_exchange_strong(word, taken, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      slot.published_.store(PoolSlot::kNobody, std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

std::vector<LeaseReport> PoolCore::drain(Clock::time_point deadline) {
  const Visit visit(*this);
  shut(PoolState::draining);
  std::vector<LeaseReport> overstaying;
  MutexLock lock(mutex_);
  ++watchers_;
  while (count_in_use() > 0 && clock_.now() < deadline) clock_.wait_until(returned_, lock, deadline);
  --watchers_;
  for (PoolSlot& slot : slots_) {
    std::optional<LeaseReport> report = report_on(slot, clock_.now());
    if (!report) continue;
    overstaying.push_back(*std::move(report));
    interrupt(slot);
  }
  return overstaying;
}

void PoolCore::close(Clock::time_point deadline) {
  const Visit visit(*this);
  shut(PoolState::closed);
  MutexLock lock(mutex_);
  ++watchers_;
  while (count_in_use() > 0 && clock_.now() < deadline) clock_.wait_until(returned_, lock, deadline);
  --watchers_;
  if (count_in_use() > 0) throw TimeoutError(options_.name + " is still in use: " + describe_holders());
}

void PoolCore::expect_foreign_holders(const CallSite& site) {
  const MutexLock lock(mutex_);
  for (const PoolSlot& slot : slots_) {
    const std::optional<Holder> holder = holder_of(slot);
    if (!holder || holder->thread != this_thread_number()) continue;
    throw UsageError("waiting at " + site.to_string() + " for the return of " + options_.name +
                     " would wait for this thread itself: one is held by " + holder->site.to_string());
  }
}

void PoolCore::renew(Clock::time_point deadline) {
  const Visit visit(*this);
  for (PoolSlot& slot : slots_) {
    {
      const MutexLock lock(mutex_);
      if (slot.resource_ == nullptr) continue;
      if (!take_for_the_pool(slot)) {
        if (PoolSlot::state_of(slot.word_) == ResourceState::in_use) slot.condemned_ = CloseReason::invalid;
        continue;
      }
    }
    close_resource(slot, CloseReason::invalid);
    bring_back(slot);
  }
  if (wait_for_turnover(deadline)) return;
  const MutexLock lock(mutex_);
  throw TimeoutError(options_.name + " is still in use: " + describe_holders(), {.retryable = true});
}

void PoolCore::forget_failures() noexcept {
  const MutexLock lock(mutex_);
  if (breaker_) breaker_->succeeded();
}

bool PoolCore::wait_for_turnover(Clock::time_point deadline) {
  const Visit visit(*this);
  MutexLock lock(mutex_);
  std::vector<std::pair<const PoolSlot*, std::uint64_t>> held;
  for (PoolSlot& slot : slots_) {
    if (!mark_unless_idle(slot)) continue;
    const std::uint64_t word = slot.word_;
    if (PoolSlot::state_of(word) != ResourceState::in_use) continue;
    const std::optional<Holder> holder = holder_of(slot);
    if (holder && holder->thread == this_thread_number()) continue;
    held.emplace_back(&slot, PoolSlot::ticket_of(word));
  }
  ++watchers_;
  bool is_over = false;
  while (true) {
    std::erase_if(held, [](const auto& one) {
      const std::uint64_t word = one.first->word_;
      return PoolSlot::ticket_of(word) != one.second || PoolSlot::state_of(word) != ResourceState::in_use;
    });
    is_over = held.empty();
    if (is_over || clock_.now() >= deadline) break;
    clock_.wait_until(returned_, lock, deadline);
  }
  --watchers_;
  return is_over;
}

}  // namespace sqlane::detail
