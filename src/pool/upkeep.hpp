#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "sqlane/pool_options.hpp"
#include "sqlane/statistics.hpp"

namespace sqlane::detail {

// What becomes of resources. Pure.

// What is known of a resource.
struct ResourceFacts {
  Clock::time_point made_at{};
  Clock::time_point dies_at = Clock::time_point::max();
  Clock::time_point idle_since{};
  Clock::time_point validated_at{};  // or made, or last used
  std::uint64_t uses = 0;
  std::uint64_t errors = 0;
};

// When a resource that is made now is too old; `chance` from 0 to 1.
[[nodiscard]] inline Clock::time_point end_of_life(const Upkeep& upkeep, Clock::time_point now, double chance) {
  if (!upkeep.max_lifetime) return Clock::time_point::max();
  const auto longest = std::chrono::duration<double, Clock::duration::period>(*upkeep.max_lifetime);
  return now + std::chrono::duration_cast<Clock::duration>(longest * (1 - upkeep.lifetime_jitter * chance));
}

// Why it must not be used any more, whether idle or in use.
[[nodiscard]] inline std::optional<CloseReason> reason_to_replace(const ResourceFacts& facts, const Upkeep& upkeep,
                                                                  Clock::time_point now) {
  if (upkeep.max_errors && facts.errors >= *upkeep.max_errors) return CloseReason::errors;
  if (upkeep.max_uses && facts.uses >= *upkeep.max_uses) return CloseReason::uses;
  if (now >= facts.dies_at) return CloseReason::age;
  return std::nullopt;
}

// Why an idle one is closed by maintenance, `spare` being how many there are beyond min_idle.
[[nodiscard]] inline std::optional<CloseReason> reason_to_close_idle(const ResourceFacts& facts, const Upkeep& upkeep,
                                                                     Clock::time_point now, std::size_t spare) {
  if (const auto reason = reason_to_replace(facts, upkeep, now)) return reason;
  if (upkeep.idle_timeout && spare > 0 && now - facts.idle_since >= *upkeep.idle_timeout) return CloseReason::idle;
  return std::nullopt;
}

[[nodiscard]] inline bool is_validated_by_maintenance(const ResourceFacts& facts, const Upkeep& upkeep,
                                                      Clock::time_point now) {
  return upkeep.validation_interval && now - facts.validated_at >= *upkeep.validation_interval;
}

[[nodiscard]] inline bool is_validated_on_acquire(const ResourceFacts& facts, const Upkeep& upkeep,
                                                  Clock::time_point now) {
  switch (upkeep.validate_on_acquire) {
    case ValidateOnAcquire::never: return false;
    case ValidateOnAcquire::if_idle_longer_than: return now - facts.idle_since > upkeep.validation_idle;
    case ValidateOnAcquire::always: return true;
  }
  return true;
}

// The size that follows demand, with the memory that keeps it from swinging.
struct AdaptiveState {
  std::size_t limit = 1;
  std::size_t rounds_to_grow = 0;
  std::size_t rounds_to_shrink = 0;
};

struct Demand {
  double utilisation = 0;   // the most that were in use at once since the last round, as a share of the limit
  bool has_waited = false;  // somebody, since then
};

[[nodiscard]] inline AdaptiveState next_size(AdaptiveState state, const Demand& demand, const AdaptiveSize& settings,
                                             std::size_t max) {
  const bool wants_more = demand.has_waited || demand.utilisation > settings.grow_above;
  const bool wants_less = !wants_more && demand.utilisation < settings.shrink_below;
  state.rounds_to_grow = wants_more ? state.rounds_to_grow + 1 : 0;
  state.rounds_to_shrink = wants_less ? state.rounds_to_shrink + 1 : 0;
  const std::size_t least = std::clamp<std::size_t>(settings.least, 1, max);
  if (state.rounds_to_grow >= settings.rounds) {
    state.limit = std::min(state.limit + 1, max);
    state.rounds_to_grow = 0;
  } else if (state.rounds_to_shrink >= settings.rounds) {
    state.limit = std::max(state.limit - 1, least);
    state.rounds_to_shrink = 0;
  }
  state.limit = std::clamp(state.limit, least, max);
  return state;
}

}  // namespace sqlane::detail
