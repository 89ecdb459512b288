#include <algorithm>
#include <utility>

#include "pool/pool_core.hpp"

namespace sqlane::detail {

void PoolCore::maintain() {
  const Visit visit(*this);
  const MutexLock one(maintaining_);
  if (state_ != PoolState::active) return;
  report_overstaying();
  close_idle_that_are_due();
  condemn_those_in_use_that_are_due();
  adapt_size();
  refill(Failures::swallowed);
}

std::size_t PoolCore::prune() {
  const Visit visit(*this);
  std::size_t closed = 0;
  for (PoolSlot& slot : slots_) {
    {
      const MutexLock lock(mutex_);
      if (state_ != PoolState::active || count(ResourceState::idle) <= upkeep_.min_idle) break;
      if (PoolSlot::state_of(slot.word_) != ResourceState::idle || !take_for_the_pool(slot)) continue;
    }
    close_resource(slot, CloseReason::shrinking);
    ++closed;
    bring_back(slot);
  }
  return closed;
}

void PoolCore::close_idle_that_are_due() {
  for (PoolSlot& slot : slots_) {
    const Clock::time_point now = clock_.now();
    const auto reason_to_close = [&]() -> std::optional<CloseReason> {
      if (index_of(slot) >= limit_) return CloseReason::shrinking;
      const std::size_t idle = count(ResourceState::idle);
      const std::size_t spare = idle - std::min(idle, upkeep_.min_idle);
      return reason_to_close_idle(facts_of(slot), upkeep_, now, spare);
    };
    bool is_validated = false;
    std::optional<CloseReason> reason;
    {
      const MutexLock lock(mutex_);
      if (state_ != PoolState::active) return;
      if (PoolSlot::state_of(slot.word_) != ResourceState::idle) continue;
      reason = reason_to_close();
      is_validated = !reason && is_validated_by_maintenance(facts_of(slot), upkeep_, now);
      if (!(reason || is_validated) || !take_for_the_pool(slot)) continue;
    }
    if (is_validated) {
      add_one(validations_);
      slot.validated_at_ = ticks(now);
      if (!kind_->is_valid(slot.resource_)) reason = CloseReason::invalid;
    }
    if (reason) close_resource(slot, *reason);
    bring_back(slot);
  }
}

void PoolCore::condemn_those_in_use_that_are_due() {
  const Clock::time_point now = clock_.now();
  const MutexLock lock(mutex_);
  for (PoolSlot& slot : slots_) {
    const bool is_beyond = index_of(slot) >= limit_ && !is_overflow(slot);
    if (slot.resource_ == nullptr || (!is_beyond && now < time_of(slot.dies_at_))) continue;
    if (!mark_unless_idle(slot) || PoolSlot::state_of(slot.word_) != ResourceState::in_use) continue;
    slot.condemned_ = is_beyond ? CloseReason::shrinking : CloseReason::age;
  }
}

void PoolCore::report_overstaying() {
  if (!upkeep_.leak_threshold) return;
  std::vector<LeaseReport> overstaying;
  {
    const MutexLock lock(mutex_);
    const Clock::time_point now = clock_.now();
    for (PoolSlot& slot : slots_) {
      if (now - time_of(slot.since_) < *upkeep_.leak_threshold || slot.reported_ == slot.published_) continue;
      std::optional<LeaseReport> report = report_on(slot, now);
      if (!report || report->held < *upkeep_.leak_threshold) continue;
      slot.reported_ = slot.published_;
      add_one(overstayed_);
      overstaying.push_back(*std::move(report));
      if (upkeep_.overstaying == Overstaying::interrupted) interrupt(slot);
    }
  }
  if (!upkeep_.on_leak) return;
  for (const LeaseReport& report : overstaying) upkeep_.on_leak(report);
}

void PoolCore::adapt_size() {
  if (!upkeep_.adaptive_size) return;
  const Clock::time_point now = clock_.now();
  const std::uint64_t waits = waits_ + timeouts_;
  const std::uint64_t held = hold_times_.sum() * kHoldsASample;
  const double time =
      std::chrono::duration<double, std::nano>(now - last_adapted_).count() * static_cast<double>(limit_);
  const double busy = time > 0 ? static_cast<double>(held - held_then_) / time : 0;
  const double in_use = static_cast<double>(count_in_use()) / static_cast<double>(limit_);
  const Demand demand{.utilisation = std::max(busy, in_use), .has_waited = waits != waits_then_ || waiting_ > 0};
  last_adapted_ = now;
  waits_then_ = waits;
  held_then_ = held;
  adaptive_ = next_size(adaptive_, demand, *upkeep_.adaptive_size, options_.max);
  adaptive_.limit = std::max(adaptive_.limit, upkeep_.min_idle);
  const MutexLock lock(mutex_);
  limit_ = adaptive_.limit;
  wake_next();
}

// Makes what min_idle lacks.
void PoolCore::refill(Failures failures) {
  const Visit visit(*this);
  while (true) {
    Claim claim;
    {
      const MutexLock lock(mutex_);
      if (count(ResourceState::idle) >= upkeep_.min_idle) return;
      claim = take_closed(FirstUse::by_the_pool);
    }
    if (claim.slot == nullptr) return;
    try {
      fill(*claim.slot, FirstUse::by_the_pool);
    } catch (...) {
      if (failures == Failures::thrown) throw;
      return;
    }
    try {
      kind_->warm_up(claim.slot->resource_);
    } catch (...) {
      close_resource(*claim.slot, CloseReason::invalid);
      bring_back(*claim.slot);
      if (failures == Failures::thrown) throw;
      return;
    }
    bring_back(*claim.slot);
  }
}

}  // namespace sqlane::detail
