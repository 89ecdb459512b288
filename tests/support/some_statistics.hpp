#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <sqlane/sqlane.hpp>
#include <string>
#include <utility>

namespace sqlane::testing {

inline constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// Every number is another one, and no histogram is empty.
inline DatabaseStatistics some_statistics() {
  DatabaseStatistics all{
      .database = "app.db",
      .readers = {.state = PoolState::draining,
                  .limit = 8,
                  .total = 7,
                  .idle = 4,
                  .in_use = 3,
                  .waiting = 2,
                  .acquires = 1001,
                  .waits = 102,
                  .timeouts = 103,
                  .fallbacks = 104,
                  .created = 105,
                  .failed_creations = 106,
                  .refused_creations = 107,
                  .closed = {201, 202, 203, 204, 205, 206, 207, 208, 209},
                  .cleaned = 108,
                  .validations = 109,
                  .overstayed = 110,
                  .interrupted = 111,
                  .recovered = 112},
      .lane = {.waiting = 301, .posted = 302, .commits = 303, .jobs = 304, .guards = 305},
      .statements = {.hits = 401, .prepared = 402},
      .busy_waits = 501,
      .errors = 502,
      .checkpoints = 503,
      .fallback_reads = 504,
      .wal_bytes = 505,
  };
  for (std::uint64_t value = 0; value < 1000; ++value) all.readers.wait_times.record_value(value % 10);
  all.readers.hold_times.record(std::chrono::microseconds(1));
  all.readers.hold_times.record(std::chrono::milliseconds(1500));
  for (const std::uint64_t jobs : {1U, 1U, 2U, 100U}) all.lane.batch_sizes.record_value(jobs);
  return all;
}

inline DatabaseStatistics named(std::string database) { return {.database = std::move(database)}; }

}  // namespace sqlane::testing
