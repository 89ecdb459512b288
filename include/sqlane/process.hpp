#pragma once

#include <cstddef>
#include <cstdint>

namespace sqlane {

// Whether SQLite counts what it allocates.
enum class MemoryStatistics : std::uint8_t {
  on,
  // No allocation takes the one mutex that guards the counters, so that preparing
  // statements scales over threads. https://sqlite.org/c3ref/c_config_covering_index_scan.html
  off,
};

// Settings of SQLite itself, which all its connections in a process share,
// also those that are not sqlane's.
struct ProcessOptions {
  MemoryStatistics memory_statistics = MemoryStatistics::on;

  // Bytes that SQLite may have on the heap, page caches and changed pages
  // included; 0: no limit. What needs more is an Error with code() 7
  // (SQLITE_NOMEM), on opening an OpenError, and can work again once others have
  // given memory back. Needs the statistics. https://sqlite.org/c3ref/hard_heap_limit64.html
  std::size_t heap_limit = 0;

  friend bool operator==(const ProcessOptions&, const ProcessOptions&) = default;
};

// To be called, if at all, before anything in the process uses SQLite. Throws
// UsageError if something has, if it was called before with other options, and
// for options that contradict each other; nothing has changed then. The same
// options again are no error. A child of fork inherits what its parent had set.
// Safe to use from any thread, but not while code other than sqlane's uses SQLite.
void configure_process(const ProcessOptions& options);

}  // namespace sqlane
