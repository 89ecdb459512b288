#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sqlane/backup.hpp"
#include "sqlane/call_site.hpp"
#include "sqlane/detail/lease.hpp"
#include "sqlane/detail/posted_write.hpp"
#include "sqlane/detail/queries.hpp"
#include "sqlane/detail/write_job.hpp"
#include "sqlane/error.hpp"
#include "sqlane/health.hpp"
#include "sqlane/lane.hpp"
#include "sqlane/options.hpp"
#include "sqlane/snapshot.hpp"
#include "sqlane/statistics.hpp"
#include "sqlane/transaction.hpp"
#include "sqlane/write_future.hpp"

namespace sqlane {

class Migrations;  // migration.hpp
struct MigrateOptions;
struct MigrationReport;

namespace detail {
class Core;
struct CoreAccess;
}  // namespace detail

// A SQLite database with one writer lane and several readers. Writes run one at
// a time, in the order of their asking; reads run beside them and beside each
// other, each on one committed state. A call that has returned has happened.
//
// Safe to use from any thread. The Database must outlive the calls on it; the
// guards (begin(), snapshot()) may outlive the Database and keep the file open.
class Database {
 public:
  // Opens or creates a database file (mode 0600) in WAL mode.
  // Throws OpenError with path and reason; an existing file is not changed then.
  // All Databases of one file in a process share its lane and its readers: the
  // options of the first one hold, except that the strongest durability does.
  [[nodiscard]] static Database open(const std::filesystem::path& path, Options options = {},
                                     CallSite site = CallSite::current());
  [[nodiscard]] static Database open(Options options, CallSite site = CallSite::current());  // options.path

  // A database without a file, gone with its last Database. Everything else is as
  // with a file: one writer and several readers, who never wait for each other.
  [[nodiscard]] static Database in_memory(Options options = {});
  // Shared by name inside the process; the first to open it decides its options.
  [[nodiscard]] static Database in_memory(std::string_view name, Options options = {});

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  // As close(), but does not wait for guards that are still alive.
  ~Database();

  // One statement, in a transaction of its own. Returns when it is durable.
  template <class... Args>
  ExecuteResult execute(detail::SqlFor<Access::write, Args...> sql, const Args&... args) {
    if (sql.text().is_vacuum) {
      const detail::Lease lease = lend_writer({}, sql.text().site);
      const detail::VacuumScope scope(lease.connection());
      const ExecuteResult result = detail::execute(lease.connection(), sql.text(), args...);
      scope.expect_reachable();
      return result;
    }
    ExecuteResult result;
    auto run = [&](Transaction& tx) { result = tx.execute(sql, args...); };
    run_write({}, sql.text().site, detail::WriteJob(run), &sql.text());
    return result;
  }

  // All rows at once. Snapshot::query() streams them instead.
  template <class T, class... Args>
  [[nodiscard]] std::vector<T> query(detail::SqlFor<Access::read, Args...> sql, const Args&... args) const {
    static_assert(!detail::holds_view<T>(),
                  "a view would outlive its row: read std::string or std::vector<std::byte> instead");
    return fetch(sql.text().site, [&](detail::Connection& reader) {
      std::vector<T> all;
      Rows<T> rows(reader, sql.text(), args...);
      for (T& row : rows) all.push_back(std::move(row));
      return all;
    });
  }

  // The first row. Throws NoRowError when there is none.
  template <class T, class... Args>
  [[nodiscard]] T query_one(detail::SqlFor<Access::read, Args...> sql, const Args&... args) const {
    return fetch(sql.text().site,
                 [&](detail::Connection& reader) { return detail::fetch_one<T>(reader, sql.text(), args...); });
  }

  // The first row, or nothing.
  template <class T, class... Args>
  [[nodiscard]] std::optional<T> query_optional(detail::SqlFor<Access::read, Args...> sql, const Args&... args) const {
    return fetch(sql.text().site,
                 [&](detail::Connection& reader) { return detail::fetch_first<T>(reader, sql.text(), args...); });
  }

  // Runs `job(Transaction&)` as one atomic unit and returns its result once the
  // commit is durable. An exception from the job undoes it and comes out here.
  // Throws TimeoutError when the lane did not come free in time, BusyError when
  // another process kept the write lock.
  template <std::invocable<Transaction&> Job>
  auto write(Job&& job, CallSite site = CallSite::current()) {
    return write(WriteOptions{}, std::forward<Job>(job), site);
  }
  template <std::invocable<Transaction&> Job>
  auto write(const WriteOptions& options, Job&& job, CallSite site = CallSite::current()) {
    using Result = std::invoke_result_t<Job&, Transaction&>;
    expect_lasting_result<Result>();
    if constexpr (std::is_void_v<Result>) {
      auto run = [&job](Transaction& tx) { std::invoke(job, tx); };
      run_write(options, site, detail::WriteJob(run));
    } else {
      std::optional<Result> result;
      auto run = [&job, &result](Transaction& tx) { result.emplace(std::invoke(job, tx)); };
      run_write(options, site, detail::WriteJob(run));
      return *std::move(result);
    }
  }

  // Likewise, but does not wait: the job runs on a thread of the library's own,
  // or on that of another write; its callbacks run on the former. Its outcome
  // comes through the future, which may be dropped. Throws TimeoutError when
  // Options::async_queue are on their way and stay so for WriteOptions::timeout.
  template <std::invocable<Transaction&> Job>
  auto write_async(Job job, CallSite site = CallSite::current()) {
    return write_async(WriteOptions{}, std::move(job), site);
  }
  template <std::invocable<Transaction&> Job>
  auto write_async(const WriteOptions& options, Job job, CallSite site = CallSite::current()) {
    using Result = std::invoke_result_t<Job&, Transaction&>;
    expect_lasting_result<Result>();
    auto posted = std::make_unique<detail::PostedClosure<Job, Result>>(std::move(job));
    WriteFuture<Result> future(posted->future(), core_, posted->is_settled(), site);
    post_write(options, site, std::move(posted));
    return future;
  }

  // Runs `job(const Snapshot&)`; everything that it reads comes from one
  // committed state, fixed by its first query.
  template <std::invocable<const Snapshot&> Job>
  auto read(Job&& job, CallSite site = CallSite::current()) const {
    return read(ReadOptions{}, std::forward<Job>(job), site);
  }
  template <std::invocable<const Snapshot&> Job>
  auto read(const ReadOptions& options, Job&& job, CallSite site = CallSite::current()) const {
    using Result = std::invoke_result_t<Job&, const Snapshot&>;
    expect_lasting_result<Result>();
    const Snapshot snapshot(lend_reader(options, site), Snapshot::Pin::at_first_query);
    return std::invoke(job, snapshot);
  }

  // Guards, for code that cannot be a closure. A Transaction holds the lane,
  // a Snapshot a reader, until it ends.
  [[nodiscard]] Transaction begin(Behavior behavior = Behavior::immediate, CallSite site = CallSite::current());
  [[nodiscard]] Transaction begin(const WriteOptions& options, Behavior behavior = Behavior::immediate,
                                  CallSite site = CallSite::current());
  [[nodiscard]] Snapshot snapshot(CallSite site = CallSite::current()) const;
  [[nodiscard]] Snapshot snapshot(const ReadOptions& options, CallSite site = CallSite::current()) const;

  // Brings the schema to the newest version that the program knows, or to
  // options.target. Of several processes that start at once one migrates, and the
  // others wait for it. What each step does is there whole or not at all.
  // Foreign keys are off meanwhile, and checked before each commit, so that
  // tables can be rebuilt (https://sqlite.org/lang_altertable.html#otheralter).
  //
  // Throws MigrationError, see there: the database is as the last whole step has
  // left it then. Errors that are not the migration's, such as DiskFullError or
  // InterruptedError, come out as they are. UsageError when the calling thread
  // holds the lane.
  MigrationReport migrate(const Migrations& migrations, CallSite site = CallSite::current());
  MigrationReport migrate(const Migrations& migrations, const MigrateOptions& options,
                          CallSite site = CallSite::current());

  // Copies one committed state to a new file, which appears under its name when
  // it is complete, checked and synced. Keeps nobody from writing; the log cannot
  // start over meanwhile. Throws OpenError when the file exists, or cannot be
  // made; CorruptError when the copy does not pass its check.
  BackupReport backup_to(const std::filesystem::path& file, const BackupOptions& options = {},
                         CallSite site = CallSite::current()) const;

  // Replaces all contents by those of a database file, as one write: others see
  // the state before or after, and a failure changes nothing. Throws OpenError
  // when that file is no database or has another page size, CorruptError when it
  // does not pass its check. For a database that is not there yet: restore_to_new().
  BackupReport restore_from(const std::filesystem::path& file, const BackupOptions& options = {},
                            CallSite site = CallSite::current());

  // Where several Databases share a file or a memory database, this and the next
  // paragraph hold for the last one that is closed; the others merely let go.
  //
  // Refuses new calls and fails those that wait with ClosedError, waits for those
  // that run and for what write_async() was given (up to Options::acquire_timeout;
  // then TimeoutError naming those that run, and ClosedError for the rest), and
  // closes all connections, the writer last. Closing twice does nothing. Where the
  // calling thread itself is inside a write or a read, or has a guard, it is a
  // UsageError, and the database stays open.
  void close(CallSite site = CallSite::current());

  // Goes on with the file that is now at the path, where the one that was opened,
  // or its log, was moved, deleted, replaced, cut or written over, or its disk was
  // taken away and came back: from then on calls fail with IoError. Does nothing
  // while all is as it was. For all who share the database.
  //
  // Waits for those that write or read (up to Options::acquire_timeout, then
  // TimeoutError naming them). Until it returns, other calls wait or throw IoError. What
  // was committed is kept where that can be done: a log whose name alone was
  // deleted or moved is brought into the database, with the write that failed for
  // it. A log that belongs to another file than the one that is there now is
  // renamed to "….db-wal.lost"; so is one that was cut down to less than what is in
  // the database already, and check_integrity() says whether that is whole.
  //
  // Throws IoError if no file is at the path, OpenError if the file cannot be opened,
  // BusyError if another process uses the log that is to be kept, and UsageError as
  // close() does, or if this process already has the file at the path open. The call
  // can be repeated after each of these.
  void reopen(CallSite site = CallSite::current());

  // Before close(): refuses new calls of all who share the database, fails those
  // that wait with ClosedError, and lets those that run finish. What still holds
  // the lane or a reader after `timeout` is reported, and its next statement, or
  // the one that runs, ends with InterruptedError; a COMMIT does not. UsageError
  // as for close().
  std::vector<LeaseReport> drain(std::chrono::milliseconds timeout, CallSite site = CallSite::current());

  // Not after close(), and not when it was moved from.
  [[nodiscard]] bool is_open() const noexcept { return !is_closed_.load(std::memory_order_acquire); }

  [[nodiscard]] const Options& options() const;

  // Who has the writer lane at this moment; nothing while it is idle.
  [[nodiscard]] std::optional<LaneHolder> lane_holder() const;

  // How it stands. Takes no lock that a read or a write takes.
  [[nodiscard]] DatabaseStatistics stats() const;

  // Checks lane and readers now. Where Options::health_interval is set, the
  // newest check in the background counts as well.
  [[nodiscard]] Health health() const;

  // The connections that are open: the writer, then the readers.
  [[nodiscard]] std::vector<ResourceReport> connections() const;

  // What is done in the background for Options::upkeep, now.
  void maintain_now() const;

 private:
  friend detail::CoreAccess;

  template <class Result>
  static constexpr void expect_lasting_result() {
    if constexpr (!std::is_void_v<Result>) {
      static_assert(!std::is_reference_v<Result>, "return a value: the closure's objects end with it");
      static_assert(!detail::is_rows<Result>,
                    "rows end with the closure: go over them inside, or return a std::vector");
      static_assert(!detail::is_view<std::remove_cvref_t<Result>>,
                    "a view would outlive its row: return std::string or std::vector<std::byte> instead");
    }
  }

  explicit Database(std::shared_ptr<detail::Core> core, OpenMode mode = OpenMode::create);

  // One statement that reads; on another reader where that helps.
  template <std::invocable<detail::Connection&> Fetch>
  std::invoke_result_t<Fetch&, detail::Connection&> fetch(CallSite site, Fetch&& fetch) const {
    return detail::use_reconnecting([&] { return lend_reader({}, site); },
                                    [&](const detail::Lease& lease) { return fetch(lease.connection()); });
  }

  [[nodiscard]] detail::Lease lend_writer(const WriteOptions& options, CallSite site);
  [[nodiscard]] detail::Lease lend_reader(const ReadOptions& options, CallSite site) const;
  // `statement`: when `run` does nothing but this one.
  void run_write(const WriteOptions& options, CallSite site, detail::WriteJob run,
                 const detail::SqlText* statement = nullptr);

  void post_write(const WriteOptions& options, CallSite site, std::unique_ptr<detail::PostedWrite> write);

  [[nodiscard]] detail::Core& core() const;                               // throws ClosedError
  [[nodiscard]] detail::Core& writable_core(const CallSite& site) const;  // likewise, or ReadOnlyError
  void leave() noexcept;

  std::shared_ptr<detail::Core> core_;
  OpenMode mode_ = OpenMode::create;
  std::atomic<bool> is_closed_ = false;
};

}  // namespace sqlane
