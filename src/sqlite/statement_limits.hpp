#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/clock.hpp"

struct sqlite3;

namespace sqlane::detail {

// Ends the statement that a connection runs when it has run for too long, when
// a stop is requested, or when somebody interrupts the connection's holder: SQLite
// asks from time to time while a statement runs. (Nothing comes from another thread, so a statement of whoever uses the
// connection next cannot be hit.) https://sqlite.org/c3ref/progress_handler.html
class StatementLimits {
 public:
  enum class Cause : std::uint8_t { none, timeout, stop, interruption };

  StatementLimits(Clock& clock, const std::atomic<bool>& is_interrupted)
      : clock_(clock), is_interrupted_(is_interrupted) {}
  StatementLimits(const StatementLimits&) = delete;
  StatementLimits& operator=(const StatementLimits&) = delete;

  // Stays installed, at this address, for as long as `connection` is open.
  void install(sqlite3* connection) noexcept;

  void set(std::optional<std::chrono::milliseconds> timeout, std::stop_token stop);
  void clear() noexcept;

  [[nodiscard]] bool is_set() const noexcept { return is_set_; }
  [[nodiscard]] bool is_interrupted() const noexcept { return is_interrupted_.load(std::memory_order_relaxed); }

  // Called from time to time while a statement runs; false ends it as a stop does.
  void set_tick(std::function<bool()> tick) { tick_ = std::move(tick); }

  // While one lives, statements are not ended: ours, that begin and end transactions, and whatever has to come to its
  // end.
  class Pause {
   public:
    explicit Pause(StatementLimits& limits) noexcept
        : limits_(limits), was_paused_(std::exchange(limits.is_paused_, true)) {}
    ~Pause() { limits_.is_paused_ = was_paused_; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    StatementLimits& limits_;
    const bool was_paused_;
  };
  [[nodiscard]] bool is_paused() const noexcept { return is_paused_; }

  // Call when a statement begins, if there is any limit.
  void begin_statement() noexcept;
  [[nodiscard]] bool stop_requested() const noexcept { return stop_.stop_requested(); }

  // Why the newest statement was ended.
  [[nodiscard]] Cause cause() const noexcept { return cause_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return *timeout_; }

 private:
  static int ask(void* self) noexcept;

  Clock& clock_;
  const std::atomic<bool>& is_interrupted_;
  bool is_set_ = false;
  bool is_paused_ = false;
  std::optional<std::chrono::milliseconds> timeout_;
  std::stop_token stop_;
  std::function<bool()> tick_;
  Clock::time_point deadline_;
  Cause cause_ = Cause::none;
};

}  // namespace sqlane::detail
