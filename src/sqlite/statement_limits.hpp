#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>

#include "base/clock.hpp"

struct sqlite3;

namespace sqlane::detail {

// Ends the statement that a connection runs when it has run for too long, or
// when a stop is requested: SQLite asks from time to time while a statement
// runs. (Nothing comes from another thread, so a statement of whoever uses the
// connection next cannot be hit.) https://sqlite.org/c3ref/progress_handler.html
class StatementLimits {
 public:
  enum class Cause : std::uint8_t { none, timeout, stop };

  explicit StatementLimits(Clock& clock) : clock_(clock) {}
  StatementLimits(const StatementLimits&) = delete;
  StatementLimits& operator=(const StatementLimits&) = delete;

  void set(sqlite3* connection, std::optional<std::chrono::milliseconds> timeout, std::stop_token stop);
  void clear(sqlite3* connection) noexcept;

  [[nodiscard]] bool is_set() const noexcept { return is_set_; }

  // While one lives, statements are not ended: ours, that begin and end transactions.
  class Pause {
   public:
    explicit Pause(StatementLimits& limits) noexcept : limits_(limits) { limits_.is_paused_ = true; }
    ~Pause() { limits_.is_paused_ = false; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    StatementLimits& limits_;
  };

  // Requires: set. Call when a statement begins.
  void begin_statement() noexcept;
  [[nodiscard]] bool stop_requested() const noexcept { return stop_.stop_requested(); }

  // Why the newest statement was ended.
  [[nodiscard]] Cause cause() const noexcept { return cause_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return *timeout_; }

 private:
  static int ask(void* self) noexcept;

  Clock& clock_;
  bool is_set_ = false;
  bool is_paused_ = false;
  std::optional<std::chrono::milliseconds> timeout_;
  std::stop_token stop_;
  Clock::time_point deadline_;
  Cause cause_ = Cause::none;
};

}  // namespace sqlane::detail
