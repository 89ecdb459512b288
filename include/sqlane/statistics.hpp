#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sqlane/health.hpp"
#include "sqlane/histogram.hpp"
#include "sqlane/pool_options.hpp"

namespace sqlane {

//            drain()             close()
//   active ───────────► draining ───────────► closed
//      └───────────────────────────────────────►
enum class PoolState : std::uint8_t { active, draining, closed };

// Of one place in a pool.
//
//               made, or claimed to be               returned
//     closed ──────────────────────────► in_use ─────────────────► idle
//       ▲ ▲                               │  │ ▲                    │
//       │ └────── aged, overflow, … ──────┘  │ └──── acquired ──────┘
//       └───────── error ◄───── broken ──────┘
enum class ResourceState : std::uint8_t { idle, in_use, closed, error };

// Why a resource was closed.
enum class CloseReason : std::uint8_t {
  broken,     // it could not be cleaned when it came back
  invalid,    // it did not answer a validation
  errors,     // Upkeep::max_errors
  uses,       // Upkeep::max_uses
  age,        // Upkeep::max_lifetime
  idle,       // Upkeep::idle_timeout
  overflow,   // PoolOptions::max_overflow
  shrinking,  // Upkeep::adaptive_size, prune()
  pool_closed,
};
inline constexpr std::size_t kCloseReasons = static_cast<std::size_t>(CloseReason::pool_closed) + 1;

[[nodiscard]] std::string_view to_string(PoolState state) noexcept;
[[nodiscard]] std::string_view to_string(ResourceState state) noexcept;
[[nodiscard]] std::string_view to_string(CloseReason reason) noexcept;

// Counters go from the pool's beginning on; the sizes are of the moment.
struct PoolStatistics {
  PoolState state = PoolState::active;

  std::size_t limit = 0;  // resources at most now, overflow aside
  std::size_t total = 0;  // that exist
  std::size_t idle = 0;
  std::size_t in_use = 0;
  std::size_t waiting = 0;  // threads

  std::uint64_t acquires = 0;  // that succeeded
  std::uint64_t waits = 0;     // of those, after waiting
  std::uint64_t timeouts = 0;
  std::uint64_t fallbacks = 0;  // acquire_or() that went elsewhere
  std::uint64_t created = 0;
  std::uint64_t failed_creations = 0;
  std::uint64_t refused_creations = 0;                // by the breaker
  std::array<std::uint64_t, kCloseReasons> closed{};  // by CloseReason
  std::uint64_t cleaned = 0;                          // came back with something left open
  std::uint64_t validations = 0;
  std::uint64_t overstayed = 0;  // leases reported
  std::uint64_t interrupted = 0;
  std::uint64_t recovered = 0;  // from threads that ended

  Histogram wait_times{};  // of those that waited
  Histogram hold_times{};  // of one lease in 64

  [[nodiscard]] std::uint64_t closed_for(CloseReason reason) const noexcept {
    return closed[static_cast<std::size_t>(reason)];
  }
  // The share of acquires that found a resource made before; 0 without any.
  [[nodiscard]] double reuse_ratio() const noexcept;
  // The share of what could be lent that is in use; 0 when nothing could.
  [[nodiscard]] double utilisation() const noexcept;
};

struct LaneStatistics {
  std::size_t waiting = 0;    // now
  std::size_t posted = 0;     // write_async() that have not ended
  std::uint64_t commits = 0;  // of jobs
  std::uint64_t jobs = 0;     // that were committed
  std::uint64_t guards = 0;   // transactions by begin()
  Histogram batch_sizes{};    // jobs a commit
};

struct StatementStatistics {
  std::uint64_t hits = 0;      // found in a cache
  std::uint64_t prepared = 0;  // not found
};

// What a Database has done since it was opened, and how it stands.
struct DatabaseStatistics {
  std::string database;  // the path, or ":memory:"
  PoolStatistics readers{};
  LaneStatistics lane{};
  StatementStatistics statements{};
  std::uint64_t busy_waits = 0;  // locks of other processes that were met
  std::uint64_t errors = 0;      // of SQLite, on any connection
  std::uint64_t checkpoints = 0;
  std::uint64_t fallback_reads = 0;  // that went to Options::fallback
  std::uint64_t wal_bytes = 0;       // length of the -wal file

  // One JSON object with a member a field; times in nanoseconds.
  [[nodiscard]] std::string to_json() const;
  // Prometheus text format 0.0.4, one family a field, times in seconds, with the
  // label database. The texts of two databases do not join: each family may come
  // but once. https://prometheus.io/docs/instrumenting/exposition_formats/
  [[nodiscard]] std::string to_prometheus() const;
};

// Hears of what is rare. Called on whatever thread it happens on, or that of
// maintenance; without any lock; must not throw, and must not use the database.
class MetricsListener {
 public:
  virtual ~MetricsListener() = default;

  virtual void on_connection_opened() noexcept {}
  virtual void on_connection_closed(CloseReason) noexcept {}
  virtual void on_acquire_timeout(const CallSite&) noexcept {}
  virtual void on_overstaying(const LeaseReport&) noexcept {}
  virtual void on_health(const Health&) noexcept {}
};

}  // namespace sqlane
