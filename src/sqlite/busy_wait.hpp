#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

#include "base/clock.hpp"
#include "sqlite/connection_record.hpp"

struct sqlite3;

namespace sqlane::detail {

// How long to sleep before the next try for a lock that another process has:
// at first about as long as a small commit takes, then twice as long each time,
// but never so long that the lock could come free and be taken again unnoticed
// many times. `random` spreads those who wait, so that they do not all come back
// at once. Pure.
[[nodiscard]] constexpr std::chrono::microseconds busy_delay(int attempt, std::uint32_t random) noexcept {
  constexpr std::int64_t kFirst = 50;
  constexpr int kDoublings = 5;  // up to 1.6 ms
  const std::int64_t longest = kFirst << (attempt < kDoublings ? attempt : kDoublings);
  return std::chrono::microseconds(longest / 2 + random % (longest / 2 + 1));
}

// Waits in SQLite's place for locks of other processes, to a deadline that is
// set when a statement first meets one. Ends early when a stop is requested.
// https://sqlite.org/c3ref/busy_handler.html
class BusyWait {
 public:
  // Counts the locks of other processes that it meets in `met`.
  BusyWait(Clock& clock, std::chrono::milliseconds timeout, OwnCounter& met)
      : clock_(clock), timeout_(timeout), met_(met) {}
  BusyWait(const BusyWait&) = delete;
  BusyWait& operator=(const BusyWait&) = delete;

  // Stays installed, at this address, for as long as `connection` is open.
  void install(sqlite3* connection);

  // Waits once for an answer that SQLite gave without calling the handler.
  // `attempt` counts from 0. False when it is no use any more.
  [[nodiscard]] bool wait(int attempt) noexcept;

  // When waiting ends that begins now, and whether that is over.
  [[nodiscard]] Clock::time_point deadline() { return clock_.deadline(timeout_); }
  [[nodiscard]] bool is_past(Clock::time_point end) { return clock_.now() >= end; }

  // While it is off, locks are not waited for.
  void turn_off() noexcept { is_off_ = true; }
  void turn_on() noexcept { is_off_ = false; }

  void set_stop(std::stop_token stop) noexcept { stop_ = std::move(stop); }

 private:
  Clock& clock_;
  const std::chrono::milliseconds timeout_;
  OwnCounter& met_;
  Clock::time_point deadline_;
  std::stop_token stop_;
  std::uint32_t random_ = 0x9e37'79b9;
  bool is_off_ = false;
};

}  // namespace sqlane::detail
