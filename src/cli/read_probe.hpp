#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/file_stats.hpp"
#include "cli/stopwatch.hpp"

namespace sqlane {
class Database;
}

namespace sqlane::cli {

// The key of a row, in text: SQLite takes that for what the column holds.
struct RowKey {
  std::size_t table = 0;  // index into RowKeys::sql
  std::vector<std::string> values;
};

// Rows of a database, to be read one by one, in random order.
struct RowKeys {
  std::vector<std::string> tables;
  std::vector<std::string> sql;  // reads a column of one row
  std::vector<RowKey> keys;
};

// From the largest tables that have rows which can be found by a key: the rowid,
// or the whole primary key, of up to four columns, where there is no rowid.
[[nodiscard]] RowKeys sample_rows(const Database& db, const FileStats& stats, std::uint64_t seed);

struct ReadPlan {
  ReadMode mode = ReadMode::autocommit;
  std::size_t threads = 1;
};

// The cache is warm: all keys were read once by each thread. Inside a snapshot the
// latency is a mean, and has no p99. `keys` must not be empty.
[[nodiscard]] ReadMeasurement measure_reads(const Database& db, const RowKeys& keys, const ReadPlan& plan,
                                            const Measuring& measuring);

}  // namespace sqlane::cli
