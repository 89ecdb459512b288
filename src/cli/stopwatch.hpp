#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "cli/measurements.hpp"
#include "sqlane/histogram.hpp"

namespace sqlane::cli {

// How long each measurement lasts, and what ends all of them.
struct Measuring {
  std::chrono::nanoseconds length = std::chrono::milliseconds(500);
  std::stop_token stop{};

  // Throws sqlane::InterruptedError when it was asked to stop.
  void expect_going_on() const;
};

struct Timed {
  Histogram histogram;
  std::chrono::duration<double> elapsed{};

  [[nodiscard]] double per_second() const {
    return elapsed.count() > 0 ? static_cast<double>(histogram.count()) / elapsed.count() : 0;
  }
};

[[nodiscard]] Latency latency_of(const Histogram& histogram);

// Runs `step` again and again on each of `threads` threads, at least once, and
// takes the time of each. `make_step` makes a thread's own, on that thread. What
// one of them throws ends all, and comes out.
using Step = std::function<void()>;
[[nodiscard]] Timed time_steps(const Measuring& measuring, std::size_t threads,
                               const std::function<Step(std::size_t thread)>& make_step);

}  // namespace sqlane::cli
