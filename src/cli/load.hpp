#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "cli/subjects.hpp"
#include "sqlane/histogram.hpp"

namespace sqlane::cli {

// Many threads, each looking up coordinate systems and now and then recording a visit.
struct LoadPlan {
  std::size_t threads = 100;
  std::chrono::duration<double> length{5};
  int writes_percent = 10;
  std::int64_t run = 1;
  const std::vector<CrsKey>* keys = nullptr;  // not empty
  std::stop_token stop{};                     // ends it before its time
};

// How it stands while it runs.
struct LoadGlance {
  std::chrono::duration<double> elapsed{};
  double operations_per_second = 0;  // since the last glance
  std::chrono::nanoseconds read_p50{}, read_p99{}, write_p50{}, write_p99{};
  std::size_t waiting = 0;  // threads whose turn has not come
};

struct LoadResult {
  std::chrono::duration<double> elapsed{};
  Histogram reads;
  Histogram writes;
  std::uint64_t busy_errors = 0;
  std::uint64_t other_errors = 0;
  std::string first_error;         // of the other ones
  std::uint64_t misses = 0;        // look-ups that found nothing
  std::uint64_t least_served = 0;  // operations of the thread that got fewest
  std::size_t starved = 0;         // threads with less than a tenth of the mean
  // By worker: the sequence numbers of the visits that were acknowledged.
  std::vector<std::vector<std::int64_t>> acknowledged;

  [[nodiscard]] std::uint64_t operations() const { return reads.count() + writes.count(); }
  [[nodiscard]] double per_second() const { return static_cast<double>(operations()) / elapsed.count(); }
};

// Runs the plan; calls `on_glance` a few times a second on the calling thread.
[[nodiscard]] LoadResult run_load(Subject& subject, const LoadPlan& plan,
                                  const std::function<void(const LoadGlance&)>& on_glance);

}  // namespace sqlane::cli
