#pragma once

#include <SQLiteCpp/Database.h>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "base/fork.hpp"
#include "sqlane/detail/pool_base.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/options.hpp"
#include "sqlane/transaction.hpp"
#include "sqlite/authorizer.hpp"
#include "sqlite/busy_wait.hpp"
#include "sqlite/connection_record.hpp"
#include "sqlite/errors.hpp"
#include "sqlite/file_watch.hpp"
#include "sqlite/medium.hpp"
#include "sqlite/statement_cache.hpp"
#include "sqlite/statement_limits.hpp"
#include "sqlite/system_cause.hpp"
#include "vfs/memory_store.hpp"

namespace sqlane::detail {

enum class Role : std::uint8_t {
  writer,        // reads and writes; switches the file to WAL
  reader,        // opened read-only
  checkpointer,  // reads and writes, but only ever checkpoints
};

// What a connection needs to be opened, and opened again.
struct ConnectionSettings {
  std::string database;                   // an absolute path; what errors call a memory database
  std::shared_ptr<MemoryStore> memory{};  // null: a file
  std::shared_ptr<FileWatch> files{};     // of the database that it belongs to; null: nobody asks where they are
  Locking locking = Locking::shared;      // of a file
  Medium medium = Medium::writable;       // of a file; a reader finds it out
  bool is_alone = false;  // a reader's, with Locking::exclusive: no other connection keeps the others out
  Role role = Role::writer;
  Durability durability = Durability::full;
  SqlSettings sql{};
  std::size_t page_size = 0;  // of a new database; 0: SQLite's choice
  std::chrono::milliseconds busy_timeout{};
  std::size_t statement_cache = 0;
  std::size_t page_cache = 0;                  // bytes
  std::shared_ptr<ConnectionRecord> record{};  // null: one of its own
  std::function<void(const ExecutedStatement&)> on_statement{};
  std::shared_ptr<void> registration{};  // lives until the connection has been closed

  [[nodiscard]] bool is_memory() const { return memory != nullptr; }
};

// One SQLite connection: settings, transactions, statement cache, and what is
// known about its condition. All that the rooms above need from SQLite is in
// this class and in Statement. Use from one thread at a time.
//
// Invariants
//  1. Every connection has passed configure() completely, or was never handed out.
//  2. expects_transaction_ is true exactly from a begin() that succeeded to the
//     end of that transaction as its owner sees it. SQLite being in autocommit
//     mode meanwhile means that SQLite ended it: lost_transaction_ then says why.
//  3. A statement is listed in cache_ as in use exactly while one Statement
//     object holds it; revoke_statements() parts the two from this side.
class Connection {
 public:
  // Throws OpenError.
  explicit Connection(ConnectionSettings settings, Clock& clock = Clock::steady());
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Transactions. Those that throw leave the connection as in_transaction() says.
  void begin(Behavior behavior);
  // BEGIN IMMEDIATE, or false at once when somebody else has the write lock.
  [[nodiscard]] bool try_begin();
  void begin_snapshot();  // a read transaction, whose state is fixed now
  enum class Committed : std::uint8_t { nothing, changes };
  Committed commit();  // CommitOutcomeUnknown, or an error with the transaction still open
  void rollback() noexcept;
  void open_savepoint();
  void release_savepoint();
  void undo_savepoint();  // rolls back to the newest savepoint, and ends it

  // Several jobs can share a transaction, one after the other. A job's savepoint
  // encloses those that the job makes itself.
  enum class Enclosure : std::uint8_t {
    none,  // the transaction holds nothing else, or the job is a statement that undoes itself
    savepoint,
  };
  void begin_job(Enclosure enclosure);
  // Throws ConstraintError when a deferred foreign key is violated: a COMMIT would refuse it now.
  void end_job(Enclosure enclosure);
  // Throws when it cannot be undone alone; all of the transaction is rolled back then.
  void undo_job();
  // A statement of the cache that leaves nothing behind when it fails, be it a
  // part of its changes or an end to the transaction.
  [[nodiscard]] bool undoes_itself(const SqlText& sql);

  // Rolls back all of it. Its owner hears it as if SQLite had done that by itself.
  void lose_transaction(const char* reason) noexcept;

  [[nodiscard]] bool in_transaction() const noexcept;
  // Throws TransactionAborted when SQLite has ended the transaction by itself,
  // UsageError in a child of fork.
  void expect_live_transaction() const {
    if (!lost_transaction_.empty() || is_of_another_process()) throw_lost_transaction();
  }
  // It must not be touched then.
  [[nodiscard]] bool is_of_another_process() const noexcept { return generation_ != ForkGeneration::now(); }
  [[nodiscard]] bool lost_transaction() const noexcept { return !lost_transaction_.empty(); }

  // Ends what a careless owner left: statements are revoked, a transaction is rolled back.
  [[nodiscard]] Cleaning tidy() noexcept;
  // Whether it still reads the database, of which it reads the schema.
  [[nodiscard]] bool ping() noexcept;
  [[nodiscard]] bool has_statements_in_use() const noexcept { return cache_.has_statements_in_use(); }

  // Throws IoError when the database or its log is no longer the one at its path.
  void expect_reachable();
  // The same after a COMMIT, which has succeeded then, but where nobody can find it.
  void expect_reachable_commit();
  // Whether anything was lost, as of now.
  [[nodiscard]] bool has_lost_anything();
  // Brings all of a log that has lost its name, and nothing else, into the database. For the last connection that this
  // process has. Throws BusyError while another process reads or writes.
  void save_log_without_a_name();

  // Of the newest INSERT in this transaction; 0 before the first.
  [[nodiscard]] std::int64_t last_insert_rowid() const noexcept;

  // Memory that the page cache takes: changed pages stay there up to the commit.
  [[nodiscard]] std::size_t page_cache_bytes() const noexcept;

  // Whether a memory database was at its limit since the last call. A log that
  // starts over needs less.
  [[nodiscard]] bool take_lack_of_room() noexcept { return std::exchange(lacks_room_, false); }

  // Pages that it has ever written to the log, or to the database; wraps around.
  [[nodiscard]] std::uint32_t pages_written() const noexcept;

  // Pages in the write-ahead log as of this connection's newest commit.
  [[nodiscard]] int wal_pages() const noexcept { return wal_pages_; }

  struct Checkpoint {
    int log_pages = 0;
    int copied_pages = 0;
  };
  // Copies what it can from the log to the database without waiting.
  // Throws CorruptError when the log contradicts itself.
  Checkpoint checkpoint_passive();

  // Until clear_limits(), or tidy(): each statement ends with TimeoutError after
  // running for `timeout`, and with InterruptedError when a stop is requested.
  void set_limits(std::optional<std::chrono::milliseconds> timeout, const std::stop_token& stop);
  void clear_limits() noexcept;
  // While it lives, no statement is ended early, not even by an interruption.
  [[nodiscard]] StatementLimits::Pause pause_limits() noexcept { return StatementLimits::Pause(limits_); }

  // Changes what a commit survives. Requires: no transaction.
  void set_durability(Durability durability);

  // Of one SQL text, in bytes. No connection reads a schema with a longer one.
  [[nodiscard]] std::size_t longest_sql() const noexcept;

  // For what changes more than a transaction can undo: the connection is closed
  // instead of being used again.
  void retire() noexcept { is_broken_ = true; }

  // Makes it a migration's, for the rest of its life: it may have temporary
  // tables, and long statements. Requires: no transaction.
  enum class Keys : std::uint8_t { enforced, off };
  enum class Spilling : std::uint8_t {
    as_usual,
    // Changed pages are written ahead of the commit, so that memory stays within
    // the page cache. Requires: nothing is committed after a statement or a
    // savepoint was undone (SQLite before 3.50.2 would lose what comes after).
    on,
  };
  void become_migrator(Keys keys, Spilling spilling);
  // Takes back what a migration may set for itself alone, before another one
  // comes in the same transaction.
  void end_migration();

  // Until stop_spilling(), changed pages may leave the page cache ahead of the commit.
  // Requires: no transaction, and no savepoint is undone meanwhile.
  void let_spill();
  // Whether something has gone to the log since then, or since the newest COMMIT began.
  [[nodiscard]] bool has_logged() const noexcept { return has_logged_; }
  void stop_spilling() noexcept;

  // Called from time to time while a statement runs; false ends it as a stop
  // does. Must not throw, nor use the connection.
  void set_tick(std::function<bool()> tick) { limits_.set_tick(std::move(tick)); }

  // Errors since the last call that speak against the connection, rather than what it was asked.
  [[nodiscard]] int take_faults() noexcept { return std::exchange(faults_, 0); }

  [[nodiscard]] ConnectionRecord& record() const noexcept { return *record_; }
  // Lets others see in `running` what it does, instead of in its record; that must live as long as the connection.
  void publish_to(RunningStatement& running) noexcept { running_ = &running; }
  [[nodiscard]] RunningStatement* running() const noexcept { return running_; }

  [[nodiscard]] const ConnectionSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] std::size_t cached_statements() const noexcept { return cache_.idle_count(); }
  [[nodiscard]] sqlite3* handle() const noexcept { return database_.getHandle(); }

  // For Statement.
  //
  void begin_statement() {
    if (limits_.is_set() || limits_.is_interrupted()) begin_limited_statement();
  }
  // Call before a statement runs that may insert, then ask afterwards: the row
  // that it inserted itself, or 0. SQLite alone answers with an earlier
  // statement's row when this one inserted none.
  void watch_inserts(const CachedStatement& statement) noexcept;
  [[nodiscard]] std::int64_t inserted_rowid(CachedStatement& statement) noexcept;
  [[nodiscard]] CachedStatement& check_out(const SqlText& sql, Statement& holder);
  void check_in(CachedStatement& statement) noexcept;
  // Throws the error that the last call on `handle()` left behind.
  [[noreturn]] void fail(int code, std::string_view sql);
  // The same for a statement that was prepared before, perhaps for another schema.
  [[noreturn]] void fail_step(int code, const std::string& sql);

 private:
  // Our own statements, prepared once; an index into controls_.
  enum class Control : std::uint8_t {
    begin_deferred,
    begin_immediate,
    begin_exclusive,
    pin,
    commit,
    rollback,
    savepoint,
    release,
    rollback_to,
    job_savepoint,
    job_release,
    job_rollback_to,
    enforce_keys_at_once,
    schema_version,
    virtual_tables,
  };
  static constexpr std::size_t kControls = 15;

  [[noreturn]] void throw_lost_transaction() const;
  void configure();
  void join_files();
  void finalize_controls() noexcept;
  void set_page_size();
  void switch_to_wal();
  void limit_pages();
  void tell_of_statements();
  void begin_limited_statement();
  void expect_not_interrupted(int code, const Failure& failure) const;
  [[noreturn]] void fail_to_log();
  void expect_writable() const;
  [[nodiscard]] std::string explained(std::string message);
  [[nodiscard]] int extended_code(int code) const noexcept;
  [[nodiscard]] Failure failure_of(int code, std::string_view sql) const;
  [[nodiscard]] SystemCause name_cause(Failure& failure) const;
  [[noreturn]] void fail(int code, Failure failure);
  [[nodiscard]] bool fits_schema(const std::string& sql) noexcept;
  [[nodiscard]] CachedStatement::Target target_of(std::string_view into) noexcept;
  std::string pragma(const char* sql);
  [[nodiscard]] static const std::string_view& text_of(Control control) noexcept;
  int run(Control control);
  void run_or_fail(Control control);
  void prepare(CachedStatement& statement, const SqlText& sql);
  [[nodiscard]] int prepare_text(CachedStatement& statement) noexcept;
  [[nodiscard]] int prepare_for_migration(CachedStatement& statement) noexcept;
  void expect_fitting(const CachedStatement& statement, const SqlText& sql) const;
  void revoke_statements(StatementCache::Which which) noexcept;
  [[nodiscard]] int prepare(Control control, sqlite3_stmt*& statement) noexcept;
  [[nodiscard]] int schema_version() noexcept;
  void run_unless_writing(Control control);
  void undo(Control rollback_to, Control release);
  [[nodiscard]] bool explain_undoes_itself(const std::string& text);
  void enforce_keys_at_once();
  void notice_loss() noexcept;
  [[nodiscard]] bool has_spilled() const noexcept;

  ConnectionSettings settings_;
  const std::uint32_t generation_ = ForkGeneration::now();
  const std::shared_ptr<ConnectionRecord> record_;
  Authorizer authorizer_;
  BusyWait busy_wait_;
  StatementLimits limits_;
  SQLite::Database database_;
  std::array<sqlite3_stmt*, kControls> controls_{};
  sqlite3_stmt* running_pragma_ = nullptr;  // one of our own
  StatementCache cache_;
  RunningStatement* running_;
  std::string lost_transaction_;  // the error that ended it
  int faults_ = 0;
  int wal_pages_ = 0;
  int schema_version_ = 0;                   // that the idle statements were prepared for
  std::uint32_t written_before_commit_ = 0;  // pages
  std::int64_t rowid_before_ = 0;
  std::string_view into_;        // the table that the statement names; a trigger can insert into others
  bool repeated_rowid_ = false;  // an INSERT into it made the very rowid that was the last one before
  bool expects_transaction_ = false;
  bool defers_keys_ = false;     // a job has put off foreign keys to the end of the transaction
  bool commit_started_ = false;  // by the current statement; set by SQLite's commit hook
  bool has_logged_ = false;      // the newest COMMIT has written to the log; set by SQLite's hook of the log
  bool lacks_room_ = false;
  bool is_broken_ = false;
  bool allows_old_strings_ = false;  // a migration's: "text" in the schema of an old file
};

}  // namespace sqlane::detail
