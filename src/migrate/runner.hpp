#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "migrate/history.hpp"
#include "migrate/key_check.hpp"
#include "migrate/migration_lock.hpp"
#include "migrate/plan.hpp"
#include "migrate/script.hpp"
#include "sqlane/detail/lease.hpp"
#include "sqlane/migration.hpp"
#include "sqlite/connection.hpp"
#include "transaction/job_transaction.hpp"

namespace sqlane::detail {

// What running migrations needs of the database.
struct MigrationHooks {
  std::function<Lease()> lend_reader;
  std::function<Lease()> lend_writer;            // waits for the lane until MigrateOptions::lock_timeout
  std::function<void(Connection& writer)> care;  // after a commit: a checkpoint, where one is due
  // Copies the database, whose write lock is held, and says where to.
  std::function<std::filesystem::path(std::int32_t version,
                                      const std::function<void(std::uint64_t bytes)>& on_progress)>
      back_up;
  std::string database;          // what errors call it
  std::filesystem::path file{};  // empty: in memory
  bool is_read_only = false;     // and nothing is to do
};

// Brings a database from one version to another.
//
//   look      through a reader, without a lock: what is to be done?   ── nothing ──► done
//   keep out  the MigrationLock: of several processes one goes on     ── done meanwhile ──► done
//   look
//   lock      the lane, then BEGIN IMMEDIATE. Look again: is that so? ── no ──► look
//   run       the statements of one migration, or of all (Atomicity)
//   check     no row refers to nothing, but those that did so before
//   COMMIT    the schema and the record of it together                ── all are done ──► done, else look
//
// Invariants
//  1. What is done was planned from a state that was read under the write lock
//     which it is done under; so a version that somebody else has brought about
//     is never brought about again, whatever becomes of the MigrationLock.
//  2. A migration and its row in sqlane_migration are in one transaction. One
//     without a transaction has a row that says `running` from before its first
//     statement until after its last; meanwhile its process holds the
//     MigrationLock (in memory: the lane), unless it has died.
//  3. A connection that has migrated is never used for anything else: it is
//     closed, with all that was set on it, when the lane is given back.
//  4. Nothing is committed after any statement of a script failed.
//
// Use from one thread, once.
class MigrationRunner {
 public:
  MigrationRunner(const Migrations& migrations, const MigrateOptions& options, MigrationHooks hooks, Clock& clock);

  MigrationReport run();

 private:
  using Steps = std::vector<PlannedMigration>;
  class Transaction;  // rolls back unless committed

  [[nodiscard]] Steps look();
  [[nodiscard]] Steps look_once();
  [[nodiscard]] Steps plan(Connection& connection);
  void expect_not_stopped() const;
  [[nodiscard]] std::optional<MigrationLock> lock_unless_done();

  // Does it again while another process keeps the write lock for longer than
  // busy_timeout; nothing has been done then.
  template <class Action>
  void insist(Action action);
  void pause();
  void retry_or_rethrow();

  // These do nothing when the steps turn out to be others.
  void run_first_of(std::span<const PlannedMigration> steps);
  void run_transaction(std::span<const PlannedMigration> steps);
  void run_alone(const PlannedMigration& planned);
  [[nodiscard]] bool is_still_planned(Connection& writer, std::span<const PlannedMigration> steps);
  void back_up_before_first(const MigrationStep& step);
  void run_function(Connection& writer, JobTransaction& part, const PlannedMigration& planned,
                    const std::string& consequence);
  void run_statement(Connection& writer, const MigrationStep& step, const ScriptStatement& statement,
                     const std::function<std::string()>& consequence);
  void set_application_id(Connection& writer);
  void mark();
  [[nodiscard]] KeyFaults find_faults(Connection& connection, const MigrationStep& step, const CheckedTables& checked,
                                      const std::string& consequence) const;
  [[nodiscard]] std::optional<std::vector<std::string>> check_keys(Connection& writer, const MigrationStep& step,
                                                                   const CheckedTables& checked,
                                                                   std::optional<KeyFaults> before,
                                                                   const std::string& consequence);
  void check_schema(Connection& writer, const MigrationStep& step) const;
  void record(Connection& writer, const PlannedMigration& planned, std::chrono::milliseconds duration,
              const std::string& consequence);

  void begin_step(Connection& writer, std::size_t number);
  void tell(MigrationPhase phase, const MigrationStep& step, std::size_t statement_number = 1);
  [[nodiscard]] bool tell_again() noexcept;

  const Migrations& migrations_;
  const MigrateOptions& options_;
  const MigrationHooks hooks_;
  Clock& clock_;
  const Clock::time_point deadline_;
  MigrationReport report_;
  std::int32_t version_ = 0;  // as of the newest look, or of the newest step
  bool lacks_mark_ = false;   // likewise: MigrateOptions::application_id
  bool has_looked_ = false;

  // For the progress that is told.
  const Connection* writer_ = nullptr;
  MigrationPhase phase_ = MigrationPhase::statement;
  const MigrationStep* step_ = nullptr;
  std::size_t statement_number_ = 1;
  std::size_t steps_ = 1;
  std::size_t step_number_ = 1;
  std::uint32_t pages_before_ = 0;
  std::uint64_t page_size_ = 0;
  std::uint64_t database_bytes_ = 0;
  std::uint64_t backup_bytes_ = 0;
  Clock::time_point began_;
  Clock::time_point tell_next_;
  std::exception_ptr listeners_error_;  // thrown by on_progress where SQLite was to be ended first
};

// Throw MigrationError where the options refuse what is to be done.
void expect_own(const MigrationHistory& history, const MigrateOptions& options, const std::string& database);
void expect_one_transaction(std::span<const PlannedMigration> steps);

// What a step is to a user.
[[nodiscard]] MigrationStep describe_step(const PlannedMigration& planned);

}  // namespace sqlane::detail
