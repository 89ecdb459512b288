#include "migrate/runner.hpp"

#include <algorithm>
#include <exception>
#include <list>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "sqlane/detail/queries.hpp"
#include "sqlane/detail/sql_scanner.hpp"
#include "sqlane/error.hpp"
#include "sqlane/rows.hpp"
#include "sqlane/sql.hpp"
#include "sqlite/hardening.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::milliseconds;

const MigrationBody& body_of(const PlannedMigration& planned) {
  return planned.direction == MigrationDirection::up ? planned.migration->up : *planned.migration->down;
}

bool is_function(const PlannedMigration& planned) {
  return std::holds_alternative<std::function<void(Transaction&)>>(body_of(planned));
}

std::optional<MigrationScript> script_of(const PlannedMigration& planned) {
  if (is_function(planned)) return std::nullopt;
  return parse_migration(std::get<std::string>(body_of(planned)), describe_step(planned).file);
}

bool is_transactional(const PlannedMigration& planned) {
  const std::optional<MigrationScript> script = script_of(planned);
  return !script || script->is_transactional;
}

CheckedTables checked_by(const PlannedMigration& planned) {
  const std::optional<MigrationScript> script = script_of(planned);
  return script ? script->checked_tables : planned.migration->check_keys_of;
}

// What is checked once after all of them.
CheckedTables checked_by(std::span<const PlannedMigration> steps) {
  CheckedTables all{std::in_place};
  for (const PlannedMigration& planned : steps) {
    const CheckedTables one = checked_by(planned);
    if (!one) return std::nullopt;
    all->insert(all->end(), one->begin(), one->end());
  }
  return all;
}

bool is_same(const PlannedMigration& a, const PlannedMigration& b) {
  return a.direction == b.direction && a.migration == b.migration;
}

template <class... Types>
bool is_any(const Error& error) {
  return ((dynamic_cast<const Types*>(&error) != nullptr) || ...);
}

// What is not the migration's fault keeps its type, for those who handle it
// everywhere else.
[[noreturn]] void rethrow_about(const std::string& file, const std::string& where, const std::string& consequence) {
  try {
    throw;
  } catch (const MigrationError&) {
    throw;
  } catch (const Error& error) {
    if (is_any<BusyError, TimeoutError, DiskFullError, IoError, CorruptError, InterruptedError, CommitOutcomeUnknown,
               ClosedError>(error)) {
      rethrow_saying("; " + consequence);
    }
    throw MigrationError(MigrationProblem::failed, file, where + error.what() + "; " + consequence,
                         {.code = error.code(),
                          .extended_code = error.extended_code(),
                          .sql = error.sql(),
                          .database = error.database()});
  }
}

constexpr const char* kSayWithBaseline = "say with baseline() which version it has";

std::string is_between_versions(const std::string& done) {
  return done + ", so that the database is between two versions: finish or undo it by hand, then " + kSayWithBaseline;
}

std::int64_t total_changes(Connection& connection) {
  const SqlFor<Access::write> sql("SELECT total_changes()");
  return fetch_one<std::int64_t>(connection, sql.text());
}

bool enforces_keys(Connection& connection) {
  const SqlFor<Access::write> sql("PRAGMA foreign_keys");
  return fetch_one<bool>(connection, sql.text());
}

bool creates(const ScriptStatement& statement) {
  constexpr std::string_view kCreate = "CREATE";
  return is_keyword(std::string_view(statement.text).substr(0, kCreate.size()), kCreate);
}

std::string too_long(const std::string& what, std::size_t longest) {
  return what + " is described by more than " + std::to_string(longest) +
         " bytes of SQL (Options::sql.sql_length), which no connection could read again; ";
}

std::string count_rows(std::uint64_t rows) { return rows == 1 ? "1 row" : std::to_string(rows) + " rows"; }

constexpr std::string_view kMendingKey =
    "a key refers to columns of a table that are its primary key or have a UNIQUE index on exactly those: correct the "
    "key "
    "or make a UNIQUE index";

std::string complaint_about(const KeyFaults& made) {
  const std::uint64_t rows = made.count(KeyFault::Kind::dangling);
  const std::string complaint = rows > 0 ? count_rows(rows) + " would refer to nothing (" +
                                               made.examples(KeyFault::Kind::dangling) + "); mend them in the migration"
                                         : "foreign key mismatch: " + made.examples(KeyFault::Kind::mismatch) + "; " +
                                               std::string(kMendingKey) + " in the migration";
  return complaint + ", or let it begin with \"-- sqlane: no-key-check\"";
}

std::vector<std::string> warnings_of(const KeyFaults& old) {
  std::vector<std::string> warnings;
  if (const std::uint64_t rows = old.count(KeyFault::Kind::dangling); rows > 0) {
    warnings.push_back(
        count_rows(rows) +
        (rows == 1 ? " refers to nothing, as it did before (" : " refer to nothing, as they did before (") +
        old.examples(KeyFault::Kind::dangling) + "); PRAGMA foreign_key_check lists them: mend them in a migration");
  }
  if (old.count(KeyFault::Kind::mismatch) > 0) {
    warnings.push_back("foreign key mismatch, as before: " + old.examples(KeyFault::Kind::mismatch) +
                       ": the keys of that table are not checked, and writing to it fails while keys are enforced; " +
                       std::string(kMendingKey) +
                       " in a migration, or open the database with Options::sql.foreign_keys = false");
  }
  return warnings;
}

// Tells of progress while a statement of `connection` runs, which others use afterwards.
class Ticking {
 public:
  Ticking(Connection& connection, std::function<bool()> tick) : connection_(connection) {
    connection_.set_tick(std::move(tick));
  }
  ~Ticking() { connection_.set_tick({}); }
  Ticking(const Ticking&) = delete;
  Ticking& operator=(const Ticking&) = delete;

 private:
  Connection& connection_;
};

constexpr milliseconds kBetweenTries{10};

std::string stays_at(std::int32_t version) {
  return "nothing of this migration was done, and the database stays at version " + std::to_string(version);
}

}  // namespace

MigrationStep describe_step(const PlannedMigration& planned) {
  const Migration& migration = *planned.migration;
  MigrationStep step{.direction = planned.direction, .version = migration.version, .name = migration.name};
  step.file = migration.file;
  if (planned.direction == MigrationDirection::down && step.file.ends_with(".sql")) {
    step.file.replace(step.file.size() - 4, 4, ".down.sql");
  }
  if (is_function(planned)) return step;
  for (ScriptStatement& statement : parse_migration(std::get<std::string>(body_of(planned)), step.file).statements) {
    step.statements.push_back(std::move(statement.text));
  }
  return step;
}

void expect_own(const MigrationHistory& history, const MigrateOptions& options, const std::string& database) {
  const std::int32_t wanted = options.application_id.value_or(history.application_id);
  if (history.application_id == 0 || history.application_id == wanted) return;
  throw MigrationError(MigrationProblem::foreign, {},
                       "the database " + database + " is another program's: its application_id is " +
                           std::to_string(history.application_id) + ", not " + std::to_string(wanted));
}

void expect_one_transaction(std::span<const PlannedMigration> steps) {
  for (const PlannedMigration& planned : steps) {
    if (is_transactional(planned)) continue;
    throw MigrationError(MigrationProblem::not_transactional, planned.migration->file,
                         "it is marked to run without a transaction, so it cannot share one: Atomicity::each runs it");
  }
}

class MigrationRunner::Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) { connection_.begin(Behavior::immediate); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (!is_committed_) connection_.rollback();
  }

  [[nodiscard]] bool is_committed() const { return is_committed_; }

  void commit() {
    const Connection::Committed committed = connection_.commit();
    is_committed_ = true;
    if (committed == Connection::Committed::changes) connection_.expect_reachable_commit();
  }

 private:
  Connection& connection_;
  bool is_committed_ = false;
};

MigrationRunner::MigrationRunner(const Migrations& migrations, const MigrateOptions& options, MigrationHooks hooks,
                                 Clock& clock)
    : migrations_(migrations),
      options_(options),
      hooks_(std::move(hooks)),
      clock_(clock),
      deadline_(clock.deadline(options.lock_timeout)) {}

MigrationReport MigrationRunner::run() {
  if (const std::optional<MigrationLock> lock = lock_unless_done()) {
    for (Steps steps = look(); !steps.empty();) {
      expect_not_stopped();
      steps_ = report_.steps.size() + steps.size();
      try {
        run_first_of(steps);
      } catch (...) {
        retry_or_rethrow();
      }
      if (report_.steps.size() == steps_) break;  // not asking a database that is being closed
      steps = look();
    }
  }
  if (lacks_mark_ && !hooks_.is_read_only) mark();
  report_.to = version_;
  return std::move(report_);
}

// Nothing when nothing is left to do: somebody else has done it meanwhile.
std::optional<MigrationLock> MigrationRunner::lock_unless_done() {
  while (true) {
    try {
      if (look().empty()) return std::nullopt;
    } catch (const MigrationError& error) {  // perhaps it runs now
      if (error.problem() != MigrationProblem::dirty) throw;
    }
    expect_not_stopped();
    if (std::optional<MigrationLock> lock = MigrationLock::try_acquire(hooks_.file)) return lock;
    if (clock_.now() >= deadline_) {
      throw TimeoutError("another process migrates " + hooks_.database + ", for longer than lock_timeout",
                         {.database = hooks_.database, .retryable = true});
    }
    pause();
  }
}

// After a step that has not been done.
void MigrationRunner::retry_or_rethrow() {
  if (listeners_error_ != nullptr) std::rethrow_exception(listeners_error_);
  try {
    throw;
  } catch (const BusyError&) {  // another process writes for longer than busy_timeout
    if (clock_.now() >= deadline_) throw;
  }
  pause();
}

void MigrationRunner::pause() { clock_.sleep_until(clock_.deadline(kBetweenTries)); }

template <class Action>
void MigrationRunner::insist(Action action) {
  for (const Clock::time_point deadline = clock_.deadline(options_.lock_timeout);;) {
    try {
      action();
      return;
    } catch (const BusyError&) {
      if (clock_.now() >= deadline) throw;
    }
    pause();
  }
}

void MigrationRunner::run_first_of(std::span<const PlannedMigration> steps) {
  if (options_.atomicity == Atomicity::all) {
    run_transaction(steps);
  } else if (is_transactional(steps.front())) {
    run_transaction(steps.first(1));
  } else {
    run_alone(steps.front());
  }
}

void MigrationRunner::expect_not_stopped() const {
  if (!options_.stop.stop_requested()) return;
  const std::string state = has_looked_ ? "the database is at version " + std::to_string(version_) : "nothing was done";
  throw InterruptedError("a stop was requested; " + state, {.database = hooks_.database});
}

// The steps that are left. In memory, where nobody has the MigrationLock, whoever
// runs one without a transaction has the lane.
MigrationRunner::Steps MigrationRunner::look() {
  try {
    return look_once();
  } catch (const MigrationError& error) {
    if (error.problem() != MigrationProblem::dirty || !hooks_.file.empty()) throw;
  }
  const Lease lane = hooks_.lend_writer();
  return look_once();
}

MigrationRunner::Steps MigrationRunner::look_once() {
  try {
    const Lease reader = hooks_.lend_reader();
    reader.connection().begin_snapshot();
    return plan(reader.connection());
  } catch (const InterruptedError&) {
    expect_not_stopped();
    throw;
  }
}

// Requires: a transaction.
MigrationRunner::Steps MigrationRunner::plan(Connection& connection) {
  const MigrationHistory history = read_history(connection);
  version_ = history.version();
  if (!std::exchange(has_looked_, true)) report_.from = version_;
  lacks_mark_ = options_.application_id && *options_.application_id != history.application_id;
  expect_own(history, options_, hooks_.database);
  return plan_steps(history.view(), migrations_, options_.target);
}

bool MigrationRunner::is_still_planned(Connection& writer, std::span<const PlannedMigration> steps) {
  const Steps now = plan(writer);
  return now.size() >= steps.size() && std::ranges::equal(steps, std::span(now).first(steps.size()), is_same);
}

void MigrationRunner::run_transaction(std::span<const PlannedMigration> steps) {
  const bool has_function = std::ranges::any_of(steps, is_function);
  expect_one_transaction(steps);
  // Functions may undo a part of what they do; scripts never go on after an error.
  const auto spilling = has_function ? Connection::Spilling::as_usual : Connection::Spilling::on;

  // What functions registered is called when the lane is free, whatever happened.
  struct Callbacks {
    std::list<JobTransaction> parts;
    TransactionState state = TransactionState::rolled_back;
    ~Callbacks() {
      for (JobTransaction& part : parts) {
        part.settle(state);
        part.call_back();
      }
    }
  } callbacks;

  const Lease lease = hooks_.lend_writer();
  Connection& writer = lease.connection();
  writer.become_migrator(Connection::Keys::off, spilling);
  Transaction transaction(writer);
  if (!is_still_planned(writer, steps)) return;
  const std::int32_t version_before = version_;
  const std::string consequence = stays_at(version_before);
  std::vector<MigrationStep> done;
  std::optional<std::vector<std::string>> warnings;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const PlannedMigration& planned = steps[i];
    MigrationStep step = describe_step(planned);
    begin_step(writer, report_.steps.size() + i + 1);
    if (i == 0) {
      back_up_before_first(step);
      create_history(writer);
    }
    if (const std::optional<MigrationScript> script = script_of(planned)) {
      for (const ScriptStatement& statement : script->statements) {
        statement_number_ = static_cast<std::size_t>(&statement - script->statements.data()) + 1;
        tell(MigrationPhase::statement, step, statement_number_);
        run_statement(writer, step, statement, [&] { return std::string(consequence); });
      }
    } else {
      tell(MigrationPhase::statement, step);
      run_function(writer, callbacks.parts.emplace_back(), planned, consequence);
    }
    if (i + 1 == steps.size()) {
      set_application_id(writer);
      check_schema(writer, step);
      // Nobody else has committed since the transaction began: a reader sees what was before it.
      warnings = check_keys(writer, step, checked_by(steps), std::nullopt, consequence);
    }
    step.duration = std::chrono::duration_cast<milliseconds>(clock_.now() - began_);
    record(writer, planned, step.duration, consequence);
    step_ = nullptr;
    done.push_back(std::move(step));
    writer.end_migration();
  }
  const std::int32_t version_after = read_history(writer).version();
  tell(MigrationPhase::committing, done.back());
  step_ = nullptr;
  try {
    transaction.commit();
  } catch (const CommitOutcomeUnknown&) {
    callbacks.state = TransactionState::outcome_unknown;
    throw;
  } catch (const Error&) {
    if (transaction.is_committed()) callbacks.state = TransactionState::outcome_unknown;
    rethrow_about(done.back().file, "", consequence);
  }
  version_ = version_after;
  callbacks.state = TransactionState::committed;
  std::ranges::move(done, std::back_inserter(report_.steps));
  if (warnings) report_.warnings = *std::move(warnings);
  hooks_.care(writer);
}

// Its statements run one by one; see invariant 2.
void MigrationRunner::run_alone(const PlannedMigration& planned) {
  const Lease lease = hooks_.lend_writer();
  Connection& writer = lease.connection();
  // Outside of a transaction, no statement is undone but with all of its own.
  writer.become_migrator(Connection::Keys::enforced, Connection::Spilling::on);
  MigrationStep step = describe_step(planned);
  const MigrationScript script = *script_of(planned);
  const bool is_up = planned.direction == MigrationDirection::up;
  const std::string unchanged = stays_at(is_up ? planned.migration->version - 1 : planned.migration->version);
  for (const ScriptStatement& statement : script.statements) {
    if (statement.text.size() <= writer.longest_sql() || !creates(statement)) continue;
    throw MigrationError(MigrationProblem::failed, step.file,
                         "line " + std::to_string(statement.line) + ": " +
                             too_long("what is created", writer.longest_sql()) + unchanged);
  }
  AppliedMigration::State state_before = AppliedMigration::State::applied;
  milliseconds duration_before{};
  std::optional<KeyFaults> faults_before;
  {
    Transaction transaction(writer);
    if (!is_still_planned(writer, {&planned, 1})) return;
    if (!is_up) {
      const MigrationHistory history = read_history(writer);
      state_before = history.applied.back().state;
      duration_before = history.applied.back().duration;
    }
    begin_step(writer, report_.steps.size() + 1);
    back_up_before_first(step);
    if (script.sets_foreign_keys) faults_before = find_faults(writer, step, std::nullopt, unchanged);
    create_history(writer);
    set_application_id(writer);
    record_migration(writer, *planned.migration, AppliedMigration::State::running, {});
    try {
      transaction.commit();
    } catch (const CommitOutcomeUnknown&) {
      rethrow_saying("; no statement of " + step.file + " was run, and should the database be dirty, then " +
                     kSayWithBaseline);
    }
  }
  // A statement is whole or not at all, apart from those with the conflict clause FAIL.
  // (A COMMIT that failed is overwritten in the log by the next, in which it is undone.)
  const auto changes = [&] {
    const StatementLimits::Pause unlimited = writer.pause_limits();
    return total_changes(writer);
  };
  const auto has_changed = [&, before = changes()] { return changes() != before; };
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    const auto consequence = [&] {
      if (i != 0) return is_between_versions("the " + std::to_string(i) + " before it are done");
      return has_changed() ? is_between_versions("a part of it is done") : unchanged;
    };
    try {
      tell(MigrationPhase::statement, step, i + 1);
      insist([&] { run_statement(writer, step, script.statements[i], consequence); });
    } catch (...) {
      if (i != 0 || has_changed()) throw;
      const std::exception_ptr reason = std::current_exception();
      writer.clear_limits();
      const StatementLimits::Pause unlimited = writer.pause_limits();
      insist([&] {
        Transaction transaction(writer);
        if (is_up) {
          forget_migration(writer, planned.migration->version);
        } else {
          record_migration(writer, *planned.migration, state_before, duration_before);
        }
        transaction.commit();
      });
      std::rethrow_exception(reason);
    }
  }
  // All is done; nothing must keep that from being written down.
  writer.clear_limits();
  const StatementLimits::Pause unlimited = writer.pause_limits();
  const std::string undecided = is_between_versions("all of its statements are done");
  if (faults_before && !enforces_keys(writer)) {
    if (auto warnings = check_keys(writer, step, script.checked_tables, std::move(faults_before), undecided)) {
      report_.warnings = *std::move(warnings);
    }
  }
  step.duration = std::chrono::duration_cast<milliseconds>(clock_.now() - began_);
  try {
    tell(MigrationPhase::committing, step);
  } catch (...) {
    listeners_error_ = std::current_exception();
  }
  step_ = nullptr;
  insist([&] {
    Transaction transaction(writer);
    record(writer, planned, step.duration, undecided);
    const std::int32_t version_after = read_history(writer).version();
    try {
      transaction.commit();
    } catch (const Error&) {
      rethrow_about(step.file, "writing down that it was done: ", undecided);
    }
    version_ = version_after;
  });
  report_.steps.push_back(std::move(step));
  hooks_.care(writer);
  if (listeners_error_ != nullptr) std::rethrow_exception(listeners_error_);
}

void MigrationRunner::run_function(Connection& writer, JobTransaction& part, const PlannedMigration& planned,
                                   const std::string& consequence) {
  struct Attached {
    Attached(JobTransaction& of, Connection& to) : part(of) { part.attach(to); }
    ~Attached() { part.detach(); }
    JobTransaction& part;
  } const attached(part, writer);
  try {
    std::get<std::function<void(sqlane::Transaction&)>>(body_of(planned))(part.transaction());
    part.expect_complete();
  } catch (const Error&) {
    rethrow_about(planned.migration->file, "", consequence);
  }
}

void MigrationRunner::run_statement(Connection& writer, const MigrationStep& step, const ScriptStatement& statement,
                                    const std::function<std::string()>& consequence) {
  try {
    const SqlFor<Access::write> sql = runtime_sql(statement.text);
    execute(writer, sql.text());
  } catch (const UsageError& error) {  // the authorizer's, or the scanner's
    throw MigrationError(MigrationProblem::failed, step.file,
                         "line " + std::to_string(statement.line) + ": " + error.what() + "; " + consequence(),
                         {.sql = statement.text, .database = hooks_.database});
  } catch (const Error&) {
    rethrow_about(step.file, "line " + std::to_string(statement.line) + ": ", consequence());
  }
}

void MigrationRunner::record(Connection& writer, const PlannedMigration& planned, milliseconds duration,
                             const std::string& consequence) {
  try {
    if (planned.direction == MigrationDirection::up) {
      record_migration(writer, *planned.migration, AppliedMigration::State::applied, duration);
    } else {
      forget_migration(writer, planned.migration->version);
    }
  } catch (const Error&) {  // has it changed the table sqlane_migration?
    rethrow_about(planned.migration->file, "writing down that it was done: ", consequence);
  }
}

void MigrationRunner::check_schema(Connection& writer, const MigrationStep& step) const {
  const SqlFor<Access::write, int> long_ones("SELECT name, sql FROM sqlite_master WHERE length(sql) > ?");
  constexpr int kMostBytes = 4;  // of a character
  const std::size_t longest = writer.longest_sql();
  Rows<std::tuple<std::string, std::string>> rows(writer, long_ones.text(), static_cast<int>(longest / kMostBytes));
  for (const auto& [name, sql] : rows) {
    if (sql.size() <= longest) continue;
    throw MigrationError(MigrationProblem::failed, step.file, too_long(name, longest) + stays_at(version_));
  }
}

void MigrationRunner::set_application_id(Connection& writer) {
  if (options_.application_id) detail::set_application_id(writer, *options_.application_id);
  lacks_mark_ = false;
}

// Where no step was left to do that with.
void MigrationRunner::mark() {
  insist([&] {
    const Lease lease = hooks_.lend_writer();
    Connection& writer = lease.connection();
    Transaction transaction(writer);
    expect_own(read_history(writer), options_, hooks_.database);
    set_application_id(writer);
    transaction.commit();
  });
}

KeyFaults MigrationRunner::find_faults(Connection& connection, const MigrationStep& step, const CheckedTables& checked,
                                       const std::string& consequence) const {
  try {
    return find_key_faults(connection, checked);
  } catch (const MigrationError& error) {
    throw MigrationError(error.problem(), step.file, error.what() + ("; " + consequence));
  } catch (const Error&) {
    rethrow_about(step.file, "checking foreign keys: ", consequence);
  }
}

// What to warn of: it was there before the step. Nothing where no key was to be
// checked. `before` unset: a reader sees it.
std::optional<std::vector<std::string>> MigrationRunner::check_keys(Connection& writer, const MigrationStep& step,
                                                                    const CheckedTables& checked,
                                                                    std::optional<KeyFaults> before,
                                                                    const std::string& consequence) {
  if (checked && checked->empty()) return std::nullopt;
  tell(MigrationPhase::checking_keys, step);
  const KeyFaults after = find_faults(writer, step, checked, consequence);
  if (after.empty()) return std::vector<std::string>();
  if (!before) {
    const Lease reader = hooks_.lend_reader();
    reader.connection().begin_snapshot();
    const Ticking ticking(reader.connection(), [this] { return tell_again(); });
    before = find_faults(reader.connection(), step, std::nullopt, consequence);
  }
  const KeyComparison faults = compare_key_faults(*before, after);
  if (faults.made.empty()) return warnings_of(faults.old);
  throw MigrationError(MigrationProblem::foreign_keys, step.file, complaint_about(faults.made) + "; " + consequence,
                       {.database = hooks_.database});
}

// Once more where the first step has to be begun again.
void MigrationRunner::back_up_before_first(const MigrationStep& step) {
  if (options_.backup_folder.empty() || !report_.steps.empty()) return;
  backup_bytes_ = 0;
  tell(MigrationPhase::backup, step);
  report_.backup = hooks_.back_up(version_, [&](std::uint64_t bytes) {
    backup_bytes_ = bytes;
    tell(MigrationPhase::backup, step);
  });
  began_ = clock_.now();
}

// Progress

void MigrationRunner::begin_step(Connection& writer, std::size_t number) {
  step_number_ = number;
  writer_ = &writer;
  step_ = nullptr;
  began_ = clock_.now();
  pages_before_ = writer.pages_written();
  if (!options_.on_progress) return;
  const SqlFor<Access::write> size("SELECT page_size, page_count FROM pragma_page_size, pragma_page_count");
  const auto [page_size, pages] = fetch_one<std::tuple<std::int64_t, std::int64_t>>(writer, size.text());
  page_size_ = static_cast<std::uint64_t>(page_size);
  database_bytes_ = page_size_ * static_cast<std::uint64_t>(pages);
  writer.set_tick([this] { return tell_again(); });
}

void MigrationRunner::tell(MigrationPhase phase, const MigrationStep& step, std::size_t statement_number) {
  if (!options_.on_progress) return;
  if (listeners_error_ != nullptr) std::rethrow_exception(listeners_error_);  // a function kept it to itself
  phase_ = phase;
  step_ = &step;
  statement_number_ = statement_number;
  constexpr milliseconds kPause{100};
  tell_next_ = clock_.deadline(kPause);
  const std::uint32_t pages = writer_ == nullptr ? 0 : writer_->pages_written() - pages_before_;
  options_.on_progress({.phase = phase,
                        .step = step,
                        .step_number = step_number_,
                        .steps = steps_,
                        .statement_number = statement_number,
                        .bytes_written = phase == MigrationPhase::backup ? backup_bytes_ : pages * page_size_,
                        .database_bytes = database_bytes_,
                        .elapsed = std::chrono::duration_cast<milliseconds>(clock_.now() - began_)});
}

// While a statement runs; whether it is to run on.
bool MigrationRunner::tell_again() noexcept {
  if (step_ == nullptr || clock_.roughly_now() < tell_next_) return true;
  try {
    tell(phase_, *step_, statement_number_);
    return true;
  } catch (...) {
    listeners_error_ = std::current_exception();
    return false;
  }
}

}  // namespace sqlane::detail
