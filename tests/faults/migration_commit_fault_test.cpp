#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

// A COMMIT of a migration fails: what is heard of it, what is in the database
// then, and what the next call does.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::Call;
using testing::Effect;
using testing::error_of;
using testing::expected_state;
using testing::Fault;
using testing::FaultInjection;
using testing::five_migrations;
using testing::mentions;
using testing::state_of;
using testing::TemporaryFolder;

using Strings = std::vector<std::string>;

// The fifth step tells what became of it.
Migrations telling_migrations(Strings& told) {
  Migrations migrations;
  const Migrations five = five_migrations();
  for (const Migration& migration : five.list()) {
    if (migration.version < 5) migrations.add(migration);
  }
  Migration fifth = five.list()[4];
  fifth.up = [&told, body = std::get<std::function<void(Transaction&)>>(fifth.up)](Transaction& tx) {
    told.emplace_back("called");
    tx.on_commit([&told]() noexcept { told.emplace_back("committed"); });
    tx.on_rollback([&told]() noexcept { told.emplace_back("rolled back"); });
    body(tx);
  };
  migrations.add(std::move(fifth));
  return migrations;
}

class CommitOfAMigration : public ::testing::TestWithParam<Atomicity> {
 protected:
  [[nodiscard]] static MigrateOptions how() { return {.atomicity = GetParam()}; }
  // The last COMMIT is the fifth, or the only one.
  [[nodiscard]] static Fault last_commit(int code, Effect effect) {
    return {.call = Call::step,
            .sql = "COMMIT",
            .code = code,
            .skip = GetParam() == Atomicity::each ? 4 : 0,
            .times = -1,
            .effect = effect};
  }
  // Before the last COMMIT.
  [[nodiscard]] static int version_before() { return GetParam() == Atomicity::each ? 4 : 0; }

  void expect_the_rest_applies(int version) {
    EXPECT_EQ(state_of(db_), expected_state(version));
    EXPECT_FALSE(migration_status(db_, migrations_).refusal);
    EXPECT_FALSE(db_.lane_holder());
    EXPECT_FALSE(fs::exists((folder_ / "app.db-migration")));
    const MigrationReport report = db_.migrate(migrations_, how());
    EXPECT_EQ(report.from, version);
    EXPECT_EQ(report.to, 5);
    EXPECT_EQ(report.steps.size(), static_cast<std::size_t>(5 - version));
    EXPECT_EQ(state_of(db_), expected_state(5));
    EXPECT_EQ(db_.query_one<std::string>("PRAGMA integrity_check"), "ok");
  }

  TemporaryFolder folder_;
  Strings told_;
  Migrations migrations_ = telling_migrations(told_);
  Database db_ = Database::open(folder_ / "app.db", {.busy_timeout = 0ms});
};

INSTANTIATE_TEST_SUITE_P(Atomicity, CommitOfAMigration, ::testing::Values(Atomicity::each, Atomicity::all),
                         [](const auto& kind) { return kind.param == Atomicity::each ? "Each" : "All"; });

// It is in the log, and was not synced for certain.
TEST_P(CommitOfAMigration, WhoseOutcomeIsUnknownIsReportedAsThatAndNotTriedAgain) {
  {
    const FaultInjection fault(last_commit(SQLITE_IOERR_FSYNC, Effect::after));
    const auto error = error_of<CommitOutcomeUnknown>([&] { db_.migrate(migrations_, how()); });
    EXPECT_EQ(fault.failures(), 1);
    EXPECT_EQ(error.extended_code(), SQLITE_IOERR_FSYNC);
    EXPECT_FALSE(error.is_retryable());
  }
  EXPECT_EQ(told_, Strings{"called"}) << "neither is known";
  expect_the_rest_applies(5);
  EXPECT_EQ(told_, Strings{"called"}) << "it was not done again";
}

TEST_P(CommitOfAMigration, OfAnEarlierStepMayHaveAnUnknownOutcomeToo) {
  if (GetParam() == Atomicity::all) GTEST_SKIP() << "there is one COMMIT";
  for (int version = 1; version < 5; ++version) {
    {
      Fault second = last_commit(SQLITE_IOERR_FSYNC, Effect::after);
      second.skip = version - 1;
      const FaultInjection fault(second);
      EXPECT_THROW(db_.migrate(migrations_, how()), CommitOutcomeUnknown);
    }
    expect_the_rest_applies(version);
    db_.migrate(migrations_, {.target = 0});
  }
}

TEST_P(CommitOfAMigration, ThatSqliteRolledBackLeavesTheLastWholeStep) {
  for (const int code : {SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_NOMEM}) {
    told_.clear();
    {
      const FaultInjection fault(last_commit(code, Effect::engine_rolls_back));
      const auto error = error_of<Error>([&] { db_.migrate(migrations_, how()); });
      EXPECT_EQ(fault.failures(), 1);
      EXPECT_EQ(error.extended_code(), code);
    }
    EXPECT_EQ(told_, (Strings{"called", "rolled back"})) << code;
    expect_the_rest_applies(version_before());
    EXPECT_EQ(told_, (Strings{"called", "rolled back", "called", "committed"})) << code;
    db_.migrate(migrations_, {.target = 0});
  }
}

TEST_P(CommitOfAMigration, ThatIsRefusedForWantOfRoomIsADiskFullError) {
  const FaultInjection fault(last_commit(SQLITE_FULL, Effect::engine_rolls_back));
  EXPECT_THROW(db_.migrate(migrations_, how()), DiskFullError);
}

// The transaction is still open.
TEST_P(CommitOfAMigration, ThatDidNotBeginIsUndone) {
  for (const int code : {SQLITE_IOERR_WRITE, SQLITE_CONSTRAINT_COMMITHOOK}) {
    told_.clear();
    {
      const FaultInjection fault(last_commit(code, Effect::instead));
      EXPECT_EQ(error_of<Error>([&] { db_.migrate(migrations_, how()); }).extended_code(), code);
      EXPECT_EQ(fault.failures(), 1);
    }
    EXPECT_EQ(told_, (Strings{"called", "rolled back"})) << code;
    expect_the_rest_applies(version_before());
    db_.migrate(migrations_, {.target = 0});
  }
}

TEST_P(CommitOfAMigration, ThatFailsForAReasonOfTheSchemaNamesTheStepAndWhereTheDatabaseStays) {
  const FaultInjection fault(last_commit(SQLITE_CONSTRAINT_COMMITHOOK, Effect::instead));
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations_, how()); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_EQ(error.file(), "0005_name_areas");
  EXPECT_TRUE(mentions(error, "stays at version " + std::to_string(version_before()))) << error.what();
}

// Another process kept it from being committed; nothing has been done, so it is done again.
TEST_P(CommitOfAMigration, ThatMeetsALockIsDoneAgain) {
  std::optional<FaultInjection> lock(std::in_place, last_commit(SQLITE_BUSY, Effect::instead));
  int commits = 0;
  const int last = GetParam() == Atomicity::each ? 5 : 1;
  MigrateOptions options = how();
  options.on_progress = [&](const MigrationProgress& now) {
    if (now.phase == MigrationPhase::statement && commits == last) lock.reset();  // it has begun again
    if (now.phase == MigrationPhase::committing) ++commits;
    if (now.step.version == 5) {
      EXPECT_EQ(now.step_number, 5U);
      EXPECT_EQ(now.steps, 5U);
    }
  };
  const MigrationReport report = db_.migrate(migrations_, options);
  EXPECT_EQ(report.from, 0);
  EXPECT_EQ(report.to, 5);
  EXPECT_EQ(report.steps.size(), 5U);
  EXPECT_EQ(commits, last + 1);
  EXPECT_EQ(told_, (Strings{"called", "rolled back", "called", "committed"}));
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(CommitOfAMigration, ThatMeetsALockForTooLongIsABusyError) {
  {
    const FaultInjection fault(last_commit(SQLITE_BUSY, Effect::instead));
    MigrateOptions options = how();
    options.lock_timeout = 0ms;
    EXPECT_THROW(db_.migrate(migrations_, options), BusyError);
    EXPECT_GE(fault.failures(), 1);
  }
  EXPECT_EQ(told_, (Strings{"called", "rolled back"}));
  expect_the_rest_applies(version_before());
}

// https://sqlite.org/howtocorrupt.html, 4.1
TEST_P(CommitOfAMigration, ThatNobodyFindsIsAnIoErrorAndNotDoneAgain) {
  const fs::path path = folder_ / "app.db";
  MigrateOptions options = how();
  options.on_progress = [&](const MigrationProgress& now) {
    if (now.phase == MigrationPhase::committing && now.step.version == 5) fs::rename(path, folder_ / "moved.db");
  };
  EXPECT_THROW(db_.migrate(migrations_, options), IoError);
  fs::rename(folder_ / "moved.db", path);
  EXPECT_EQ(told_, Strings{"called"}) << "whether it will be there is not known";
  expect_the_rest_applies(5);
}

// Without a transaction: what it will do is written down before, that it is done after it.

Migrations with_a_last_one_alone() {
  Migrations migrations = five_migrations();
  migrations.add(
      {.version = 6, .name = "alone", .up = "-- sqlane: no-transaction\nCREATE TABLE alone (id); DELETE FROM visit;"});
  return migrations;
}

class CommitAroundAStepAlone : public ::testing::Test {
 protected:
  CommitAroundAStepAlone() { db_.migrate(five_migrations()); }

  [[nodiscard]] static Fault commit(int skip, int code, Effect effect) {
    return {.call = Call::step, .sql = "COMMIT", .code = code, .skip = skip, .times = 1, .effect = effect};
  }
  [[nodiscard]] bool has_run() const {
    return db_.query_one<bool>("SELECT count(*) FROM sqlite_master WHERE name = 'alone'");
  }
  void expect_clean_and_finish() {
    EXPECT_FALSE(has_run());
    EXPECT_FALSE(migration_status(db_, migrations_).refusal);
    EXPECT_EQ(db_.migrate(migrations_).steps.size(), 1U);
    EXPECT_EQ(migration_status(db_, migrations_).version, 6);
  }

  TemporaryFolder folder_;
  Migrations migrations_ = with_a_last_one_alone();
  Database db_ = Database::open(folder_ / "app.db", {.busy_timeout = 0ms});
};

TEST_F(CommitAroundAStepAlone, BeforeItThatFailsLeavesItUndone) {
  for (const Effect effect : {Effect::instead, Effect::engine_rolls_back}) {
    const FaultInjection fault(commit(0, SQLITE_FULL, effect));
    EXPECT_THROW(db_.migrate(migrations_), DiskFullError);
    EXPECT_EQ(fault.failures(), 1);
    EXPECT_FALSE(has_run());
    EXPECT_FALSE(migration_status(db_, migrations_).refusal);
  }
  expect_clean_and_finish();
}

TEST_F(CommitAroundAStepAlone, BeforeItThatMeetsALockIsDoneAgain) {
  const FaultInjection fault(commit(0, SQLITE_BUSY, Effect::instead));
  EXPECT_EQ(db_.migrate(migrations_).steps.size(), 1U);
  EXPECT_EQ(fault.failures(), 1);
}

// The record is there, and says that it runs; no statement of it has begun.
TEST_F(CommitAroundAStepAlone, BeforeItWhoseOutcomeIsUnknownRunsNothing) {
  {
    const FaultInjection fault(commit(0, SQLITE_IOERR_FSYNC, Effect::after));
    EXPECT_THROW(db_.migrate(migrations_), CommitOutcomeUnknown);
  }
  EXPECT_FALSE(has_run());
  EXPECT_EQ(migration_status(db_, migrations_).refusal->problem(), MigrationProblem::dirty);
  baseline(db_, migrations_, 5);
  expect_clean_and_finish();
}

TEST_F(CommitAroundAStepAlone, AfterItThatMeetsALockIsTriedAgainWithoutIt) {
  const FaultInjection fault(commit(1, SQLITE_BUSY, Effect::instead));
  EXPECT_EQ(db_.migrate(migrations_).steps.size(), 1U);
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(migration_status(db_, migrations_).version, 6);
}

TEST_F(CommitAroundAStepAlone, AfterItThatFailsLeavesItDirtyAndSaysWhatToDo) {
  {
    const FaultInjection fault(commit(1, SQLITE_FULL, Effect::engine_rolls_back));
    const auto error = error_of<DiskFullError>([&] { db_.migrate(migrations_); });
    EXPECT_EQ(fault.failures(), 1);
    EXPECT_TRUE(mentions(error, "baseline()")) << error.what();
  }
  EXPECT_TRUE(has_run());
  EXPECT_EQ(migration_status(db_, migrations_).refusal->problem(), MigrationProblem::dirty);
  baseline(db_, migrations_, 6);
  EXPECT_TRUE(db_.migrate(migrations_).steps.empty());
}

TEST_F(CommitAroundAStepAlone, AfterItWhoseOutcomeIsUnknownHasDoneIt) {
  {
    const FaultInjection fault(commit(1, SQLITE_IOERR_FSYNC, Effect::after));
    EXPECT_THROW(db_.migrate(migrations_), CommitOutcomeUnknown);
  }
  EXPECT_TRUE(has_run());
  EXPECT_FALSE(migration_status(db_, migrations_).refusal);
  EXPECT_TRUE(db_.migrate(migrations_).steps.empty());
}

}  // namespace
}  // namespace sqlane
