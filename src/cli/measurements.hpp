#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sqlane/options.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane::cli {

// How long something took, many times over.
struct Latency {
  std::uint64_t count = 0;
  std::chrono::nanoseconds median{};
  std::chrono::nanoseconds p99{};
  std::chrono::nanoseconds max{};
};

// 4 KiB written and synced.
struct SyncMeasurement {
  Latency append;     // to the end of a file
  Latency overwrite;  // in place
  // What 1 %, 2 %, ... of the syncs stayed below, for drawing.
  std::vector<std::pair<double, double>> append_curve{};  // share, seconds
  std::vector<std::pair<double, double>> overwrite_curve{};
};

enum class ReadMode : unsigned char {
  autocommit,  // each read by itself
  snapshot,    // many inside one snapshot
};

struct ReadMeasurement {
  ReadMode mode = ReadMode::autocommit;
  std::size_t threads = 1;
  Locking locking = Locking::shared;
  std::uint64_t page_cache = 0;
  double per_second = 0;
  Latency latency;
};

struct WriteMeasurement {
  Durability durability = Durability::full;
  std::size_t rows = 1;  // of a transaction
  std::size_t threads = 1;
  Locking locking = Locking::shared;
  std::size_t checkpoint_pages = 0;
  double rows_per_second = 0;
  Latency latency;  // of a transaction
};

// What `sqlane bench` found out.
struct BenchMeasurements {
  std::filesystem::path path;
  std::string engine;  // SQLite's version
  std::uint64_t seed = 0;
  std::size_t cores = 1;
  double seconds = 0;  // of each measurement
  std::uint64_t page_size = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t page_cache_for_all = 0;
  std::uint64_t default_page_cache = 0;
  std::size_t default_checkpoint_pages = 0;
  std::string journal_mode;

  SyncMeasurement sync;

  std::vector<std::string> tables;  // whose rows were read
  std::uint64_t keys = 0;           // read in random order
  std::vector<ReadMeasurement> reads;
  std::vector<ReadMeasurement> cache_reads;  // autocommit, one thread, by size of the page cache

  bool is_copy = true;                         // written to a copy of the file; else to an empty database
  std::string write_note;                      // why not to a copy
  std::vector<WriteMeasurement> batches;       // by rows of a transaction, each durability
  std::vector<WriteMeasurement> writers;       // one row each, full, by threads
  std::vector<WriteMeasurement> locking;       // one row each, normal, each locking
  std::vector<ReadMeasurement> locking_reads;  // of the copy, one thread, autocommit
  std::vector<WriteMeasurement> checkpoints;   // ten rows each, normal, by checkpoint_pages
};

[[nodiscard]] constexpr std::string_view name_of(Durability durability) {
  return durability == Durability::full ? "full" : "normal";
}
[[nodiscard]] constexpr std::string_view name_of(Locking locking) {
  return locking == Locking::shared ? "shared" : "exclusive";
}
[[nodiscard]] constexpr std::string_view name_of(ReadMode mode) {
  return mode == ReadMode::autocommit ? "autocommit" : "snapshot";
}

}  // namespace sqlane::cli
