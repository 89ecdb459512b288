#pragma once

#include <algorithm>
#include <cstddef>

#include "base/clock.hpp"
#include "sqlane/pool_options.hpp"

namespace sqlane::detail {

// Keeps from trying again and again what fails. Pure: the time comes from outside.
//
//             failures in a row                 open_for has passed
//   closed ─────────────────────► open ────────────────────────────► half_open
//      ▲                           ▲                                   │  │
//      └── a success ──────────────│───────────────────────────────────┘  │
//                                  └────────────── a failure ─────────────┘
// Half open, one try is let through at a time.
class CircuitBreaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  explicit CircuitBreaker(Breaker settings) : settings_(settings) {}

  [[nodiscard]] State state(Clock::time_point now) const noexcept {
    if (failures_ < settings_.failures) return State::closed;
    return now >= open_until_ ? State::half_open : State::open;
  }

  // Whether to try now. Each try that is let through ends with succeeded() or failed().
  [[nodiscard]] bool let_through(Clock::time_point now) noexcept {
    switch (state(now)) {
      case State::closed: return true;
      case State::open: return false;
      case State::half_open: break;
    }
    if (is_trying_) return false;
    is_trying_ = true;
    return true;
  }

  void succeeded() noexcept {
    failures_ = 0;
    is_trying_ = false;
  }

  void failed(Clock::time_point now) noexcept {
    is_trying_ = false;
    failures_ = std::min(failures_ + 1, settings_.failures);
    if (failures_ == settings_.failures) open_until_ = now + settings_.open_for;
  }

 private:
  Breaker settings_;
  std::size_t failures_ = 0;  // in a row
  Clock::time_point open_until_{};
  bool is_trying_ = false;  // half open
};

}  // namespace sqlane::detail
