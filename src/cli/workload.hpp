#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cli/file_stats.hpp"
#include "cli/wal_reader.hpp"

namespace sqlane::cli {

// The time that a workload is watched by; tests bring their own.
struct Pace {
  std::function<std::chrono::steady_clock::time_point()> now;
  std::function<bool(std::chrono::nanoseconds)> sleep;  // false: it is to end
};

// What other processes have done to a database in one interval, seen in its log.
struct WorkloadInterval {
  std::chrono::duration<double> elapsed{};  // since the watching began
  std::chrono::duration<double> length{};
  LogAdvance log;
  std::uint64_t checkpoints = 0;  // during which the log was copied back, in whole or in part
  std::uint64_t log_bytes = 0;    // the file, at the end
  std::uint64_t log_frames = 0;   // since it started over
  std::optional<std::uint64_t> checkpointed_frames;
  std::uint64_t database_bytes = 0;  // at the end, what is in the log alone included
  std::int64_t growth = 0;           // since the watching began

  [[nodiscard]] double per_second(std::uint64_t count) const {
    return length.count() > 0 ? static_cast<double>(count) / length.count() : 0;
  }
  [[nodiscard]] double frames_per_commit() const {
    return log.commits > 0 ? static_cast<double>(log.frames) / static_cast<double>(log.commits) : 0;
  }
};

struct Workload {
  std::filesystem::path path;
  std::chrono::duration<double> interval{1};
  WorkloadInterval last;
  LogAdvance total;
  std::uint64_t checkpoints = 0;
  std::deque<double> commits_per_second;  // of the last intervals, the newest at the end
  std::optional<FileStats> tables;        // at times: it takes reading the whole file
  std::string tables_note;                // why they are missing
};

struct WatchOptions {
  std::filesystem::path path;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::uint64_t count = 0;  // intervals; 0: until Pace::sleep says so
};

// How long to wait after a look at the log that saw so many new frames: less the
// faster it grows, so that it cannot start over, and reach what nobody has seen.
[[nodiscard]] std::chrono::nanoseconds next_step(std::chrono::nanoseconds step, std::uint64_t frames);

// Calls `show` after each interval. The database is open only while its tables
// are looked at, so that the others close it as if nobody watched.
void watch_workload(const WatchOptions& options, const Pace& pace, const std::function<void(const Workload&)>& show);

}  // namespace sqlane::cli
