#pragma once

#include "sqlane/statistics.hpp"

namespace sqlane::detail {

// The steps that are drawn in sqlane/statistics.hpp. Pure.

[[nodiscard]] constexpr bool can_follow(PoolState from, PoolState to) noexcept {
  switch (from) {
    case PoolState::active: return to == PoolState::draining || to == PoolState::closed;
    case PoolState::draining: return to == PoolState::closed;
    case PoolState::closed: return false;
  }
  return false;
}

[[nodiscard]] constexpr bool can_follow(ResourceState from, ResourceState to) noexcept {
  switch (from) {
    case ResourceState::idle: return to == ResourceState::in_use;  // also when the pool itself takes it, to close it
    case ResourceState::in_use: return to != ResourceState::in_use;
    case ResourceState::closed: return to == ResourceState::in_use;
    case ResourceState::error: return to == ResourceState::closed;
  }
  return false;
}

}  // namespace sqlane::detail
