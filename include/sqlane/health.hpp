#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane {

enum class Verdict : std::uint8_t {
  healthy,
  degraded,   // it works, but something needs a look: all readers in use, the lane held for long, a large log
  unhealthy,  // reads or writes fail
};

[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

// The condition of a database at a moment.
struct Health {
  using Clock = std::chrono::system_clock;

  Verdict verdict = Verdict::healthy;
  std::vector<std::string> reasons{};  // one sentence each; none when healthy
  Clock::time_point since{};           // the verdict has been the same
  std::string last_error{};            // of the newest check that failed; empty when none has
  Clock::time_point last_error_at{};

  [[nodiscard]] bool is_healthy() const noexcept { return verdict == Verdict::healthy; }
};

}  // namespace sqlane
