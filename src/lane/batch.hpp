#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "sqlane/options.hpp"

// Who shares a COMMIT. Pure.

namespace sqlane::detail {

// What somebody wants of the lane.
enum class Claim : std::uint8_t {
  job,            // a closure, on any thread
  job_on_thread,  // a closure, on the thread that waits
  job_alone,      // likewise, and a COMMIT of its own
  hold,           // the lane itself, for a guard
};

[[nodiscard]] constexpr Claim claim_of(Grouping grouping) noexcept {
  switch (grouping) {
    case Grouping::shared: return Claim::job;
    case Grouping::own_thread: return Claim::job_on_thread;
    case Grouping::alone: break;
  }
  return Claim::job_alone;
}

// A transaction under way.
struct BatchSoFar {
  std::size_t jobs = 0;  // whose changes it holds
  Claim first = Claim::job;
  std::chrono::microseconds run_time{0};
  std::size_t bytes = 0;
};

struct NextInLine {
  Claim claim = Claim::job;
  bool is_interruptible = false;
};

// Whether the next in line joins the transaction, or has to wait for its end.
[[nodiscard]] constexpr bool joins(const BatchSoFar& batch, const NextInLine& next,
                                   const BatchLimits& limits) noexcept {
  if (next.claim != Claim::job || batch.first == Claim::job_alone) return false;
  // SQLite rolls back everything when a statement that writes is interrupted.
  if (next.is_interruptible && batch.jobs > 0) return false;
  return batch.jobs < limits.jobs && batch.run_time < limits.run_time && batch.bytes < limits.bytes;
}

// For how many jobs a commit is worth waiting: as many as there were around the
// last one, when those come back who shared it. A lone writer never waits.
class Linger {
 public:
  // Zero: commit now.
  [[nodiscard]] constexpr std::size_t worth_waiting_for(std::size_t jobs) const noexcept {
    return seen_ > 1 && jobs < seen_ ? seen_ : 0;
  }
  constexpr void committed(std::size_t jobs, std::size_t waiting) noexcept { seen_ = jobs + waiting; }

 private:
  std::size_t seen_ = 0;
};

// How often somebody who waits lets others run and looks again, before he
// sleeps. With few, that spares both sides the sleeping and the waking; many
// would take the processor from those who work.
[[nodiscard]] constexpr int looks_among(std::size_t waiting) noexcept {
  constexpr std::size_t kFew = 16;
  return waiting <= kFew ? 32 : 8;
}

}  // namespace sqlane::detail
