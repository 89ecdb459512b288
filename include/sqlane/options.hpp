#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "sqlane/executed_statement.hpp"
#include "sqlane/health.hpp"
#include "sqlane/lane.hpp"
#include "sqlane/pool_options.hpp"
#include "sqlane/statistics.hpp"

namespace sqlane {

namespace detail {
class Clock;
}

// What a returned write survives. https://sqlite.org/pragma.html#pragma_synchronous
enum class Durability : std::uint8_t {
  full,    // power loss: every commit is synced before it is acknowledged
  normal,  // a crash of the process; a power loss can take the last commits, never consistency
};

// Who else may use the file while it is open.
enum class Locking : std::uint8_t {
  // Other processes as well; each transaction asks the operating system for locks.
  // OpenError on a network file system, and where no memory can be shared through files.
  shared,
  // This process alone, from opening to closing: another program finds it locked.
  // No transaction makes a system call for locks then. With OpenMode::read_only nothing
  // is changed, but the file must be one that could be. https://sqlite.org/vfs.html#standard_unix_vfses
  exclusive,
};

enum class OpenMode : std::uint8_t {
  create,     // a file that is not there is made
  existing,   // OpenError where it is not there
  read_only,  // likewise, and this Database only reads: neither the file nor its mode is changed
};

// Writes that wait together share one COMMIT. It comes when nobody waits any
// more, or when one of these is reached; it is never put off for a lone writer.
struct BatchLimits {
  std::size_t jobs = 1000;
  std::chrono::microseconds run_time{10'000};  // no further job begins after that
  std::size_t bytes = 4U << 20U;               // by which the page cache has grown with changed pages
};

// What SQL means on all connections of a database, and what it may do. The
// defaults are SQLite's own, but that foreign keys are enforced and that a text in
// double quotes is a name. https://sqlite.org/c3ref/c_dbconfig_defensive.html
struct SqlSettings {
  // Views, triggers, CHECKs, generated columns, defaults and indexes of the file
  // may use what SQLite brings along: JSON, full-text search, R*Tree, PRAGMA functions.
  // What stays refused from inside of a schema: load_extension(), fts3_tokenizer(), the
  // table dbstat, and, in views and triggers alone, functions of the program that are not
  // declared SQLITE_INNOCUOUS. `false` is for files of strangers: what SQLite
  // then allows depends on its version (JSON in newer ones). See untrusted().
  bool trusted_schema = true;

  // ConstraintError for a row whose parent is missing. `false` is for a file whose keys
  // never fitted their parents ("foreign key mismatch"), until they are mended.
  bool foreign_keys = true;

  // A trigger may set off itself, and a REPLACE sets off the delete triggers of the rows that give way.
  bool recursive_triggers = false;

  // "text" is a string where no column has that name. For triggers and views of
  // old files; a misspelt column in double quotes is then no error.
  bool double_quoted_strings = false;

  // 0: as SQLite was built, which is the most it allows (1000; 1,000,000,000 bytes; 50,000 bytes).
  std::size_t trigger_depth = 0;        // of triggers, and of foreign keys that act on rows, below each other
  std::size_t sql_length = 0;           // bytes of one SQL text, in the schema as well
  std::size_t like_pattern_length = 0;  // bytes of the pattern of LIKE or GLOB

  // For files of strangers: no trusted schema, and limits that no honest file reaches.
  [[nodiscard]] static constexpr SqlSettings untrusted() noexcept {
    return {.trusted_schema = false, .trigger_depth = 100, .sql_length = 1'000'000, .like_pattern_length = 10'000};
  }

  bool operator==(const SqlSettings&) const = default;
};

// How a Database is opened. A value: copy it, change it, keep it.
struct Options {
  // Taken literally, never as a URI. Ignored by Database::in_memory().
  std::filesystem::path path{};

  // Of a file. With read_only, everything that writes is a ReadOnlyError, and a
  // file in another journal mode than WAL keeps that; SQLite may still make the
  // files beside it through which readers of a log share it.
  OpenMode mode = OpenMode::create;

  // Reader connections at most, opened on demand; 0 means max(4, cores). Up to 1000.
  std::size_t readers = 0;

  // So many more may be opened when all are in use; each is closed when it comes back.
  std::size_t overflow_readers = 0;

  // How readers are kept. A validation looks at the schema.
  Upkeep upkeep{};

  // Run on each reader that is opened ahead of need (Upkeep::min_idle), to fill
  // its page cache: "SELECT sum(length(body)) FROM note". Empty: the schema is read.
  std::string warm_up_query{};

  Durability durability = Durability::full;

  // The same for all Databases of one file in a process; of no account for one in memory.
  Locking locking = Locking::shared;

  // The same for all Databases of one file in a process.
  SqlSettings sql{};

  // Of a new database, in bytes: a power of two from 512 to 65536; 0: SQLite's
  // choice (4096). OpenError for a file that has pages of another size.
  std::size_t page_size = 0;

  // What a memory database may take at most, in bytes; 0: no limit. A quarter is
  // for its log, and so for one transaction. A write beyond is a DiskFullError,
  // after which deleting still works. UsageError for a file.
  std::size_t memory_limit = 0;

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

  BatchLimits batch{};

  // Calls of write_async() that have not ended yet, at most.
  std::size_t async_queue = 10'000;

  // Called for each statement, before it runs, on the thread that runs it. Must
  // not throw, nor use the database.
  std::function<void(const ExecutedStatement&)> on_statement{};

  // Called while something holds the lane for longer than `threshold`, once for
  // each hold, on a thread of the library's own. Must not throw.
  struct SlowWrite {
    std::chrono::milliseconds threshold{100};
    std::function<void(const LaneHolder&)> callback{};  // none: nobody watches
  } on_slow_write{};

  // Called for one write in `every`, after it was committed, on the thread that
  // asked for it (after write_async(), on the library's own). Must not throw.
  struct WriteSampling {
    std::size_t every = 1000;
    std::function<void(const WriteTrace&)> callback{};  // none: nothing is sampled
  } on_write_sample{};

  // Another database file, a replica or a backup, for reads that find no reader
  // in time, or none that can be opened. It is only read, and may be behind.
  std::filesystem::path fallback{};

  // Lane and readers are checked so often in the background; unset: only when
  // Database::health() asks. The callback hears of each change of the verdict, on
  // the thread of whoever noticed it: that of maintenance, or a caller of
  // health(). Must not throw, nor destroy the Database.
  std::optional<std::chrono::milliseconds> health_interval{};
  std::function<void(const Health&)> on_health_change{};

  // Hears of what is rare.
  std::shared_ptr<MetricsListener> metrics{};

  // The time that timeouts, ages and limits go by; null: the computer's. Made by
  // sqlane::testing::ManualClock. The first Database of a file brings its clock.
  std::shared_ptr<detail::Clock> clock{};

  // Options as text. The keys are those of docs/configuration.md; durations are
  // written as "250ms", "5s", "2min", sizes as "4096", "16MiB". What is not said
  // is as in `base`, so that defaults, a program and one of its databases can
  // build on each other. Throw UsageError naming the key and what is allowed;
  // never the value, which might be a secret.
  //
  //   file:app.db?readers=8&durability=normal      percent-encoded
  //   SQLANE_READERS=8                             with the prefix "SQLANE_"
  //
  // A URI without a path leaves that of `base`. Each variable that begins with
  // the prefix has to be one of these; no thread may change the environment
  // meanwhile.
  [[nodiscard]] static Options from_uri(std::string_view uri, const Options& base);
  [[nodiscard]] static Options from_uri(std::string_view uri) { return from_uri(uri, Options()); }
  [[nodiscard]] static Options from_environment(std::string_view prefix, const Options& base);
  [[nodiscard]] static Options from_environment(std::string_view prefix) { return from_environment(prefix, Options()); }
  [[nodiscard]] static Options from_map(const std::map<std::string, std::string>& values, const Options& base);
  [[nodiscard]] static Options from_map(const std::map<std::string, std::string>& values) {
    return from_map(values, Options());
  }

  // What differs from the defaults, so that from_uri() reads it back equal;
  // callbacks cannot be written. Throws UsageError naming the key if a value,
  // such as a negative duration, cannot be had from text.
  [[nodiscard]] std::string to_uri() const;
};

// Who is let in first. A lower priority also means waiting at most so much
// longer (normal 20 ms, background 500 ms): nobody starves.
enum class Priority : std::uint8_t { interactive, normal, background };

enum class Grouping : std::uint8_t {
  // Shares a COMMIT with those who wait at the same time. The closure may then
  // run on the thread of one of them.
  shared,
  own_thread,  // shares a COMMIT, but its closure runs on the caller's own thread
  alone,       // a COMMIT of its own, on the caller's own thread
};

// What becomes of a write when its connection had to be replaced.
enum class Retry : std::uint8_t {
  if_not_run,  // it is tried again only if its closure had not begun
  safe,        // also when it had: running the closure once more, its changes undone, does no harm
};

// What write_async() does when Options::async_queue are on their way already.
enum class WhenFull : std::uint8_t {
  wait,    // up to the timeout
  refuse,  // TimeoutError at once
};

struct WriteOptions {
  Priority priority = Priority::normal;

  // Waiting for the lane at most (in write_async(), for room in the queue); unset
  // means Options::acquire_timeout.
  std::optional<std::chrono::milliseconds> timeout{};

  // Each statement may run so long; TimeoutError then, and the whole job is undone.
  std::optional<std::chrono::milliseconds> statement_timeout{};

  // Ends the waiting, or the statement that runs, with InterruptedError. It ends
  // this job alone: a job that has a stop token or a statement timeout does not
  // join a transaction that holds others' changes already.
  std::stop_token stop{};

  Grouping grouping = Grouping::shared;
  Retry retry = Retry::if_not_run;
  WhenFull when_full = WhenFull::wait;
};

struct ReadOptions {
  // Waiting for a reader at most; unset means Options::acquire_timeout.
  std::optional<std::chrono::milliseconds> timeout{};

  // Each statement may run so long; TimeoutError then.
  std::optional<std::chrono::milliseconds> statement_timeout{};

  // Ends the waiting, or the statement that runs, with InterruptedError.
  std::stop_token stop{};
};

}  // namespace sqlane
