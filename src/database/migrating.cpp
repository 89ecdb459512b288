#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "database/backup.hpp"
#include "database/core.hpp"
#include "database/core_access.hpp"
#include "migrate/baseline.hpp"
#include "migrate/history.hpp"
#include "migrate/plan.hpp"
#include "migrate/runner.hpp"
#include "sqlane/database.hpp"
#include "sqlane/error.hpp"
#include "sqlane/migration.hpp"
#include "sqlite/database_file.hpp"
#include "sqlite/staged_file.hpp"

namespace sqlane {
namespace {

using detail::Connection;
using detail::Core;
using detail::CoreAccess;
using detail::Lease;
using detail::MigrationHistory;

MigrationHistory read_history_of(const Database& database) {
  const Lease reader = CoreAccess::core(database).lend_own_reader({}, CallSite::current());  // not a replica's
  reader.connection().begin_snapshot();
  return detail::read_history(reader.connection());
}

std::vector<MigrationStep> describe(const std::vector<detail::PlannedMigration>& steps) {
  std::vector<MigrationStep> described;
  described.reserve(steps.size());
  for (const detail::PlannedMigration& step : steps) described.push_back(detail::describe_step(step));
  return described;
}

// app.v3.db; the one before is replaced when the new one is complete.
std::filesystem::path copy_before(const Core& core, const MigrateOptions& options, std::int32_t version) {
  const std::filesystem::path file = core.is_memory() ? "memory.db" : core.file();
  return options.backup_folder / (file.stem().string() + ".v" + std::to_string(version) + file.extension().string());
}

std::filesystem::path back_up(Core& core, const MigrateOptions& options, std::int32_t version,
                              const std::function<void(std::uint64_t)>& on_progress, CallSite site) {
  std::filesystem::path copy = copy_before(core, options, version);
  BackupOptions how;
  how.stop = options.stop;
  how.on_progress = [&](const BackupProgress& progress) { on_progress(progress.copied_bytes); };
  detail::back_up(core, copy, detail::Existing::replace, how, site, options.lock_timeout);
  return copy;
}

}  // namespace

MigrationReport Database::migrate(const Migrations& migrations, CallSite site) {
  return migrate(migrations, MigrateOptions{}, site);
}

MigrationReport Database::migrate(const Migrations& migrations, const MigrateOptions& options, CallSite site) {
  Core& core = this->core();
  core.lane().expect_foreign_holder(site);
  if (mode_ == OpenMode::read_only && !plan_migrations(*this, migrations, options.target).empty()) {
    static_cast<void>(writable_core(site));  // throws
  }
  std::optional<detail::WriterReopening> reopening;
  detail::MigrationHooks hooks{
      .lend_reader =
          [&] { return core.lend_own_reader({.timeout = options.lock_timeout, .stop = options.stop}, site); },
      .lend_writer =
          [&] {
            if (!reopening) reopening.emplace(core, site);
            return lend_writer({.timeout = options.lock_timeout, .stop = options.stop}, site);
          },
      .care = [&](Connection& writer) { core.care_for(writer); },
      .back_up =
          [&](std::int32_t version, const std::function<void(std::uint64_t)>& on_progress) {
            return sqlane::back_up(core, options, version, on_progress, site);
          },
      .database = core.file(),
      .file = core.is_memory() ? std::filesystem::path() : std::filesystem::path(core.file()),
      .is_read_only = mode_ == OpenMode::read_only};
  return detail::MigrationRunner(migrations, options, std::move(hooks), core.clock()).run();
}

MigrationStatus migration_status(const Database& database, const Migrations& migrations) {
  MigrationHistory history = read_history_of(database);
  MigrationStatus status{.version = history.version()};
  try {
    status.pending = describe(detail::plan_steps(history.view(), migrations, std::nullopt));
  } catch (const MigrationError& refusal) {
    status.refusal = refusal;
  }
  status.applied = std::move(history.applied);
  return status;
}

std::vector<MigrationStep> plan_migrations(const Database& database, const Migrations& migrations,
                                           std::optional<std::int32_t> target) {
  return describe(detail::plan_steps(read_history_of(database).view(), migrations, target));
}

std::vector<MigrationStep> plan_migrations(const Database& database, const Migrations& migrations,
                                           const MigrateOptions& options) {
  const Core& core = CoreAccess::core(database);
  const MigrationHistory history = read_history_of(database);
  detail::expect_own(history, options, core.file());
  const std::vector<detail::PlannedMigration> steps = detail::plan_steps(history.view(), migrations, options.target);
  if (options.atomicity == Atomicity::all) detail::expect_one_transaction(steps);
  if (!options.backup_folder.empty() && !steps.empty()) {
    const std::filesystem::path copy = copy_before(core, options, history.version());
    const detail::StagedFile attempt(detail::place_for_database(copy, detail::Existing::replace));
  }
  return describe(steps);
}

void check_baseline(const Database& database, const Migrations& migrations, std::int32_t version) {
  static_cast<void>(detail::plan_baseline(read_history_of(database).applied, migrations, version));
}

void baseline(Database& database, const Migrations& migrations, std::int32_t version) {
  Transaction transaction = database.begin();
  Connection& writer = CoreAccess::connection(transaction);
  const MigrationHistory history = detail::read_history(writer);
  const detail::Baseline baseline = detail::plan_baseline(history.applied, migrations, version);
  detail::create_history(writer);
  for (const std::int32_t forgotten : baseline.forgotten) detail::forget_migration(writer, forgotten);
  for (const Migration* recorded : baseline.recorded) {
    detail::record_migration(writer, *recorded, AppliedMigration::State::baseline, {});
  }
  transaction.commit();
}

}  // namespace sqlane
