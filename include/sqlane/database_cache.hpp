#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sqlane/call_site.hpp"
#include "sqlane/database.hpp"
#include "sqlane/options.hpp"

namespace sqlane {

namespace detail {
class CachedDatabases;
class Clock;
}  // namespace detail

struct DatabaseCacheOptions {
  // Tells how a key's database is opened; called once for each opening, on the
  // thread of get(), so by several at once, and before anything is closed for it.
  // What it throws comes out of get(): the place to refuse an unknown key. Required.
  std::function<Options(std::string_view key)> options_for{};

  // Called after each opening, before anybody gets the database: the place for
  // migrations. What it throws comes out of get(), and the database is closed.
  std::function<void(std::string_view key, Database& database)> prepare{};

  // Databases at any moment, those that are being opened or closed included.
  std::size_t max_open = 64;

  // How long get() waits for room, or for another thread that opens or closes the
  // same database, before TimeoutError. Opening and closing take their own time.
  std::chrono::milliseconds acquire_timeout{5000};
};

// Counters go from the cache's beginning on; the sizes are of the moment.
struct DatabaseCacheStatistics {
  std::size_t open = 0;     // being opened or closed included
  std::size_t in_use = 0;   // of those, what somebody has
  std::size_t waiting = 0;  // threads

  std::uint64_t hits = 0;     // get() found it open
  std::uint64_t opened = 0;   // get() had to open it
  std::uint64_t evicted = 0;  // closed to make room
  std::uint64_t timeouts = 0;
  std::uint64_t failed_closings = 0;
  std::string last_failed_closing{};  // what it said; empty when there was none
};

// The open ones among many databases of a kind, such as one for each tenant.
// Each has a key, by which it is opened when somebody wants it; the one that has
// been unused for longest is closed to make room.
//
// Closing one to make room waits for guards (begin(), snapshot()) that outlived
// their pointer, up to the acquire_timeout of its own options. Then it is let go
// all the same: it closes with its last guard, and is not counted any more.
//
// Safe to use from any thread. In a child of fork each call is a UsageError, and
// pointers that the child inherited may be dropped.
class DatabaseCache {
 public:
  // Throws UsageError when options make no sense.
  explicit DatabaseCache(DatabaseCacheOptions options);
  DatabaseCache(DatabaseCacheOptions options, detail::Clock& clock);  // for tests
  DatabaseCache(const DatabaseCache&) = delete;
  DatabaseCache& operator=(const DatabaseCache&) = delete;
  // Closes what nobody has. The rest stays open, each until its last pointer is
  // dropped; that does not wait for guards then.
  ~DatabaseCache();

  // The key's database, open. It stays in use until the pointer and its copies
  // have been dropped; do not drop the last while a call on the database runs,
  // except in its callbacks. Waits while max_open are in use; those who wait for
  // room get it in the order of their asking. When opening fails, each who waited
  // for it tries by itself. A database that was closed through a pointer is closed
  // for all who have it, and opened anew after they have dropped it.
  // Throws TimeoutError naming what is in use and since where, ClosedError after
  // close(), UsageError when the key is being opened by this thread itself, and
  // what options_for, Database::open() and prepare throw.
  [[nodiscard]] std::shared_ptr<Database> get(std::string_view key, CallSite site = CallSite::current());

  // Closes what nobody has. Tries each one, then throws the first error, as
  // Database::close() does; none stays in the cache.
  void close_idle(CallSite site = CallSite::current());

  // Refuses further get(), fails those that wait with ClosedError, closes all
  // databases as Database::close() does, whoever has them, and waits for what is
  // being opened or closed by others, up to acquire_timeout. Tries each one, then
  // throws the first error; closing again tries again what somebody still has.
  // Throws UsageError inside prepare.
  void close(CallSite site = CallSite::current());

  [[nodiscard]] DatabaseCacheStatistics stats() const;

 private:
  std::shared_ptr<detail::CachedDatabases> databases_;
};

}  // namespace sqlane
