#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::followed_by;
using testing::mentions;
using testing::Migrating;
using testing::only;
using testing::state_of;

using Strings = std::vector<std::string>;

INSTANTIATE_TEST_SUITE_P(Kinds, Migrating, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Memory" : "File"; });

TEST_P(Migrating, BringsAFreshDatabaseToTheNewestVersion) {
  const MigrationReport report = db_.migrate(five_migrations());
  EXPECT_EQ(report.from, 0);
  EXPECT_EQ(report.to, 5);
  Strings files;
  for (const MigrationStep& step : report.steps) files.push_back(step.file);
  EXPECT_EQ(files, (Strings{"0001_create_visit.sql", "0002_add_rating.sql", "0003_rebuild_place.sql",
                            "0004_index_visit.sql", "0005_name_areas"}));
  EXPECT_EQ(state_of(db_), expected_state(5));
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit WHERE rating = 3"), 60);
}

TEST_P(Migrating, WritesDownWhatItHasDone) {
  db_.migrate(five_migrations(), {.target = 2});
  const MigrationStatus status = migration_status(db_, five_migrations());
  EXPECT_EQ(status.version, 2);
  ASSERT_EQ(status.applied.size(), 2U);
  const AppliedMigration& second = status.applied[1];
  EXPECT_EQ(second.version, 2);
  EXPECT_EQ(second.name, "add_rating");
  EXPECT_EQ(second.checksum, checksum(five_migrations().list()[1]));
  EXPECT_EQ(second.checksum.size(), 64U);
  EXPECT_EQ(second.applied_at.size(), std::string("2026-01-31T12:00:00.000Z").size());
  EXPECT_EQ(second.state, AppliedMigration::State::applied);
  EXPECT_FALSE(second.sqlane_version.empty());
  EXPECT_EQ(status.pending.size(), 3U);
  EXPECT_FALSE(status.refusal);
  EXPECT_EQ(db_.query_one<int>("PRAGMA user_version"), 2);
}

TEST_P(Migrating, DoesNothingTheSecondTime) {
  db_.migrate(five_migrations());
  const MigrationReport report = db_.migrate(five_migrations());
  EXPECT_EQ(report.from, 5);
  EXPECT_EQ(report.to, 5);
  EXPECT_TRUE(report.steps.empty());
}

TEST_P(Migrating, GoesUpAndDownStepByStep) {
  for (const int version : {3, 1, 4, 5, 0, 5, 2, 0}) {
    const MigrationReport report = db_.migrate(five_migrations(), {.target = version});
    EXPECT_EQ(report.to, version);
    EXPECT_EQ(state_of(db_), expected_state(version)) << version;
  }
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM sqlane_migration"), 0);
}

TEST_P(Migrating, SaysBeforehandWhatItWouldDo) {
  db_.migrate(five_migrations(), {.target = 1});
  const std::vector<MigrationStep> up = plan_migrations(db_, five_migrations(), 2);
  ASSERT_EQ(up.size(), 1U);
  EXPECT_EQ(up[0].statements,
            (Strings{"ALTER TABLE visit ADD COLUMN rating INTEGER", "UPDATE visit SET rating = id % 5"}));
  const std::vector<MigrationStep> down = plan_migrations(db_, five_migrations(), 0);
  ASSERT_EQ(down.size(), 1U);
  EXPECT_EQ(down[0].direction, MigrationDirection::down);
  EXPECT_EQ(down[0].file, "0001_create_visit.down.sql");
  EXPECT_EQ(state_of(db_), expected_state(1));
}

TEST_P(Migrating, UndoesAStepThatFailsAndKeepsThoseBeforeIt) {
  const Migrations migrations =
      followed_by({.up = "CREATE TABLE extra (id INTEGER PRIMARY KEY);\n\nINSERT INTO nowhere VALUES (1);"});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_EQ(error.file(), "0006_sixth.sql");
  EXPECT_EQ(error.code(), SQLITE_ERROR);
  EXPECT_TRUE(mentions(error, "0006_sixth.sql: line 3: ")) << error.what();
  EXPECT_TRUE(mentions(error, "no such table: nowhere")) << error.what();
  EXPECT_TRUE(mentions(error, "stays at version 5")) << error.what();
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, UndoesAllStepsWhereTheyAreOne) {
  const Migrations migrations = followed_by({.up = "INSERT INTO nowhere VALUES (1);"});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations, {.atomicity = Atomicity::all}); });
  EXPECT_TRUE(mentions(error, "stays at version 0")) << error.what();
  EXPECT_EQ(state_of(db_), expected_state(0));
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM sqlite_master"), 0);
}

TEST_P(Migrating, RunsAllStepsInOneTransactionIfAsked) {
  int commits = 0;
  const MigrationReport report =
      db_.migrate(five_migrations(), {.atomicity = Atomicity::all, .on_progress = [&](const MigrationProgress& now) {
                                        if (now.phase == MigrationPhase::committing) ++commits;
                                      }});
  EXPECT_EQ(report.steps.size(), 5U);
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, IsAUsageErrorInsideAWrite) {
  EXPECT_THROW(db_.write([&](Transaction&) { db_.migrate(five_migrations()); }), UsageError);
}

TEST_P(Migrating, LeavesNothingTemporaryBehind) {
  db_.migrate(
      only("CREATE TEMP TABLE scratch (id); INSERT INTO scratch VALUES (7);"
           "CREATE TABLE kept AS SELECT id FROM scratch"));
  EXPECT_EQ(db_.query_one<int>("SELECT id FROM kept"), 7);
  db_.write([](Transaction& tx) { EXPECT_THROW(tx.execute("INSERT INTO temp.scratch VALUES (1)"), SchemaError); });
}

TEST_P(Migrating, NamesTheStepThatHasBrokenItsRecord) {
  const auto error = error_of<MigrationError>([&] { db_.migrate(followed_by({.up = "DROP TABLE sqlane_migration"})); });
  EXPECT_EQ(error.file(), "0006_sixth.sql");
  EXPECT_EQ(state_of(db_), expected_state(5));
}

}  // namespace
}  // namespace sqlane
