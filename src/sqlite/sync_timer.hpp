#pragma once

#include "base/clock.hpp"

struct sqlite3;

namespace sqlane::detail {

// Measures how long a connection waits for the disk when it syncs its
// write-ahead log. SQLite has no hook for that; so the log's file methods are
// replaced by a copy of them, in which xSync takes the time as well.
// https://sqlite.org/c3ref/io_methods.html
class SyncTimer {
 public:
  // Does nothing where there is no log yet, or where its file system is not the
  // one that was met first.
  static void install(sqlite3* connection) noexcept;

  // Of all syncs on the calling thread so far, by connections where it is installed.
  [[nodiscard]] static Clock::duration taken() noexcept;
};

}  // namespace sqlane::detail
