#include <atomic>
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::five_migrations;
using testing::followed_by;
using testing::ForeignConnection;
using testing::kAlone;
using testing::mentions;
using testing::Migrating;
using testing::MigratingFile;
using testing::only;

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

}  // namespace
}  // namespace sqlane
