#include "sqlane/process.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <sqlite3.h>

#include "base/fork.hpp"
#include "sqlane/error.hpp"

namespace sqlane {
namespace {

constexpr std::size_t kLargestLimit = std::numeric_limits<std::int64_t>::max();

void expect_valid(const ProcessOptions& options) {
  if (options.heap_limit > kLargestLimit) throw UsageError("ProcessOptions::heap_limit is too large");
  if (options.heap_limit != 0 && options.memory_statistics == MemoryStatistics::off) {
    throw UsageError("ProcessOptions::heap_limit needs MemoryStatistics::on: SQLite would not heed it");
  }
}

}  // namespace

void configure_process(const ProcessOptions& options) {
  using detail::ForkGeneration;
  static std::optional<ProcessOptions> configured;
  expect_valid(options);
  static_cast<void>(ForkGeneration::watch());
  // Also held by whoever initialises SQLite for a first connection.
  const detail::MutexLock lock(ForkGeneration::mutex());
  if (configured == options) return;
  if (configured) throw UsageError("configure_process() was called before, with other options");
  const int statistics = options.memory_statistics == MemoryStatistics::on ? 1 : 0;
  if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, statistics) != SQLITE_OK) {
    throw UsageError("SQLite is in use already: configure_process() has to come before the first database is opened");
  }
  // This initialises SQLite.
  if (options.heap_limit != 0 && sqlite3_hard_heap_limit64(static_cast<std::int64_t>(options.heap_limit)) < 0) {
    throw Error("out of memory: SQLite cannot be initialised");
  }
  configured = options;
}

}  // namespace sqlane
