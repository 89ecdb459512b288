#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace sqlane {

// What a returned write survives. https://sqlite.org/pragma.html#pragma_synchronous
enum class Durability : std::uint8_t {
  full,    // power loss: every commit is synced before it is acknowledged
  normal,  // a crash of the process; a power loss can take the last commits, never consistency
};

// How a Database is opened. A value: copy it, change it, keep it.
struct Options {
  // Taken literally, never as a URI. Ignored by Database::in_memory().
  std::filesystem::path path{};

  // Reader connections at most, opened on demand; 0 means max(4, cores). Up to 1000.
  std::size_t readers = 0;

  Durability durability = Durability::full;

  // How long a call waits for a reader or for the writer lane before TimeoutError.
  std::chrono::milliseconds acquire_timeout{5000};

  // How long a statement waits for a lock that another process holds before BusyError.
  std::chrono::milliseconds busy_timeout{5000};

  // Prepared statements kept for each connection.
  std::size_t statement_cache = 128;

  // Page cache of each connection, in bytes.
  std::size_t page_cache = 16U << 20U;

  // The write-ahead log is copied back into the database when it has grown by
  // this many pages.
  std::size_t checkpoint_pages = 1000;
};

struct WriteOptions {
  // Waiting for the lane at most; unset means Options::acquire_timeout.
  std::optional<std::chrono::milliseconds> timeout{};
};

struct ReadOptions {
  // Waiting for a reader at most; unset means Options::acquire_timeout.
  std::optional<std::chrono::milliseconds> timeout{};
};

}  // namespace sqlane
