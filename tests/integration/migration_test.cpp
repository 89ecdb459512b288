#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <sqlite3.h>
#include <stop_token>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::ForeignConnection;
using testing::mentions;
using testing::state_of;
using testing::TemporaryFolder;

using Strings = std::vector<std::string>;

Migrations only(std::string up, std::optional<MigrationBody> down = std::nullopt) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "first", .up = std::move(up), .down = std::move(down)});
  return migrations;
}

Migrations followed_by(Migration next) {
  Migrations migrations = five_migrations();
  next.version = 6;
  next.name = "sixth";
  migrations.add(std::move(next));
  return migrations;
}

// In a file of their own, and in memory.
class Migrating : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    return GetParam() ? Database::in_memory("migrating", options) : Database::open(folder_ / "app.db", options);
  }

  TemporaryFolder folder_;
  Database db_ = open();
};

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

// Foreign keys

TEST_P(Migrating, RebuildsATableThatOthersReferTo) {
  Migrations migrations = only(
      "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
      "CREATE TABLE child (parent INTEGER REFERENCES parent ON DELETE CASCADE);"
      "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);");
  migrations.add({.version = 2,
                  .name = "rebuild",
                  .up = "CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT);"
                        "INSERT INTO new_parent (id) SELECT id FROM parent;"
                        "DROP TABLE parent; ALTER TABLE new_parent RENAME TO parent;"});
  db_.migrate(migrations);
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM child"), 1);
  EXPECT_EQ(db_.query_one<std::string>("SELECT \"table\" FROM pragma_foreign_key_list('child')"), "parent");
}

TEST_P(Migrating, RefusesToLeaveRowsThatReferToNothing) {
  const Migrations migrations = followed_by({.up = "DELETE FROM place WHERE id = 1"});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::foreign_keys);
  EXPECT_TRUE(mentions(error, "150 rows would refer to nothing (visit row 2 to no row of place, ")) << error.what();
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, LeavesForeignKeysOnWhateverHappens) {
  const auto expect_on = [&] {
    EXPECT_EQ(db_.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA foreign_keys"); }), 1);
  };
  db_.migrate(five_migrations());
  expect_on();
  EXPECT_THROW(db_.migrate(followed_by({.up = "DELETE FROM place"})), MigrationError);
  expect_on();
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction&) { throw 1; }})), int);
  expect_on();
}

// Functions

TEST_P(Migrating, LetsTheErrorsOfAFunctionThroughAndUndoesIt) {
  struct OwnError {};
  const Migrations migrations = followed_by({.up = [](Transaction& tx) {
    tx.execute("DELETE FROM visit");
    throw OwnError();
  }});
  EXPECT_THROW(db_.migrate(migrations), OwnError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, NamesTheFunctionWhoseStatementFailed) {
  const Migrations migrations = followed_by({.up = [](Transaction& tx) { tx.execute("DELETE FROM nowhere"); }});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_EQ(error.file(), "0006_sixth");
}

TEST_P(Migrating, DoesNotLetAFunctionEndItsTransaction) {
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction& tx) { tx.commit(); }})), UsageError);
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction& tx) { tx.execute(runtime_sql("COMMIT")); }})),
               UsageError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, CallsBackWhenItIsCommittedAndTheLaneIsFree) {
  Strings called;
  const auto function = [&](bool fails) {
    return [&, fails](Transaction& tx) {
      tx.on_commit([&]() noexcept { called.push_back("commit, " + std::to_string(!db_.lane_holder().has_value())); });
      tx.on_rollback(
          [&]() noexcept { called.push_back("rollback, " + std::to_string(!db_.lane_holder().has_value())); });
      if (fails) throw 1;
    };
  };
  EXPECT_THROW(db_.migrate(followed_by({.up = function(true)})), int);
  EXPECT_EQ(called, Strings{"rollback, 1"});
  called.clear();
  db_.migrate(followed_by({.up = function(false)}));
  EXPECT_EQ(called, Strings{"commit, 1"});
}

TEST_P(Migrating, LetsAFunctionUndoAPartOfWhatItDoes) {
  db_.migrate(followed_by({.up = [](Transaction& tx) {
    {
      const Savepoint undone = tx.savepoint();
      tx.execute("DELETE FROM visit");
    }
    tx.execute("DELETE FROM visit WHERE id = 1");
  }}));
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit"), 299);
}

// Without a transaction

constexpr const char* kAlone = "-- sqlane: no-transaction\n";

TEST_P(Migrating, RunsWithoutATransactionWhatCannotRunInOne) {
  const MigrationReport report = db_.migrate(
      followed_by({.up = kAlone + std::string("DELETE FROM visit; VACUUM;"), .down = kAlone + std::string("VACUUM;")}));
  EXPECT_EQ(report.to, 6);
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit"), 0);
  EXPECT_EQ(db_.query_one<int>("PRAGMA freelist_count"), 0);
  EXPECT_EQ(db_.query_one<std::string>("SELECT state FROM sqlane_migration WHERE version = 6"), "applied");
  EXPECT_EQ(db_.migrate(followed_by({.up = kAlone + std::string("DELETE FROM visit; VACUUM;"),
                                     .down = kAlone + std::string("VACUUM;")}),
                        {.target = 5})
                .to,
            5);
}

TEST_P(Migrating, DoesNotPutSuchAStepIntoATransactionWithOthers) {
  const auto error = error_of<MigrationError>(
      [&] { db_.migrate(followed_by({.up = kAlone + std::string("VACUUM;")}), {.atomicity = Atomicity::all}); });
  EXPECT_EQ(error.problem(), MigrationProblem::not_transactional);
  EXPECT_EQ(migration_status(db_, five_migrations()).version, 0);
}

TEST_P(Migrating, IsNotDirtyWhenTheFirstStatementFails) {
  const Migrations wrong = followed_by({.up = kAlone + std::string("DELETE FROM nowhere; VACUUM;")});
  const auto error = error_of<MigrationError>([&] { db_.migrate(wrong); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_TRUE(mentions(error, "stays at version 5")) << error.what();
  EXPECT_FALSE(migration_status(db_, wrong).refusal);
  EXPECT_EQ(db_.migrate(followed_by({.up = kAlone + std::string("VACUUM;")})).to, 6);
}

TEST_P(Migrating, IsDirtyWhenALaterStatementFailsUntilSomebodySaysWhatItHas) {
  const Migrations wrong = followed_by({.up = kAlone + std::string("DELETE FROM visit; DELETE FROM nowhere;")});
  const auto error = error_of<MigrationError>([&] { db_.migrate(wrong); });
  EXPECT_TRUE(mentions(error, "line 2")) << error.what();
  EXPECT_TRUE(mentions(error, "baseline")) << error.what();
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit"), 0) << "the first statement was done";

  const auto refusal = error_of<MigrationError>([&] { db_.migrate(wrong); });
  EXPECT_EQ(refusal.problem(), MigrationProblem::dirty);
  EXPECT_EQ(migration_status(db_, wrong).refusal->problem(), MigrationProblem::dirty);

  baseline(db_, wrong, 5);  // undone by hand, say
  EXPECT_EQ(migration_status(db_, wrong).version, 5);
  EXPECT_EQ(db_.migrate(followed_by({.up = kAlone + std::string("VACUUM;")})).to, 6);
}

TEST_P(Migrating, IsDirtyWhenTheFirstStatementHasLeftAPartOfWhatItDoes) {
  const Migrations wrong = followed_by(
      {.up = kAlone + std::string("INSERT OR FAIL INTO place (id, name) VALUES (3, 'a'), (1, 'b'); VACUUM;")});
  const auto error = error_of<Error>([&] { db_.migrate(wrong); });
  EXPECT_TRUE(mentions(error, "between two versions")) << error.what();
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM place"), 3) << "the first of the two rows is there";
  EXPECT_EQ(migration_status(db_, wrong).refusal->problem(), MigrationProblem::dirty);
}

TEST_P(Migrating, IsNotDirtyWhenItIsStoppedBeforeTheFirstStatement) {
  std::stop_source stop;
  bool is_written_down = false;
  Options options;
  options.on_statement = [&](const ExecutedStatement& statement) {
    if (statement.sql().starts_with("INSERT OR REPLACE INTO sqlane_migration")) is_written_down = true;
    if (statement.sql() == "COMMIT" && is_written_down) stop.request_stop();
  };
  Database db = GetParam() ? Database::in_memory(options) : Database::open(folder_ / "other.db", options);
  const Migrations migrations = only(kAlone + std::string("CREATE TABLE never (i)"));
  EXPECT_THROW(db.migrate(migrations, {.stop = stop.get_token()}), InterruptedError);
  EXPECT_FALSE(migration_status(db, migrations).refusal);
  EXPECT_EQ(migration_status(db, migrations).version, 0);
}

TEST_P(Migrating, SaysThatItIsDirtyWhenItIsStoppedBetweenStatements) {
  std::stop_source stop;
  const Migrations migrations = followed_by({.up = kAlone + std::string("DELETE FROM visit; VACUUM;")});
  const auto stop_before_the_second = [&](const MigrationProgress& now) {
    if (now.step.version == 6 && now.statement_number == 2) stop.request_stop();
  };
  const auto error = error_of<InterruptedError>(
      [&] { db_.migrate(migrations, {.on_progress = stop_before_the_second, .stop = stop.get_token()}); });
  EXPECT_TRUE(mentions(error, "baseline")) << error.what();
  EXPECT_EQ(migration_status(db_, migrations).refusal->problem(), MigrationProblem::dirty);
}

TEST_P(Migrating, IsNotDirtyWhenItWasDrainedDuringTheFirstStatement) {
  if (GetParam()) GTEST_SKIP() << "what is in memory cannot be looked at again";
  const Migrations endless = only(
      kAlone + std::string("CREATE TABLE endless AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)"
                           " SELECT i FROM n WHERE i < 0"));
  std::jthread drainer;
  const auto drain = [&](const MigrationProgress&) {
    if (!drainer.joinable()) drainer = std::jthread([&] { static_cast<void>(db_.drain(0ms)); });
  };
  EXPECT_THROW(db_.migrate(endless, {.on_progress = drain}), InterruptedError);
  drainer.join();
  db_.close();
  const Database again = open();
  EXPECT_FALSE(migration_status(again, endless).refusal);
  EXPECT_EQ(migration_status(again, endless).version, 0);
}

// Taking over, and refusing

TEST_P(Migrating, TakesOverADatabaseThatWasMadeOtherwise) {
  db_.execute("CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
  const auto refusal = error_of<MigrationError>([&] { db_.migrate(five_migrations()); });
  EXPECT_EQ(refusal.problem(), MigrationProblem::unmanaged);
  EXPECT_TRUE(mentions(refusal, "baseline")) << refusal.what();

  Migrations migrations = only("CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
  migrations.add({.version = 2, .name = "second", .up = "ALTER TABLE place ADD COLUMN area TEXT"});
  baseline(db_, migrations, 1);
  EXPECT_EQ(migration_status(db_, migrations).applied[0].state, AppliedMigration::State::baseline);
  const MigrationReport report = db_.migrate(migrations);
  EXPECT_EQ(report.from, 1);
  EXPECT_EQ(report.to, 2);
  EXPECT_EQ(db_.query_one<int>("SELECT count(area) FROM place"), 0);
}

TEST_P(Migrating, DoesNotTakeOverWhatContradictsWhatWasRecorded) {
  db_.migrate(five_migrations(), {.target = 3});
  EXPECT_EQ(error_of<MigrationError>([&] { baseline(db_, five_migrations(), 2); }).problem(),
            MigrationProblem::superseded);
  EXPECT_EQ(error_of<MigrationError>([&] { baseline(db_, five_migrations(), 6); }).problem(),
            MigrationProblem::missing);
  EXPECT_EQ(error_of<MigrationError>([&] { baseline(db_, only("CREATE TABLE other (id)"), 1); }).problem(),
            MigrationProblem::superseded);
  EXPECT_EQ(migration_status(db_, five_migrations()).version, 3);
}

TEST_P(Migrating, RefusesADatabaseThatIsNewerThanTheProgram) {
  db_.migrate(five_migrations());
  const Migrations old = only(std::get<std::string>(five_migrations().list()[0].up));
  EXPECT_EQ(error_of<MigrationError>([&] { db_.migrate(old); }).problem(), MigrationProblem::superseded);
  EXPECT_TRUE(migration_status(db_, old).has_been_superseded());
  EXPECT_FALSE(migration_status(db_, five_migrations()).has_been_superseded());
}

TEST_P(Migrating, RefusesAMigrationThatChangedAfterItWasApplied) {
  db_.migrate(only("CREATE TABLE place (id INTEGER PRIMARY KEY)"));
  const auto refusal =
      error_of<MigrationError>([&] { db_.migrate(only("CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT)")); });
  EXPECT_EQ(refusal.problem(), MigrationProblem::changed);
  EXPECT_EQ(refusal.file(), "0001_first.sql");
}

TEST_P(Migrating, MarksTheFileAndRefusesThatOfAnotherProgram) {
  db_.migrate(five_migrations(), {.target = 2, .application_id = 77});
  EXPECT_EQ(db_.query_one<int>("PRAGMA application_id"), 77);
  EXPECT_EQ(error_of<MigrationError>([&] { db_.migrate(five_migrations(), {.application_id = 78}); }).problem(),
            MigrationProblem::foreign);
  EXPECT_EQ(db_.migrate(five_migrations(), {.application_id = 77}).to, 5);
}

// Progress and stopping

TEST_P(Migrating, TellsHowFarItIs) {
  Strings told;
  db_.migrate(five_migrations(), {.target = 2, .on_progress = [&](const MigrationProgress& now) {
                                    const char* const phase = now.phase == MigrationPhase::statement       ? "statement"
                                                              : now.phase == MigrationPhase::checking_keys ? "keys"
                                                              : now.phase == MigrationPhase::committing    ? "commit"
                                                                                                           : "backup";
                                    std::string line = now.step.name + " " + std::to_string(now.step_number) + "/" +
                                                       std::to_string(now.steps) + " " + phase;
                                    if (now.phase == MigrationPhase::statement) {
                                      line += " " + std::to_string(now.statement_number) + "/" +
                                              std::to_string(now.step.statements.size());
                                    }
                                    if (told.empty() || told.back() != line) told.push_back(line);
                                  }});
  EXPECT_EQ(told, (Strings{"create_visit 1/2 statement 1/4", "create_visit 1/2 statement 2/4",
                           "create_visit 1/2 statement 3/4", "create_visit 1/2 statement 4/4", "create_visit 1/2 keys",
                           "create_visit 1/2 commit", "add_rating 2/2 statement 1/2", "add_rating 2/2 statement 2/2",
                           "add_rating 2/2 keys", "add_rating 2/2 commit"}));
}

TEST_P(Migrating, StopsWithTheLastWholeStep) {
  std::stop_source stop;
  const auto stop_in_third = [&](const MigrationProgress& now) {
    if (now.step.version == 3 && now.statement_number == 2) stop.request_stop();
  };
  EXPECT_THROW(db_.migrate(five_migrations(), {.on_progress = stop_in_third, .stop = stop.get_token()}),
               InterruptedError);
  EXPECT_EQ(state_of(db_), expected_state(2));
  EXPECT_EQ(db_.migrate(five_migrations()).steps.size(), 3U);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, StopsAStatementThatRuns) {
  std::stop_source stop;
  int told = 0;
  const Migrations endless = followed_by({.up = "CREATE TABLE endless (i);"
                                                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)"
                                                " INSERT INTO endless SELECT i FROM n WHERE i < 0"});
  const auto stop_while_it_runs = [&](const MigrationProgress& now) {
    if (now.step.version == 6 && now.statement_number == 2 && ++told == 2) stop.request_stop();
  };
  EXPECT_THROW(db_.migrate(endless, {.on_progress = stop_while_it_runs, .stop = stop.get_token()}), InterruptedError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

// One of two is told that its first step is committed, and the other begins with
// the second before it looks again. (Of a file, the MigrationLock keeps it from that.)
TEST_P(Migrating, WaitsForAnotherThatRunsAStepWithoutATransaction) {
  if (!GetParam()) GTEST_SKIP() << "of a file, one alone migrates";
  std::function<void()> committed;
  Migrations migrations;
  migrations.add({.version = 1, .name = "first", .up = [&](Transaction& tx) {
                    tx.execute("CREATE TABLE first (id)");
                    tx.on_commit([&]() noexcept { committed(); });
                  }});
  migrations.add({.version = 2, .name = "second", .up = kAlone + std::string("CREATE TABLE second (id)")});

  std::atomic<bool> is_running = false;
  std::atomic<bool> has_ended = false;
  std::jthread other;
  const auto wait_for_the_first = [&](const MigrationProgress&) {
    is_running = true;
    while (!has_ended && db_.stats().lane.waiting == 0) std::this_thread::yield();
  };
  committed = [&] {
    other = std::jthread([&] { db_.migrate(migrations, {.on_progress = wait_for_the_first}); });
    while (!is_running) std::this_thread::yield();
  };
  MigrationReport report;
  EXPECT_NO_THROW(report = db_.migrate(migrations));
  has_ended = true;
  other.join();
  EXPECT_EQ(report.to, 2);
  EXPECT_EQ(report.steps.size(), 1U);
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

// Below the page cache of 1 MB there is SQLite's own memory; 20 MB of changes are not in it.
TEST_P(Migrating, KeepsItsMemoryWithinThePageCache) {
  if (GetParam()) GTEST_SKIP() << "what is in memory takes memory";
  Database db = Database::open(folder_ / "large.db", {.page_cache = 1U << 20U});
  sqlite3_memory_highwater(1);
  db.migrate(
      only("CREATE TABLE large (id INTEGER PRIMARY KEY, filler BLOB);"
           "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
           " INSERT INTO large SELECT i, randomblob(4000) FROM n;"));
  EXPECT_LT(sqlite3_memory_highwater(0), 8 << 20);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM large"), 5000);
}

TEST_P(Migrating, KeepsItsMemoryWithinThePageCacheInAVacuum) {
  if (GetParam()) GTEST_SKIP() << "what is in memory takes memory";
  Database db = Database::open(folder_ / "large.db", {.page_cache = 1U << 20U});
  Migrations migrations = only(
      "CREATE TABLE large (id INTEGER PRIMARY KEY, filler BLOB);"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
      " INSERT INTO large SELECT i, randomblob(4000) FROM n;");
  db.migrate(migrations);
  migrations.add({.version = 2, .name = "tidy", .up = kAlone + std::string("VACUUM")});
  sqlite3_memory_highwater(1);
  db.migrate(migrations);
  EXPECT_LT(sqlite3_memory_highwater(0), 8 << 20);
}

// Others could not read the schema any more: to them no SQL is longer than 1 MB.
TEST_P(Migrating, RunsLongStatementsButNotThoseThatMakeALongSchema) {
  const std::string text(1'100'000, 'x');
  Migrations migrations = only("CREATE TABLE note (body TEXT); INSERT INTO note VALUES ('" + text + "')");
  db_.migrate(migrations);
  EXPECT_EQ(db_.query_one<std::size_t>("SELECT length(body) FROM note"), text.size());
  const std::string view = "CREATE VIEW large AS SELECT '" + text + "' AS body";
  for (const std::string& mark : {std::string(), std::string(kAlone)}) {
    Migrations wrong = migrations;
    wrong.add({.version = 2, .name = "view", .up = mark + view});
    const auto error = error_of<MigrationError>([&] { db_.migrate(wrong); });
    EXPECT_EQ(error.file(), "0002_view.sql");
    EXPECT_FALSE(migration_status(db_, wrong).refusal);
  }
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM note"), 1);
}

TEST_P(Migrating, NamesTheStepThatHasBrokenItsRecord) {
  const auto error = error_of<MigrationError>([&] { db_.migrate(followed_by({.up = "DROP TABLE sqlane_migration"})); });
  EXPECT_EQ(error.file(), "0006_sixth.sql");
  EXPECT_EQ(state_of(db_), expected_state(5));
}

// Files alone

class MigratingFile : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const fs::path path_ = folder_ / "app.db";
};

TEST_F(MigratingFile, CopiesTheLogBackBetweenSteps) {
  Migrations migrations = only("CREATE TABLE large (filler BLOB)");
  for (int version = 2; version <= 6; ++version) {
    migrations.add({.version = version,
                    .name = "fill",
                    .up = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                          " INSERT INTO large SELECT randomblob(4000) FROM n;"});
  }
  Database db = Database::open(path_, {.checkpoint_pages = 100});
  db.migrate(migrations);
  EXPECT_LT(fs::file_size(testing::beside(path_, "-wal")), 4U << 20U) << "five steps of 2 MB each";
}

TEST_F(MigratingFile, KeepsOtherProcessesOutWithExclusiveLocking) {
  Database db = Database::open(path_, {.locking = Locking::exclusive});
  db.migrate(five_migrations());
  EXPECT_EQ(state_of(db), expected_state(5));
}

TEST_F(MigratingFile, LeavesNoLogBehindWhenItIsClosed) {
  Database db = Database::open(path_);
  db.migrate(five_migrations());
  db.close();
  EXPECT_FALSE(fs::exists(testing::beside(path_, "-wal")));
}

TEST_F(MigratingFile, CopiesTheDatabaseBeforeTheFirstStep) {
  Database db = Database::open(path_);
  EXPECT_TRUE(db.migrate(five_migrations(), {.target = 2}).backup.empty());
  const fs::path copy = folder_ / "app.v2.db";
  testing::write_bytes(copy, "of an attempt before");
  EXPECT_EQ(db.migrate(five_migrations(), {.backup_folder = folder_.path()}).backup, copy);
  const Database kept = Database::open(copy, {.mode = OpenMode::read_only});
  EXPECT_EQ(state_of(kept), expected_state(2));
  EXPECT_EQ(state_of(db), expected_state(5));
  EXPECT_TRUE(db.migrate(five_migrations(), {.backup_folder = folder_.path()}).backup.empty());
  EXPECT_FALSE(fs::exists(folder_ / "app.v5.db"));
}

TEST_F(MigratingFile, DoesNotMigrateWhatItCannotCopy) {
  Database db = Database::open(path_);
  EXPECT_THROW(db.migrate(five_migrations(), {.backup_folder = folder_ / "nowhere"}), OpenError);
  EXPECT_EQ(state_of(db), expected_state(0));
}

TEST_F(MigratingFile, WaitsForAnotherProcessThatMigratesUpToTheTimeout) {
  Database db = Database::open(path_);
  const int other = ::open((path_.string() + "-migration").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_THROW(db.migrate(five_migrations(), {.lock_timeout = 0ms}), TimeoutError);
  EXPECT_EQ(migration_status(db, five_migrations()).version, 0);
  ::close(other);
  EXPECT_EQ(db.migrate(five_migrations(), {.lock_timeout = 0ms}).to, 5);
}

// look: nothing is there
//                            here, past all locks of ours: the first two steps
// lock, look again: three to go
TEST_F(MigratingFile, LooksAgainUnderTheWriteLock) {
  { Database made = Database::open(path_); }
  int begun = 0;
  ForeignConnection other(path_);
  Database source = Database::in_memory();
  source.migrate(five_migrations(), {.target = 2});
  const auto migrate_in_between = [&](const ExecutedStatement& statement) {
    if (statement.sql() != "BEGIN IMMEDIATE" || ++begun != 1) return;
    other.run("BEGIN IMMEDIATE");
    source.read([&](const Snapshot& s) {
      for (const std::string& sql : s.query<std::string>("SELECT sql FROM sqlite_master WHERE sql NOTNULL")) {
        other.run(sql);
      }
      for (const std::string& row :
           s.query<std::string>("SELECT format('INSERT INTO sqlane_migration VALUES (%d, %Q, %Q, %Q, 0, %Q, %Q)', "
                                "version, name, checksum, applied_at, sqlane_version, state) FROM sqlane_migration")) {
        other.run(row);
      }
    });
    other.run("PRAGMA user_version = 2");
    other.run("COMMIT");
  };
  Options options;
  options.on_statement = migrate_in_between;
  Database db = Database::open(path_, options);
  begun = 0;
  const MigrationReport report = db.migrate(five_migrations());
  EXPECT_EQ(report.from, 0);
  EXPECT_EQ(report.to, 5);
  ASSERT_EQ(report.steps.size(), 3U);
  EXPECT_EQ(report.steps[0].version, 3);
}

// Another program has the write lock at one moment of a step without a
// transaction, until it was met `tried` again.
class MigratingBesideAWriter : public MigratingFile {
 protected:
  void migrate(const Migrations& migrations, MigrationPhase phase, std::size_t statement, const std::string& tried) {
    Database db = Database::open(path_, options_of(tried));
    db.migrate(migrations, {.lock_timeout = 10s, .on_progress = [&](const MigrationProgress& now) {
                              if (now.phase != phase || now.statement_number != statement || is_locked_) return;
                              is_locked_ = true;
                              other_.run("BEGIN IMMEDIATE");
                            }});
  }

  void expect_clean_at(const Migrations& migrations, int version) {
    const Database db = Database::open(path_);
    EXPECT_EQ(tries_, 2);
    EXPECT_FALSE(migration_status(db, migrations).refusal);
    EXPECT_EQ(migration_status(db, migrations).version, version);
  }

 private:
  [[nodiscard]] Options options_of(const std::string& tried) {
    Options options{.busy_timeout = 0ms};
    options.on_statement = [this, tried](const ExecutedStatement& statement) {
      if (is_locked_ && statement.sql() == tried && ++tries_ == 2) other_.run("COMMIT");
    };
    return options;
  }

  ForeignConnection other_{path_};
  bool is_locked_ = false;
  int tries_ = 0;
};

TEST_F(MigratingBesideAWriter, TriesEachStatementAgain) {
  const Migrations migrations = only(kAlone + std::string("CREATE TABLE a (i); CREATE TABLE b (i)"));
  migrate(migrations, MigrationPhase::statement, 1, "CREATE TABLE a (i)");
  expect_clean_at(migrations, 1);
}

TEST_F(MigratingBesideAWriter, TriesALaterStatementAgain) {
  const Migrations migrations = only(kAlone + std::string("CREATE TABLE a (i); CREATE TABLE b (i)"));
  migrate(migrations, MigrationPhase::statement, 2, "CREATE TABLE b (i)");
  expect_clean_at(migrations, 1);
}

TEST_F(MigratingBesideAWriter, WritesDownAllTheSameThatItIsDone) {
  const Migrations migrations = only(kAlone + std::string("CREATE TABLE a (i)"));
  migrate(migrations, MigrationPhase::committing, 1, "BEGIN IMMEDIATE");
  expect_clean_at(migrations, 1);
}

TEST_F(MigratingBesideAWriter, WritesDownAllTheSameThatItHasNotBegun) {
  const Migrations migrations = only(kAlone + std::string("DELETE FROM nowhere"));
  EXPECT_THROW(migrate(migrations, MigrationPhase::statement, 1, "BEGIN IMMEDIATE"), MigrationError);
  expect_clean_at(migrations, 0);
}

TEST_F(MigratingFile, WritesDownThatItIsDoneWhenItWasDrainedMeanwhile) {
  const Migrations migrations = only(kAlone + std::string("CREATE TABLE a (i)"));
  {
    Database db = Database::open(path_);
    const auto drain = [&](const MigrationProgress& now) {
      if (now.phase != MigrationPhase::committing) return;
      std::jthread([&] { static_cast<void>(db.drain(0ms)); }).join();
    };
    EXPECT_EQ(db.migrate(migrations, {.on_progress = drain}).to, 1);
  }
  const Database db = Database::open(path_);
  EXPECT_FALSE(migration_status(db, migrations).refusal);
  EXPECT_EQ(migration_status(db, migrations).version, 1);
}

TEST_F(MigratingFile, DoesNotTakeAReplicaForTheDatabase) {
  const fs::path replica = folder_ / "replica.db";
  Database::open(replica).migrate(five_migrations());
  Database db = Database::open(path_, {.readers = 1, .fallback = replica});
  const Snapshot held = db.snapshot();
  std::jthread([&] { EXPECT_THROW(db.migrate(five_migrations(), {.lock_timeout = 0ms}), TimeoutError); }).join();
}

TEST_F(MigratingFile, LocksWithAFileThatAllMayUseWhoMayUseTheDatabase) {
  Database db = Database::open(path_);
  fs::permissions(path_, fs::perms(0664));
  mode_t mode = 0;
  db.migrate(five_migrations(), {.on_progress = [&](const MigrationProgress&) {
               struct stat found {};
               EXPECT_EQ(::stat((path_.string() + "-migration").c_str(), &found), 0);
               mode = found.st_mode & 0777U;
             }});
  EXPECT_EQ(mode, 0664U);
}

TEST_F(MigratingFile, OnlyReadsWhereItWasOpenedToRead) {
  {
    Database db = Database::open(path_);
    db.migrate(five_migrations(), {.target = 4});
  }
  Database db = Database::open(path_, {.mode = OpenMode::read_only});
  EXPECT_THROW(db.migrate(five_migrations()), ReadOnlyError);
  EXPECT_TRUE(db.migrate(five_migrations(), {.target = 4}).steps.empty());
  EXPECT_EQ(migration_status(db, five_migrations()).pending.size(), 1U);
  EXPECT_FALSE(fs::exists(path_.string() + "-migration"));
}

TEST_F(MigratingFile, OfManyThreadsIsDoneByOne) {
  Database db = Database::open(path_);
  Database another = Database::open(path_);
  std::atomic<std::size_t> steps = 0;
  std::atomic<int> workers = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const MigrationReport report = (i % 2 == 0 ? db : another).migrate(five_migrations());
        steps += report.steps.size();
        if (!report.steps.empty()) ++workers;
      });
    }
  }
  EXPECT_EQ(steps, 5U);
  EXPECT_EQ(workers, 1);
  EXPECT_EQ(state_of(db), expected_state(5));
}

}  // namespace
}  // namespace sqlane
