#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/transaction.hpp"

namespace sqlane {

class Database;

// What a migration does: SQL text of any number of statements, or a function,
// which gets the migration's transaction. It is called again where the
// transaction has to be begun again.
using MigrationBody = std::variant<std::string, std::function<void(Transaction&)>>;

// One step from a version of the schema to the next.
//
// SQL text may begin with a comment `-- sqlane: no-transaction`; its statements
// then run one by one, for those that cannot run in a transaction (VACUUM). If
// one fails, those before it have been done, and the database is `dirty` until
// baseline() says what it has.
//
// After a step in a transaction all foreign keys are checked, which reads every
// table that has one. Rows that refer to nothing make the step fail if it made
// them; those from before are a warning of the report. SQL text may begin with
// `-- sqlane: check-keys visit, stay`, to have the keys of these tables checked
// alone, or with `-- sqlane: no-key-check`. (Without a transaction keys are
// enforced, and checked only if the step turns that off.)
struct Migration {
  std::int32_t version = 0;  // 1, 2, 3 and so on
  std::string name{};        // "create_visit"
  MigrationBody up{};
  std::optional<MigrationBody> down{};  // undoes it; unset: it cannot be undone
  // Of a function, in place of its text: change it when what it does changes.
  std::string revision{};
  // Of a function, in place of the mark `check-keys` of a text: the tables whose
  // foreign keys are checked after it; unset: all.
  std::optional<std::vector<std::string>> check_keys_of{};
  std::string file{};  // what errors call it; unset: as in "0001_create_visit.sql", without .sql for a function
};

// A file as it is compiled into a program by sqlane_embed_migrations().
struct MigrationFile {
  std::string_view name;  // "0001_create_visit.sql", "0001_create_visit.down.sql"
  std::string_view text;
};

// All migrations that a program knows, in the order of their versions. A value.
class Migrations {
 public:
  Migrations() = default;

  // The files NNNN_name.sql of a folder, and NNNN_name.down.sql that undo them;
  // what does not end in .sql is passed over. Text is UTF-8; a byte order mark
  // and carriage returns at the ends of lines are not part of it.
  // Throws MigrationError (malformed, duplicate, not_transactional, transaction)
  // naming file and line, OpenError when the folder or a file cannot be read.
  [[nodiscard]] static Migrations from_folder(const std::filesystem::path& folder);
  [[nodiscard]] static Migrations from_files(std::span<const MigrationFile> files);

  // Throws MigrationError likewise.
  Migrations& add(Migration migration);

  [[nodiscard]] std::span<const Migration> list() const noexcept { return migrations_; }
  [[nodiscard]] bool empty() const noexcept { return migrations_.empty(); }
  // The version of a database that has them all; 0 when there are none.
  [[nodiscard]] std::int32_t newest() const noexcept { return migrations_.empty() ? 0 : migrations_.back().version; }

 private:
  std::vector<Migration> migrations_;  // ascending
};

// SHA-256 of what a migration does, in hexadecimal digits: of its text; of a
// function's name and revision. How it is undone is not part of that.
[[nodiscard]] std::string checksum(const Migration& migration);

enum class MigrationDirection : std::uint8_t { up, down };

// A migration on its way up or down: planned, or done.
struct MigrationStep {
  MigrationDirection direction = MigrationDirection::up;
  std::int32_t version = 0;
  std::string name{};
  std::string file{};
  std::vector<std::string> statements{};  // none of a function
  std::chrono::milliseconds duration{};   // of one that is done, with the check of its keys
};

enum class Atomicity : std::uint8_t {
  each,  // each migration in a transaction of its own: a failure leaves the steps before it
  all,   // all of them in one
};

enum class MigrationPhase : std::uint8_t {
  backup,         // the copy that was asked for is made
  statement,      // a statement runs, or a function
  checking_keys,  // foreign keys are checked
  committing,
};

// Where a migration is. Valid only inside the callback.
struct MigrationProgress {
  MigrationPhase phase = MigrationPhase::statement;
  const MigrationStep& step;
  std::size_t step_number = 1;  // of `steps`, from 1
  std::size_t steps = 1;
  std::size_t statement_number = 1;     // of step.statements, from 1
  std::uint64_t bytes_written = 0;      // to the log by this step, or to the backup
  std::uint64_t database_bytes = 0;     // size of the database before the step
  std::chrono::milliseconds elapsed{};  // since this step began
};

struct MigrateOptions {
  // The version to go to, up or down; unset: the newest that the program knows.
  std::optional<std::int32_t> target{};

  Atomicity atomicity = Atomicity::each;

  // Before the first step the database is copied into this folder, as
  // app.v3.db where app.db has version 3. A copy of that name is replaced once
  // the new one is complete. Empty: no copy.
  std::filesystem::path backup_folder{};

  // Marks the file as this program's (PRAGMA application_id), with the first step
  // if one is left to do; one that has another mark already is refused.
  std::optional<std::int32_t> application_id{};

  // Each waiting for the lane, for a reader, or for another process that writes or
  // migrates meanwhile.
  std::chrono::milliseconds lock_timeout{std::chrono::minutes(10)};

  // Called at the beginning of each phase and statement, and while they run some
  // ten times a second, on the thread of migrate(). What it throws ends the step
  // as a stop does, and is thrown by migrate(). Must not use the database.
  std::function<void(const MigrationProgress&)> on_progress{};

  // Ends the step that runs, undone, with InterruptedError. One without a
  // transaction is undone only up to its first statement, and dirty after that.
  std::stop_token stop{};
};

struct MigrationReport {
  std::int32_t from = 0;  // versions of the database
  std::int32_t to = 0;
  std::vector<MigrationStep> steps{};  // those that this call has done
  std::filesystem::path backup{};      // the copy, if one was made
  // Sentences about what was wrong with foreign keys before already, and still is
  // (rows that refer to nothing, keys that fit no columns), as of the newest check.
  std::vector<std::string> warnings{};
};

// A row of the table sqlane_migration, which says what a database has.
//
// PRAGMA user_version repeats the newest version, for programs that do not know
// the table. A number that another program keeps there is left alone: one that was
// not 0 before there was the table, or is not what sqlane has written.
struct AppliedMigration {
  enum class State : std::uint8_t {
    applied,
    baseline,  // it was there already, baseline() said so
    running,   // without a transaction; it runs now, or did not come to its end
  };
  std::int32_t version = 0;
  std::string name{};
  std::string checksum{};
  std::string applied_at{};  // ISO 8601, UTC
  std::chrono::milliseconds duration{};
  std::string sqlane_version{};
  State state = State::applied;
};

struct MigrationStatus {
  std::int32_t version = 0;  // of the database, going by the table sqlane_migration; 0 when it has none of them
  std::vector<AppliedMigration> applied{};
  std::vector<MigrationStep> pending{};     // what migrate() would do
  std::optional<MigrationError> refusal{};  // why it would not

  // The database was migrated by a newer program. Open it with
  // OpenMode::read_only, or tell the user to update.
  [[nodiscard]] bool has_been_superseded() const noexcept {
    return refusal && refusal->problem() == MigrationProblem::superseded;
  }
};

// Reads alone; a database that has never been migrated is at version 0.
[[nodiscard]] MigrationStatus migration_status(const Database& database, const Migrations& migrations);

// What Database::migrate() would do. Throws the MigrationError that it would throw before its first step.
[[nodiscard]] std::vector<MigrationStep> plan_migrations(const Database& database, const Migrations& migrations,
                                                         std::optional<std::int32_t> target = std::nullopt);
// With these options: another mark of the file, a step that takes no part in one transaction, a folder for the copy in
// which no file can be made. What the copy's own check would find is not looked for.
[[nodiscard]] std::vector<MigrationStep> plan_migrations(const Database& database, const Migrations& migrations,
                                                         const MigrateOptions& options);

// Takes a database over that was made otherwise, or repairs one that is `dirty`:
// says that it has the migrations up to `version` (0: none of them), and no more.
// Runs none of them. A PRAGMA user_version that the database has already stays as it is. Throws MigrationError where
// that contradicts what was recorded as applied, or there is no such version.
void baseline(Database& database, const Migrations& migrations, std::int32_t version);

// Throws the MigrationError that baseline() would throw. Reads alone.
void check_baseline(const Database& database, const Migrations& migrations, std::int32_t version);

}  // namespace sqlane
