#include "sqlite/connection.hpp"

#include <SQLiteCpp/Exception.h>
#include <algorithm>
#include <filesystem>
#include <limits>
#include <sqlite3.h>
#include <system_error>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/engine.hpp"
#include "sqlite/errors.hpp"
#include "sqlite/fork_safety.hpp"
#include "sqlite/hardening.hpp"
#include "sqlite/index_file.hpp"
#include "sqlite/opening_reasons.hpp"
#include "sqlite/remedies.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::milliseconds;

constexpr int kMostSnapshotRetries = 100;
constexpr const char* kInterrupted = "interrupted, having held its connection for too long,";

std::string_view describe(SqlMistake mistake) {
  switch (mistake) {
    case SqlMistake::none: break;
    case SqlMistake::no_statement: return "the text holds no statement";
    case SqlMistake::several_statements: return "the text holds more than one statement";
    case SqlMistake::unterminated: return "a string or quoted name is left open";
    case SqlMistake::too_few_values: return "there are more placeholders than values";
    case SqlMistake::too_many_values: return "there are fewer placeholders than values";
    case SqlMistake::named_without_bind: return "named placeholders take their values from bind()";
    case SqlMistake::bind_without_named: return "bind() is for named placeholders, but the text has question marks";
    case SqlMistake::mixed_values: return "named and positional values do not mix";
    case SqlMistake::write_in_snapshot: return "a snapshot only reads";
    case SqlMistake::transaction_control:
      return "transactions are controlled by write(), begin() and savepoint(), not by SQL";
    case SqlMistake::attach: return "databases cannot be attached";
  }
  return "";
}

bool speaks_against_connection(int extended_code) {
  switch (extended_code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM: return true;
    default: return classify(extended_code).recovery == Recovery::reconnect;
  }
}

// Keeps the index of the write-ahead log in memory of its own and every other
// process out. https://sqlite.org/vfs.html#standard_unix_vfses
constexpr const char* kExclusiveVfs = "unix-excl";

const char* vfs_of(const ConnectionSettings& settings) {
  if (settings.is_memory()) return MemoryStore::kVfs;
  if (settings.locking == Locking::shared) return nullptr;  // the default
  if (sqlite3_vfs_find(kExclusiveVfs) == nullptr) {
    throw OpenError("cannot open \"" + settings.database +
                        "\": this SQLite cannot keep other processes out; Locking::shared works without that",
                    {.database = settings.database});
  }
  return kExclusiveVfs;
}

// A reader of a database without a log need not become one that has an index.
bool shares_index(const ConnectionSettings& settings) {
  if (settings.is_memory() || settings.locking != Locking::shared || settings.medium == Medium::fixed) return false;
  std::error_code error;
  return settings.role != Role::reader || std::filesystem::exists(settings.database + "-wal", error);
}

SQLite::Database open_handle(const ConnectionSettings& settings) {
  expect_supported_engine();
  keep_whole_across_forks();
  if (settings.files != nullptr) settings.files->expect_openable();
  const char* const vfs = vfs_of(settings);
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
  // SQLite takes the lock of Locking::exclusive only where it could write.
  const bool only_reads = settings.role == Role::reader && !(settings.is_alone && settings.medium == Medium::writable);
  flags |= only_reads ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  // A file is there: prepare_database_file() has made it.
  if (settings.is_memory() && settings.role != Role::reader) flags |= SQLITE_OPEN_CREATE;
  if (shares_index(settings)) prepare_index(settings.database);
  try {
    if (settings.medium == Medium::fixed) {
      const FixedOpening opening = opening_on_fixed_medium(settings.database);
      SQLite::Database database(opening.name.c_str(), flags | opening.flags, 0, opening.vfs);
      database.exec(opening.pragma);
      return database;
    }
    const std::string& path = settings.is_memory() ? settings.memory->path() : settings.database;
    return SQLite::Database(path.c_str(), flags, 0, vfs);
  } catch (const SQLite::Exception& error) {
    const bool is_gone = error.getExtendedErrorCode() == SQLITE_IOERR_CORRUPTFS;  // EIO, ENXIO
    throw OpenError(
        "cannot open \"" + settings.database + "\": " + error.what() + (is_gone ? ": is the disk still there?" : ""),
        {.code = error.getErrorCode(), .extended_code = error.getExtendedErrorCode(), .database = settings.database});
  }
}

void allow_double_quoted_strings(sqlite3* connection, bool are_allowed) noexcept {
  for (const int option : {SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL}) {
    sqlite3_db_config(connection, option, are_allowed ? 1 : 0, nullptr);
  }
}

// Closed, a last connection that can write copies the log into the file and deletes it.
void keep_log_when_closed(sqlite3* connection, bool is_kept) noexcept {
  sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_kept ? 1 : 0, nullptr);
}

ConnectionSettings on_its_medium(ConnectionSettings settings) {
  if (settings.role == Role::reader && !settings.is_memory() && settings.medium == Medium::writable) {
    settings.medium = medium_of(settings.database);
  }
  return settings;
}

// What was asked is to open it: none of the statements that this takes.
std::string reason_for_opening(const Error& error) {
  std::string reason = words_of_engine(error);
  const std::string remedy = remedy_for(reason, "");
  if (reason.find("unsafe use of ") != std::string::npos) {
    reason = "its schema uses what is not trusted: " + reason;
  } else if (error.code() == SQLITE_NOTADB) {
    reason = "it is no SQLite database, or encrypted, or of a newer or another engine: " + reason;
  } else if (reason.starts_with("malformed database schema (") && reason.ends_with("string or blob too big")) {
    reason = "a text of its schema is longer than Options::sql.sql_length allows: " + reason;
  } else if (reason.starts_with("malformed database schema (")) {
    reason = "its schema is damaged, or of a newer or another engine: " + reason;
  }
  if (error.extended_code() != 0) reason += " (SQLite code " + std::to_string(error.extended_code()) + ")";
  return reason + remedy;
}

}  // namespace

Connection::Connection(ConnectionSettings settings, Clock& clock)
    : settings_(on_its_medium(std::move(settings))),
      record_(settings_.record != nullptr ? settings_.record : std::make_shared<ConnectionRecord>()),
      busy_wait_(clock, settings_.busy_timeout, record_->locks_met),
      limits_(clock, record_->is_interrupted),
      database_(open_handle(settings_)),
      cache_(settings_.statement_cache),
      running_(&record_->running) {
  try {
    configure();
    if (settings_.on_statement) tell_of_statements();
  } catch (const Error& error) {
    const int last_error = sqlite3_system_errno(handle());
    finalize_controls();
    std::string reason = reason_for_opening(error);
    bool is_retryable = error.is_retryable();
    if (error.code() == SQLITE_BUSY && !settings_.is_memory()) {
      reason = settings_.locking == Locking::exclusive
                   ? "another process has it open, which Locking::exclusive does not allow"
                   : "another process keeps it locked";
    } else if (std::string place = reason_of_place(settings_.database, error.extended_code(), last_error);
               !place.empty()) {
      reason = std::move(place);
      is_retryable = false;
    }
    throw OpenError("cannot open \"" + settings_.database + "\": " + reason, {.code = error.code(),
                                                                              .extended_code = error.extended_code(),
                                                                              .database = settings_.database,
                                                                              .retryable = is_retryable});
  }
  if (settings_.files != nullptr) join_files();
}

Connection::~Connection() {
  revoke_statements(StatementCache::Which::all);
  finalize_controls();
  if (settings_.files != nullptr) settings_.files->leave(handle());
}

void Connection::join_files() {
  try {
    settings_.files->join(handle(),
                          settings_.role == Role::reader ? FileWatch::Logs::unknown : FileWatch::Logs::written);
  } catch (...) {
    finalize_controls();
    throw;
  }
}

void Connection::finalize_controls() noexcept {
  for (sqlite3_stmt*& control : controls_) sqlite3_finalize(std::exchange(control, nullptr));
}

void Connection::configure() {
  sqlite3_extended_result_codes(handle(), 1);
  keep_log_when_closed(handle(), true);  // until it has turned out that it is ours to write
  busy_wait_.install(handle());
  limits_.install(handle());
  harden(handle(), settings_.sql);
  authorizer_.install(handle());
  if (settings_.page_size != 0) set_page_size();
  // Built so, SQLite would keep each lock that it has once taken.
  if (sqlite3_compileoption_used("DEFAULT_LOCKING_MODE=1") != 0) pragma("PRAGMA locking_mode=NORMAL");
  // The first look at the file: is it a database, whole, and of a format we know?
  schema_version_ = std::stoi(pragma("PRAGMA schema_version"));
  pragma("PRAGMA mmap_size=0");  // one of the conditions of the WAL-reset fault, and no gain
  pragma("PRAGMA cell_size_check=ON");
  pragma(("PRAGMA cache_size=-" + std::to_string(settings_.page_cache / 1024)).c_str());
  if (settings_.sql.recursive_triggers) pragma("PRAGMA recursive_triggers=ON");
  // Checkpoints run where the governor decides, never beside a commit.
  sqlite3_wal_autocheckpoint(handle(), 0);
  if (settings_.role == Role::reader) {
    if (settings_.is_alone) pragma("PRAGMA query_only=ON");
    return;
  }

  expect_writable();
  switch_to_wal();
  set_durability(settings_.durability);
  if (settings_.is_memory() && settings_.memory->database_limit() != 0) limit_pages();
  if (spill_breaks_savepoints(sqlite3_libversion_number())) pragma("PRAGMA cache_spill=OFF");
  sqlite3_wal_hook(
      handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto& connection = *static_cast<Connection*>(self);
        connection.wal_pages_ = pages;
        connection.has_logged_ = true;
        connection.record_->wal_pages.store(static_cast<std::uint64_t>(pages), std::memory_order_relaxed);
        return SQLITE_OK;
      },
      this);
  sqlite3_update_hook(
      handle(),
      [](void* self, int operation, const char*, const char* table, sqlite3_int64 rowid) {
        auto& connection = *static_cast<Connection*>(self);
        if (operation == SQLITE_INSERT && rowid == connection.rowid_before_ && is_name(connection.into_, table)) {
          connection.repeated_rowid_ = true;
        }
      },
      this);
  sqlite3_commit_hook(
      handle(),
      [](void* self) {
        auto& connection = *static_cast<Connection*>(self);
        FileWatch* const files = connection.settings_.files.get();
        connection.commit_started_ = files == nullptr || files->has_whole_log(connection.handle());
        connection.written_before_commit_ = connection.pages_written();
        return connection.commit_started_ ? 0 : 1;
      },
      this);
  keep_log_when_closed(handle(), false);
}

void Connection::tell_of_statements() {
  const auto tell = [](unsigned, void* self, void* statement, void* text) {
    const auto& connection = *static_cast<Connection*>(self);
    auto* const handle = static_cast<sqlite3_stmt*>(statement);
    const std::string_view sql = static_cast<const char*>(text);
    if (sql != sqlite3_sql(handle)) return 0;  // a trigger's name: part of the statement that set it off
    const bool is_own = handle == connection.running_pragma_ ||
                        std::ranges::find(connection.controls_, handle) != connection.controls_.end();
    connection.settings_.on_statement(
        ExecutedStatement(sql, is_own ? ExecutedStatement::Origin::library : ExecutedStatement::Origin::caller,
                          connection.settings_.role == Role::reader ? ExecutedStatement::Target::reader
                                                                    : ExecutedStatement::Target::writer,
                          handle));
    return 0;
  };
  sqlite3_trace_v2(handle(), SQLITE_TRACE_STMT, tell, this);
}

void Connection::expect_writable() const {
  if (sqlite3_db_readonly(handle(), "main") == 1) {
    throw ReadOnlyError("SQLite can only read it: its format is newer, or it is write-protected");
  }
}

// A database that has pages keeps their size.
void Connection::set_page_size() {
  pragma(("PRAGMA page_size=" + std::to_string(settings_.page_size)).c_str());
  const std::string size = pragma("PRAGMA page_size");
  if (size == std::to_string(settings_.page_size)) return;
  throw OpenError("it has pages of " + size + " bytes, and Options::page_size asks for " +
                  std::to_string(settings_.page_size) + "; leave that at 0 for a database that is there already");
}

// Switching needs the file for a moment alone. SQLite answers BUSY to whoever
// comes second without calling the busy handler, and answers the old mode where
// it cannot switch at all. For a reader it waits in the handler.
// https://sqlite.org/pragma.html#pragma_journal_mode
void Connection::switch_to_wal() {
  const Clock::time_point end = busy_wait_.deadline();
  for (int attempt = 0;; ++attempt) {
    try {
      const std::string mode = pragma("PRAGMA journal_mode=WAL");
      if (mode != "wal") {
        throw IoError("the file system does not support write-ahead logging (journal mode " + mode + ")");
      }
      run_or_fail(Control::pin);  // SQLite opens the log with the next read
      if (pragma("PRAGMA journal_mode") != "wal") throw IoError("it could not be switched to write-ahead logging");
      return;
    } catch (const BusyError&) {
      if (busy_wait_.is_past(end) || !busy_wait_.wait(attempt)) throw;
    }
  }
}

// A statement that would make the database too large fails by itself; that the
// log had no room would be found out by COMMIT, or by a checkpoint.
void Connection::limit_pages() {
  const std::size_t pages = settings_.memory->database_limit() / std::stoul(pragma("PRAGMA page_size"));
  pragma(("PRAGMA max_page_count=" + std::to_string(std::max<std::size_t>(pages, 1))).c_str());
}

void Connection::set_durability(Durability durability) {
  settings_.durability = durability;
  const bool syncs_commits = durability == Durability::full;
  pragma(settings_.is_memory() ? "PRAGMA synchronous=OFF"
         : syncs_commits       ? "PRAGMA synchronous=FULL"
                               : "PRAGMA synchronous=NORMAL");
}

void Connection::end_migration() { pragma("PRAGMA legacy_alter_table=OFF"); }

void Connection::become_migrator(Keys keys, Spilling spilling) {
  retire();
  // A connection that takes "text" for a string anyhow goes on so.
  int takes_strings = 0;
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DQS_DML, -1, &takes_strings);
  allows_old_strings_ = takes_strings == 0;
  authorizer_.set_policy(Policy::migration);
  sqlite3_limit(handle(), SQLITE_LIMIT_SQL_LENGTH, std::numeric_limits<int>::max());  // up to SQLite's own
  if (spilling == Spilling::on) pragma("PRAGMA cache_spill=ON");
  if (keys == Keys::enforced) return;
  pragma("PRAGMA foreign_keys=OFF");
  if (pragma("PRAGMA foreign_keys") != "0") throw UsageError("foreign keys cannot be turned off inside a transaction");
}

std::size_t Connection::longest_sql() const noexcept {
  constexpr std::size_t kMost = std::numeric_limits<int>::max();
  return settings_.sql.sql_length == 0 ? kMost : settings_.sql.sql_length;
}

void Connection::let_spill() {
  has_logged_ = false;
  if (!spill_breaks_savepoints(sqlite3_libversion_number())) return;
  try {
    pragma("PRAGMA cache_spill=ON");
  } catch (const std::exception&) {
    stop_spilling();
    throw;
  }
}

// What has spilled is committed, or undone as a whole: it does no harm to the
// savepoints of later transactions, and is not counted against them.
void Connection::stop_spilling() noexcept {
  if (!spill_breaks_savepoints(sqlite3_libversion_number())) return;
  try {
    pragma("PRAGMA cache_spill=OFF");
    int spills = 0;
    int highest = 0;
    sqlite3_db_status(handle(), SQLITE_DBSTATUS_CACHE_SPILL, &spills, &highest, 1);
  } catch (const std::exception&) {
    is_broken_ = true;
  }
}

void Connection::set_limits(std::optional<std::chrono::milliseconds> timeout, const std::stop_token& stop) {
  limits_.set(timeout, stop);
  busy_wait_.set_stop(stop);
}

void Connection::clear_limits() noexcept {
  limits_.clear();
  busy_wait_.set_stop({});
}

void Connection::begin_limited_statement() {
  if (limits_.is_paused()) return;
  if (limits_.stop_requested() || limits_.is_interrupted()) {
    throw InterruptedError(
        std::string(limits_.is_interrupted() ? kInterrupted : "stopped") + " before the statement on " +
            settings_.database,
        {.code = SQLITE_INTERRUPT, .extended_code = SQLITE_INTERRUPT, .database = settings_.database});
  }
  limits_.begin_statement();
}

std::string Connection::pragma(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(handle(), sql, -1, &statement, nullptr);
  std::string value;
  if (code == SQLITE_OK) {
    running_pragma_ = statement;
    code = sqlite3_step(statement);
    running_pragma_ = nullptr;
    if (code == SQLITE_ROW) {
      const unsigned char* text = sqlite3_column_text(statement, 0);
      if (text != nullptr) value = reinterpret_cast<const char*>(text);
    }
    while (code == SQLITE_ROW) code = sqlite3_step(statement);  // it can fail after it has answered
  }
  Failure failure;
  if (code != SQLITE_DONE) {
    failure = failure_of(code, sql);
    static_cast<void>(name_cause(failure));
  }
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) throw_failure(std::move(failure));
  return value;
}

// The savepoints of a transaction share one name: SQLite takes the newest, and
// ours end in the reverse order of their making.
const std::string_view& Connection::text_of(Control control) noexcept {
  static constexpr std::array<std::string_view, kControls> kTexts{
      "BEGIN DEFERRED",
      "BEGIN IMMEDIATE",
      "BEGIN EXCLUSIVE",
      "SELECT 1 FROM sqlite_master LIMIT 1",
      "COMMIT",
      "ROLLBACK",
      "SAVEPOINT sqlane",
      "RELEASE sqlane",
      "ROLLBACK TO sqlane",
      "SAVEPOINT sqlane_job",
      "RELEASE sqlane_job",
      "ROLLBACK TO sqlane_job",
      "PRAGMA defer_foreign_keys=OFF",
      "PRAGMA schema_version",
      "SELECT name FROM main.sqlite_master WHERE type = 'table' AND rootpage = 0",
  };
  return kTexts[static_cast<std::size_t>(control)];
}

int Connection::schema_version() noexcept {
  sqlite3_stmt* statement = nullptr;
  if (prepare(Control::schema_version, statement) != SQLITE_OK) return -1;
  const int version = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
  sqlite3_reset(statement);
  notice_loss();
  return version;
}

int Connection::prepare(Control control, sqlite3_stmt*& statement) noexcept {
  sqlite3_stmt*& kept = controls_[static_cast<std::size_t>(control)];
  int code = SQLITE_OK;
  if (kept == nullptr) {
    const std::string_view text = text_of(control);
    code = sqlite3_prepare_v3(handle(), text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT, &kept,
                              nullptr);
  }
  statement = kept;
  return code;
}

int Connection::run(Control control) {
  if (is_of_another_process()) return SQLITE_MISUSE;
  sqlite3_stmt* statement = nullptr;
  if (const int code = prepare(control, statement); code != SQLITE_OK) return code;
  const RunningStatement::Scope scope(running_, text_of(control));
  const StatementLimits::Pause pause(limits_);
  const int code = sqlite3_step(statement);
  const int reset = sqlite3_reset(statement);
  if (code == SQLITE_DONE || code == SQLITE_ROW) return SQLITE_OK;
  return reset == SQLITE_OK ? code : reset;
}

void Connection::run_or_fail(Control control) {
  if (const int code = run(control); code != SQLITE_OK) fail(code, text_of(control));
}

void Connection::begin(Behavior behavior) {
  if (settings_.role == Role::writer && settings_.files != nullptr) settings_.files->expect_not_lost(handle());
  const Control control = behavior == Behavior::deferred    ? Control::begin_deferred
                          : behavior == Behavior::immediate ? Control::begin_immediate
                                                            : Control::begin_exclusive;
  commit_started_ = false;
  lost_transaction_.clear();
  // Another process can commit between BEGIN IMMEDIATE's look at the log and
  // its lock. Starting over is then all it takes.
  int code = run(control);
  for (int i = 0; i < kMostSnapshotRetries && code == SQLITE_BUSY_SNAPSHOT; ++i) code = run(control);
  if (code == SQLITE_READONLY && settings_.role == Role::writer) fail_to_log();
  if (code != SQLITE_OK) fail(code, text_of(control));
  expects_transaction_ = true;
  // The connection's last rowid is another transaction's business.
  sqlite3_set_last_insert_rowid(handle(), 0);
}

// Where the log or its index cannot be opened to write, for want of descriptors
// say, SQLite opens it to read, says nothing, and refuses every write.
void Connection::fail_to_log() {
  is_broken_ = true;
  record_->errors.add();
  throw IoError("the write-ahead log of \"" + settings_.database + "\", or the index of it, was opened only to be read",
                {.code = SQLITE_CANTOPEN, .extended_code = SQLITE_CANTOPEN, .database = settings_.database});
}

bool Connection::try_begin() {
  busy_wait_.turn_off();
  const int code = run(Control::begin_immediate);
  busy_wait_.turn_on();
  expects_transaction_ = code == SQLITE_OK;
  return expects_transaction_;
}

void Connection::begin_snapshot() {
  begin(Behavior::deferred);
  run_or_fail(Control::pin);
}

Connection::Committed Connection::commit() {
  has_logged_ = false;
  // BUSY leaves the transaction open, to be committed again.
  for (int attempt = 0;; ++attempt) {
    commit_started_ = false;
    const int code = run(Control::commit);
    if (code == SQLITE_OK) break;
    const bool can_wait = (code & 0xff) == SQLITE_BUSY && code != SQLITE_BUSY_SNAPSHOT && in_transaction();
    if (can_wait && busy_wait_.wait(attempt)) continue;
    if (speaks_against_connection(code) || (code & 0xff) == SQLITE_FULL || code == SQLITE_CONSTRAINT_COMMITHOOK) {
      record_->failed_commits.fetch_add(1, std::memory_order_relaxed);
    }
    fail(code, text_of(Control::commit));
  }
  if (has_logged_) record_->failed_commits.store(0, std::memory_order_relaxed);
  expects_transaction_ = false;
  return has_logged_ ? Committed::changes : Committed::nothing;
}

void Connection::rollback() noexcept {
  expects_transaction_ = false;
  if (in_transaction() && run(Control::rollback) != SQLITE_OK) is_broken_ = true;
}

void Connection::open_savepoint() { run_unless_writing(Control::savepoint); }
void Connection::release_savepoint() { run_unless_writing(Control::release); }

void Connection::run_unless_writing(Control control) {
  const int code = run(control);
  if (code == SQLITE_BUSY && cache_.find_in_use(StatementCache::Which::writing) != nullptr) {
    throw UsageError("rows of a statement that writes are still being read");
  }
  if (code != SQLITE_OK) fail(code, text_of(control));
}

void Connection::undo_savepoint() {
  revoke_statements(StatementCache::Which::writing);  // RELEASE would wait for them
  undo(Control::rollback_to, Control::release);
}

void Connection::undo(Control rollback_to, Control release) {
  run_or_fail(rollback_to);
  if (spill_breaks_savepoints(sqlite3_libversion_number()) && has_spilled()) {
    lose_transaction("a savepoint was undone after the page cache had spilled, which this SQLite cannot commit safely");
    is_broken_ = true;  // the count of spills is of the connection's whole life
    expect_live_transaction();
  }
  run_or_fail(release);
}

void Connection::lose_transaction(const char* reason) noexcept {
  try {
    if (lost_transaction_.empty()) lost_transaction_ = reason;
  } catch (const std::bad_alloc&) {
    lost_transaction_ = "out of memory";  // short enough to take none
  }
  if (in_transaction() && run(Control::rollback) != SQLITE_OK) is_broken_ = true;
}

void Connection::begin_job(Enclosure enclosure) {
  notice_loss();
  expect_live_transaction();
  if (enclosure == Enclosure::savepoint) run_or_fail(Control::job_savepoint);
  // The connection's last rowid is another job's business.
  sqlite3_set_last_insert_rowid(handle(), 0);
}

void Connection::end_job(Enclosure enclosure) {
  int violated = 0;
  int highest = 0;
  sqlite3_db_status(handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &violated, &highest, 0);
  if (violated != 0) {
    throw_failure({.extended_code = SQLITE_CONSTRAINT_FOREIGNKEY,
                   .message = "FOREIGN KEY constraint failed",
                   .sql = std::string(text_of(Control::commit)),
                   .database = settings_.database});
  }
  enforce_keys_at_once();
  if (enclosure == Enclosure::savepoint) run_or_fail(Control::job_release);
}

void Connection::undo_job() {
  revoke_statements(StatementCache::Which::all);
  undo(Control::job_rollback_to, Control::job_release);
  enforce_keys_at_once();
}

void Connection::enforce_keys_at_once() {
  if (defers_keys_) run_or_fail(Control::enforce_keys_at_once);
  defers_keys_ = false;
}

bool Connection::undoes_itself(const SqlText& sql) {
  CachedStatement* const statement = cache_.find_idle(sql.text);
  if (statement == nullptr || statement->facts.kind != SqlKind::write) return false;
  if (statement->failure == CachedStatement::Failure::unknown) {
    statement->failure = explain_undoes_itself(statement->text) ? CachedStatement::Failure::undoes_itself
                                                                : CachedStatement::Failure::leaves_something;
  }
  return statement->failure == CachedStatement::Failure::undoes_itself;
}

// A statement that changes one row does so at its end, behind all that can
// fail: nothing to undo. (One that changes several has no journal of its own
// unless SQLite expects a constraint to abort it; an error of another kind, in a
// later row, leaves the earlier ones behind.) The conflict clauses of the
// statement, its tables and their triggers all end up in the program.
// https://sqlite.org/opcode.html
bool Connection::explain_undoes_itself(const std::string& text) {
  constexpr int kRollback = 1;
  constexpr int kFail = 3;
  constexpr std::array<std::string_view, 9> kSeveralChanges{"Next",       "Prev",  "VNext",
                                                            "SorterNext", "Yield",  // rows of a loop
                                                            "Program",              // triggers
                                                            "FkCounter",            // keys that are checked later
                                                            "VUpdate",              // a virtual table's affair
                                                            "ResetCount"};
  sqlite3_stmt* program = nullptr;
  bool undoes_itself = sqlite3_prepare_v2(handle(), ("EXPLAIN " + text).c_str(), -1, &program, nullptr) == SQLITE_OK;
  bool has_deleted = false;
  int code = SQLITE_DONE;
  while (undoes_itself && (code = sqlite3_step(program)) == SQLITE_ROW) {
    const auto* const name = reinterpret_cast<const char*>(sqlite3_column_text(program, 1));
    const std::string_view opcode = name == nullptr ? "" : name;
    const int error = sqlite3_column_int(program, 2);   // p1
    const int action = sqlite3_column_int(program, 3);  // p2
    const bool stops = (opcode == "Halt" || opcode == "HaltIfNull") && error != 0;
    if (opcode == "Delete") has_deleted = true;  // a row that gives way to another
    if (opcode.empty() || (stops && (action == kRollback || action == kFail || has_deleted)) ||
        std::find(kSeveralChanges.begin(), kSeveralChanges.end(), opcode) != kSeveralChanges.end()) {
      undoes_itself = false;
    }
  }
  sqlite3_finalize(program);
  notice_loss();
  return undoes_itself && code == SQLITE_DONE;
}

// SQLite can have ended the transaction in any statement, also in those of our
// own whose errors are nobody's.
void Connection::notice_loss() noexcept {
  if (expects_transaction_ && !in_transaction() && lost_transaction_.empty()) lose_transaction("out of memory");
}

// Never, with cache_spill=OFF; asked all the same, because the price of being wrong is lost commits.
bool Connection::has_spilled() const noexcept {
  int spills = 0;
  int highest = 0;
  sqlite3_db_status(handle(), SQLITE_DBSTATUS_CACHE_SPILL, &spills, &highest, 0);
  return spills != 0;
}

std::size_t Connection::page_cache_bytes() const noexcept {
  int bytes = 0;
  int highest = 0;
  sqlite3_db_status(handle(), SQLITE_DBSTATUS_CACHE_USED, &bytes, &highest, 0);
  return static_cast<std::size_t>(bytes);
}

std::uint32_t Connection::pages_written() const noexcept {
  int pages = 0;
  int highest = 0;
  sqlite3_db_status(handle(), SQLITE_DBSTATUS_CACHE_WRITE, &pages, &highest, 0);
  return static_cast<std::uint32_t>(pages);
}

bool Connection::in_transaction() const noexcept { return sqlite3_get_autocommit(handle()) == 0; }

void Connection::throw_lost_transaction() const {
  if (is_of_another_process()) {
    throw UsageError("the database was opened before this process was forked: it belongs to the parent");
  }
  throw TransactionAborted("the transaction was rolled back: " + lost_transaction_,
                           {.database = settings_.database, .transaction_ended = true});
}

Cleaning Connection::tidy() noexcept {
  const bool is_untidy = cache_.has_statements_in_use();
  revoke_statements(StatementCache::Which::all);
  rollback();
  lost_transaction_.clear();
  defers_keys_ = false;  // it ended with the transaction
  if (limits_.is_set()) clear_limits();
  if (is_broken_) return Cleaning::broken;
  return is_untidy ? Cleaning::cleaned : Cleaning::nothing_to_do;
}

bool Connection::ping() noexcept {
  const int code = run(Control::pin);
  notice_loss();
  return code == SQLITE_OK;
}

std::int64_t Connection::last_insert_rowid() const noexcept { return sqlite3_last_insert_rowid(handle()); }

void Connection::watch_inserts(const CachedStatement& statement) noexcept {
  if (!expects_transaction_) sqlite3_set_last_insert_rowid(handle(), 0);
  rowid_before_ = sqlite3_last_insert_rowid(handle());
  into_ = statement.facts.into;
  repeated_rowid_ = false;
}

// What a trigger inserts is forgotten at its end. So the last rowid is another
// one, or this statement made it once more, which SQLite's hook sees, or it
// inserted no row with a rowid: an upsert that updated, a table without rowids.
// The hook does not see virtual tables; but they know no upsert, and all have rowids.
// https://sqlite.org/c3ref/last_insert_rowid.html
std::int64_t Connection::inserted_rowid(CachedStatement& statement) noexcept {
  using Target = CachedStatement::Target;
  const std::int64_t rowid = sqlite3_last_insert_rowid(handle());
  if (rowid != rowid_before_ || repeated_rowid_ || rowid == 0) return rowid;
  if (statement.target == Target::unknown) statement.target = target_of(statement.facts.into);
  return statement.target == Target::virtual_table ? rowid : 0;
}

CachedStatement::Target Connection::target_of(std::string_view into) noexcept {
  using Target = CachedStatement::Target;
  sqlite3_stmt* statement = nullptr;
  if (prepare(Control::virtual_tables, statement) != SQLITE_OK) return Target::unknown;
  Target target = Target::table;
  int code = SQLITE_ROW;
  while (target == Target::table && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* const name = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    if (name != nullptr && is_name(into, name)) target = Target::virtual_table;
  }
  sqlite3_reset(statement);
  notice_loss();
  return code == SQLITE_ROW || code == SQLITE_DONE ? target : Target::unknown;
}

void Connection::revoke_statements(StatementCache::Which which) noexcept {
  while (CachedStatement* const found = cache_.find_in_use(which)) {
    CachedStatement& statement = *found;
    if (statement.holder != nullptr) {
      statement.holder->connection_ = nullptr;
      statement.holder->cached_ = nullptr;
      statement.holder->handle_ = nullptr;
    }
    sqlite3_reset(statement.handle);
    check_in(statement);
  }
}

void Connection::expect_reachable() {
  if (settings_.files != nullptr) settings_.files->expect_reachable(handle());
}

void Connection::expect_reachable_commit() {
  try {
    expect_reachable();
  } catch (const IoError&) {
    rethrow_saying(". What has been committed now is in the files that were open, where nobody finds it");
  }
}

bool Connection::has_lost_anything() {
  return settings_.files != nullptr && settings_.files->has_lost_anything(handle());
}

// FULL has the write lock, which keeps a commit of another process from meeting the copying.
void Connection::save_log_without_a_name() {
  if (!settings_.files->has_whole_log_without_a_name(handle())) return;
  Checkpoint done;
  const int code =
      sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_FULL, &done.log_pages, &done.copied_pages);
  if (code != SQLITE_OK) fail(code, "checkpoint");
}

Connection::Checkpoint Connection::checkpoint_passive() {
  expect_reachable();
  Checkpoint done;
  const int code =
      sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &done.log_pages, &done.copied_pages);
  if (code != SQLITE_OK) fail(code, "checkpoint");
  if (done.copied_pages > done.log_pages) {
    throw CorruptError("a checkpoint copied more pages than the write-ahead log holds",
                       {.code = SQLITE_CORRUPT, .extended_code = SQLITE_CORRUPT, .database = settings_.database});
  }
  if (settings_.files != nullptr) settings_.files->learn_content(handle());
  return done;
}

CachedStatement& Connection::check_out(const SqlText& sql, Statement& holder) {
  commit_started_ = false;
  CachedStatement* statement = cache_.check_out(sql.text, sql.is_literal);
  (statement == nullptr ? record_->statements_prepared : record_->statement_hits).add();
  if (statement == nullptr) {
    statement = &cache_.add();
    try {
      prepare(*statement, sql);
      cache_.list(*statement);
    } catch (...) {
      cache_.discard(*statement);
      throw;
    }
  } else {
    try {
      expect_fitting(*statement, sql);
    } catch (...) {
      check_in(*statement);
      throw;
    }
  }
  statement->holder = &holder;
  if (statement->defers_keys) defers_keys_ = true;
  return *statement;
}

void Connection::prepare(CachedStatement& statement, const SqlText& sql) {
  statement.text = sql.text;
  statement.shown = statement.text;
  statement.running = running_;
  statement.facts = scan_sql(statement.text);
  if (sql.text.find('\0') != std::string_view::npos) throw UsageError("the SQL text holds a NUL byte");
  if (sql.text.size() >= std::numeric_limits<int>::max()) throw UsageError("the SQL text is too long");
  expect_fitting(statement, sql);
  {
    const bool may_defer = sql.access == Access::write && in_transaction();  // SQLite resets it at the end
    const Authorizer::Watch watch(authorizer_, may_defer ? KeyDeferral::allowed : KeyDeferral::refused);
    const int code = allows_old_strings_ ? prepare_for_migration(statement) : prepare_text(statement);
    if (code == SQLITE_AUTH && authorizer_.refused() == Authorizer::Refused::statement) {
      throw UsageError(authorizer_.refusal() + " in " + quote_sql(statement.text) + " at " + sql.site.to_string());
    }
    if (const int extended = extended_code(code); (extended & 0xff) == SQLITE_ERROR) {
      record_->errors.add();
      throw_failure({.extended_code = extended,
                     .message = explained(sqlite3_errmsg(handle())),
                     .sql = statement.text,
                     .database = settings_.database,
                     .is_preparing = true});
    }
    if (code != SQLITE_OK) fail(code, statement.text);
  }
  // SQLite says of an EXPLAIN what it says of the statement that is explained.
  statement.is_read_only = sqlite3_stmt_readonly(statement.handle) != 0 ||
                           sqlite3_stmt_isexplain(statement.handle) != 0 || authorizer_.asked_for_setting();
  statement.defers_keys = authorizer_.defers_keys();
  statement.facts.parameters = sqlite3_bind_parameter_count(statement.handle);
  expect_fitting(statement, sql);
}

int Connection::prepare_text(CachedStatement& statement) noexcept {
  return sqlite3_prepare_v3(handle(), statement.text.c_str(), static_cast<int>(statement.text.size() + 1),
                            SQLITE_PREPARE_PERSISTENT, &statement.handle, nullptr);
}

// Views, triggers and the like of an old file may have strings in double quotes.
// ALTER TABLE and VACUUM read all of them, while they run; another statement reads
// those that it uses, while it is compiled. What stands in the statement itself is
// a name all the same, but for ALTER TABLE.
int Connection::prepare_for_migration(CachedStatement& statement) noexcept {
  const std::string_view verb = Scanner(statement.text).next().text;
  allow_double_quoted_strings(handle(), is_keyword(verb, "ALTER") || is_keyword(verb, "VACUUM"));
  const int code = prepare_text(statement);
  if (code != SQLITE_ERROR || !misses_column_of_schema(sqlite3_errmsg(handle()), statement.text)) return code;
  allow_double_quoted_strings(handle(), true);
  return prepare_text(statement);
}

void Connection::expect_fitting(const CachedStatement& statement, const SqlText& sql) const {
  // The compiler has looked at literals already.
  const SqlMistake mistake = sql.is_literal ? SqlMistake::none : find_mistake(statement.facts, sql.access, sql.arity);
  if (mistake == SqlMistake::write_in_snapshot || (sql.access == Access::read && !statement.is_read_only)) {
    throw ReadOnlyError("a snapshot only reads; write in a transaction instead of with " + quote_sql(statement.text) +
                            " at " + sql.site.to_string(),
                        {.code = SQLITE_READONLY,
                         .extended_code = SQLITE_READONLY,
                         .sql = statement.text,
                         .database = settings_.database});
  }
  // The last word on placeholders is SQLite's.
  if (mistake == SqlMistake::none && statement.facts.parameters != sql.arity.values) {
    throw UsageError("there are " + std::to_string(statement.facts.parameters) + " placeholders for " +
                     std::to_string(sql.arity.values) + " values in " + quote_sql(statement.text) + " at " +
                     sql.site.to_string());
  }
  if (mistake != SqlMistake::none) {
    throw UsageError(std::string(describe(mistake)) + " in " + quote_sql(statement.text) + " at " +
                     sql.site.to_string());
  }
}

void Connection::check_in(CachedStatement& statement) noexcept {
  into_ = {};  // a view of the statement's text
  if (std::exchange(statement.holds_copies, false)) sqlite3_clear_bindings(statement.handle);
  // SQLite prepared it again behind our back, for other values in a LIKE, or
  // because the schema has changed. Then all that was prepared before would
  // have to go the same way at its next use.
  if (sqlite3_stmt_status(statement.handle, SQLITE_STMTSTATUS_REPREPARE, 1) > 0) {
    statement.failure = CachedStatement::Failure::unknown;
    statement.target = CachedStatement::Target::unknown;
    const int version = schema_version();
    if (std::exchange(schema_version_, version) != version) cache_.drop_idle();
  }
  cache_.check_in(statement);
}

// Throws what the caller asked for by a limit, instead of SQLite's word for it.
void Connection::expect_not_interrupted(int code, const Failure& failure) const {
  const bool is_interrupted = (code & 0xff) == SQLITE_INTERRUPT && limits_.cause() != StatementLimits::Cause::none;
  const bool gave_up_waiting = (code & 0xff) == SQLITE_BUSY && limits_.stop_requested();
  if (!is_interrupted && !gave_up_waiting) return;
  const ErrorDetails details{.code = code & 0xff,
                             .extended_code = failure.extended_code,
                             .sql = failure.sql,
                             .database = failure.database,
                             .transaction_ended = failure.transaction_ended};
  const std::string where = " " + quote_sql(failure.sql) + " on " + failure.database;
  if (is_interrupted && limits_.cause() == StatementLimits::Cause::timeout) {
    throw TimeoutError(
        "the statement ran for longer than " + std::to_string(limits_.timeout().count()) + " ms:" + where, details);
  }
  const bool is_asked_for = limits_.cause() != StatementLimits::Cause::interruption;
  throw InterruptedError((is_asked_for ? "a stop was requested" : kInterrupted) + std::string(" during") + where,
                         details);
}

// SQLite's message, with what it does not tell: which part of the schema it means, and why.
std::string Connection::explained(std::string message) {
  if (message.starts_with("not authorized") && authorizer_.refused() == Authorizer::Refused::schema) {
    retire();  // SQLite keeps the part of the schema that was refused, even if it is mended elsewhere
    return authorizer_.refusal();
  }
  return message;
}

// The connection's newest error, where it is the one that `code` tells of.
int Connection::extended_code(int code) const noexcept {
  // Another program, or a restore, has put a database of another encoding into the file.
  constexpr std::string_view kOtherEncoding = "attached databases must use the same text encoding";
  const int newest = sqlite3_extended_errcode(handle());
  if (newest == SQLITE_ERROR && std::string_view(sqlite3_errmsg(handle())).starts_with(kOtherEncoding)) {
    return SQLITE_SCHEMA;
  }
  return (newest & 0xff) == (code & 0xff) ? newest : code;
}

Failure Connection::failure_of(int code, std::string_view sql) const {
  return {.extended_code = extended_code(code),
          .message = sqlite3_errmsg(handle()),
          .sql = std::string(sql),
          .database = settings_.database};
}

SystemCause Connection::name_cause(Failure& failure) const {
  if (settings_.is_memory()) return {};
  SystemCause cause = cause_of(failure.extended_code, system_error_of(handle(), failure.extended_code));
  if (cause.wrote_nothing && pads_commits(handle())) cause.wrote_nothing = false;
  failure.kind = cause.kind;
  failure.message += cause.words;
  if (cause.kind == ErrorKind::io) failure.extended_code = SQLITE_IOERR_CORRUPTFS;
  if ((failure.extended_code & 0xff) == SQLITE_FULL) failure.remedy = name_full_folder(settings_.database);
  return cause;
}

void Connection::fail(int code, std::string_view sql) { fail(code, failure_of(code, sql)); }

// SQLite prepares a statement again when the schema has changed. Where that
// fails it says SQLITE_ERROR, as of an error in what the statement does.
void Connection::fail_step(int code, const std::string& sql) {
  Failure failure = failure_of(code, sql);
  failure.is_preparing = (code & 0xff) == SQLITE_ERROR && !fits_schema(sql);
  fail(code, std::move(failure));
}

bool Connection::fits_schema(const std::string& sql) noexcept {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle(), sql.c_str(), static_cast<int>(sql.size() + 1), &statement, nullptr);
  sqlite3_finalize(statement);
  return (code & 0xff) != SQLITE_ERROR;
}

void Connection::fail(int code, Failure failure) {
  const bool ended = !in_transaction();
  if (ended && expects_transaction_) {
    failure.transaction_ended = true;
    if (lost_transaction_.empty()) lost_transaction_ = failure.message;
  }
  const SystemCause cause = name_cause(failure);
  // The commit had begun, and the transaction is neither open nor committed.
  // https://sqlite.org/c3ref/commit_hook.html
  // What is in memory survives no crash that could show it after all.
  const bool may_be_written = !cause.wrote_nothing && pages_written() != written_before_commit_;
  failure.outcome_unknown = ended && commit_started_ && may_be_written && !settings_.is_memory();
  const bool reconnects = classify(failure.extended_code).recovery == Recovery::reconnect;
  if (failure.outcome_unknown || reconnects) is_broken_ = true;
  if ((code & 0xff) == SQLITE_FULL && settings_.is_memory()) lacks_room_ = true;
  record_->errors.add();
  if (speaks_against_connection(failure.extended_code)) {
    record_->faults.add();
    ++faults_;
  }
  if (!failure.outcome_unknown) expect_not_interrupted(code, failure);
  if (failure.extended_code == SQLITE_ERROR) failure.message = explained(std::move(failure.message));
  if (failure.extended_code == SQLITE_CONSTRAINT_COMMITHOOK) settings_.files->expect_reachable(handle());
  throw_failure(std::move(failure));
}

}  // namespace sqlane::detail
