#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "sqlane/testing/manual_clock.hpp"
#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

// MigrateOptions::stop, at each moment: the last whole step stays, and the rest
// applies afterwards.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::ForeignConnection;
using testing::ManualClock;
using testing::mentions;
using testing::state_of;
using testing::TemporaryFolder;

struct Kind {
  bool is_memory = false;
  Atomicity atomicity = Atomicity::each;
};

class StoppingMigrations : public ::testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    options.durability = Durability::normal;  // many are opened
    return GetParam().is_memory ? Database::in_memory(options) : Database::open(folder_ / "app.db", options);
  }
  [[nodiscard]] MigrateOptions options() const {
    return {.atomicity = GetParam().atomicity, .stop = stop_.get_token()};
  }

  // Whether it was stopped.
  bool migrate(Database& db, const MigrateOptions& options) {
    try {
      db.migrate(five_migrations(), options);
      return false;
    } catch (const InterruptedError&) {
      return true;
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
      return false;
    }
  }

  void expect_whole_and_finish(Database& db, int version) const {
    EXPECT_EQ(state_of(db), expected_state(version));
    EXPECT_FALSE(db.lane_holder());
    EXPECT_FALSE(fs::exists(folder_ / "app.db-migration"));
    const MigrationReport report = db.migrate(five_migrations(), {.atomicity = GetParam().atomicity});
    EXPECT_EQ(report.from, version);
    EXPECT_EQ(report.steps.size(), static_cast<std::size_t>(5 - version));
    EXPECT_EQ(state_of(db), expected_state(5));
  }

  TemporaryFolder folder_;
  std::stop_source stop_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, StoppingMigrations,
                         ::testing::Values(Kind{false, Atomicity::each}, Kind{false, Atomicity::all},
                                           Kind{true, Atomicity::each}, Kind{true, Atomicity::all}),
                         [](const auto& kind) {
                           return std::string(kind.param.is_memory ? "Memory" : "File") +
                                  (kind.param.atomicity == Atomicity::each ? "Each" : "All");
                         });

// A COMMIT that is about to begin is not stopped.
TEST_P(StoppingMigrations, LeavesTheLastWholeStepAtEachBoundary) {
  std::set<int> versions;
  bool has_come = true;
  for (int at = 1; has_come && !HasFailure(); ++at) {
    SCOPED_TRACE("call " + std::to_string(at));
    Database db = open();
    stop_ = std::stop_source();
    int calls = 0;
    int committed = 0;
    MigrateOptions how = options();
    how.on_progress = [&](const MigrationProgress& now) {
      ++calls;
      if (now.phase == MigrationPhase::committing && calls <= at) committed = now.step.version;
      if (calls == at) stop_.request_stop();
    };
    const bool was_stopped = migrate(db, how);
    has_come = calls >= at;
    versions.insert(committed);
    EXPECT_TRUE(was_stopped || committed == 5);
    EXPECT_TRUE(has_come || !was_stopped);
    expect_whole_and_finish(db, committed);
    db.migrate(five_migrations(), {.target = 0});
    db.execute("DROP TABLE sqlane_migration");
  }
  EXPECT_EQ(versions, GetParam().atomicity == Atomicity::each ? (std::set{0, 1, 2, 3, 4, 5}) : (std::set{0, 5}));
}

// Each statement, those of the library among them, is told just before it runs.
TEST_P(StoppingMigrations, LeavesWholeStepsBeforeEachStatement) {
  std::set<int> versions;
  bool has_struck = true;
  for (int at = 1; has_struck && !HasFailure(); ++at) {
    SCOPED_TRACE("statement " + std::to_string(at));
    stop_ = std::stop_source();
    int told = 0;
    std::string where;
    bool is_counting = false;
    Options options_of_database;
    options_of_database.on_statement = [&](const ExecutedStatement& statement) {
      if (!is_counting || ++told != at) return;
      where = statement.sql();
      stop_.request_stop();
    };
    Database db = open(options_of_database);
    is_counting = true;
    const bool was_stopped = migrate(db, options());
    is_counting = false;
    has_struck = !where.empty();
    SCOPED_TRACE(where);
    const int version = migration_status(db, five_migrations()).version;
    if (GetParam().atomicity == Atomicity::all) {
      EXPECT_TRUE(version == 0 || version == 5);
    }
    EXPECT_TRUE(was_stopped || version == 5);
    EXPECT_TRUE(has_struck || !was_stopped);
    versions.insert(version);
    expect_whole_and_finish(db, version);
    db.migrate(five_migrations(), {.target = 0});
    db.execute("DROP TABLE sqlane_migration");
  }
  EXPECT_EQ(versions, GetParam().atomicity == Atomicity::each ? (std::set{0, 1, 2, 3, 4, 5}) : (std::set{0, 5}));
}

TEST_P(StoppingMigrations, EndsAStatementThatRunsForEver) {
  Database db = open();
  Migrations migrations = five_migrations();
  migrations.add({.version = 6,
                  .name = "endless",
                  .up = "CREATE TABLE endless (i); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)"
                        " INSERT INTO endless SELECT i FROM n WHERE i < 0"});
  MigrateOptions how = options();
  std::jthread stopper;
  how.on_progress = [&](const MigrationProgress& now) {
    if (now.step.version != 6 || now.statement_number != 2 || stopper.joinable()) return;
    stopper = std::jthread([&] {
      testing::await_sql(db, "INSERT INTO endless");
      stop_.request_stop();
    });
  };
  EXPECT_THROW(db.migrate(migrations, how), InterruptedError);
  expect_whole_and_finish(db, GetParam().atomicity == Atomicity::each ? 5 : 0);
}

TEST_P(StoppingMigrations, EndsAFunctionAtItsNextStatement) {
  Database db = open();
  Migrations migrations = five_migrations();
  bool has_gone_on = false;
  migrations.add({.version = 6, .name = "function", .up = [&](Transaction& tx) {
                    tx.execute("DELETE FROM visit");
                    stop_.request_stop();
                    tx.execute("DELETE FROM place");
                    has_gone_on = true;
                  }});
  EXPECT_THROW(db.migrate(migrations, options()), InterruptedError);
  EXPECT_FALSE(has_gone_on);
  expect_whole_and_finish(db, GetParam().atomicity == Atomicity::each ? 5 : 0);
}

// A function that does nothing more with its transaction cannot be ended; what it did is not committed.
TEST_P(StoppingMigrations, UndoesAFunctionThatHasEndedMeanwhile) {
  Database db = open();
  Migrations migrations = five_migrations();
  migrations.add({.version = 6, .name = "function", .up = [&](Transaction& tx) {
                    tx.execute("DELETE FROM visit");
                    stop_.request_stop();
                  }});
  EXPECT_THROW(db.migrate(migrations, options()), InterruptedError);
  expect_whole_and_finish(db, GetParam().atomicity == Atomicity::each ? 5 : 0);
}

TEST_P(StoppingMigrations, LeavesTheStepsThatWereUndone) {
  if (GetParam().atomicity == Atomicity::all) GTEST_SKIP() << "one step is as good as another";
  Database db = open();
  db.migrate(five_migrations());
  MigrateOptions how = options();
  how.target = 0;
  how.on_progress = [&](const MigrationProgress& now) {
    if (now.step.version == 3 && now.statement_number == 3) stop_.request_stop();
  };
  EXPECT_TRUE(migrate(db, how));
  expect_whole_and_finish(db, 3);
}

TEST_P(StoppingMigrations, DoesNothingWhenItWasStoppedBefore) {
  Database db = open();
  stop_.request_stop();
  MigrateOptions how = options();
  how.backup_folder = folder_ / "copies";
  fs::create_directory(how.backup_folder);
  int calls = 0;
  how.on_progress = [&](const MigrationProgress&) { ++calls; };
  EXPECT_TRUE(migrate(db, how));
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(fs::is_empty(how.backup_folder));
  expect_whole_and_finish(db, 0);
}

// Between two steps there is nothing else to say.
TEST_P(StoppingMigrations, SaysWhichVersionTheDatabaseHas) {
  if (GetParam().atomicity == Atomicity::all) GTEST_SKIP() << "all steps are one";
  Database db = open();
  MigrateOptions how = options();
  how.on_progress = [&](const MigrationProgress& now) {
    if (now.step.version == 2 && now.phase == MigrationPhase::committing) stop_.request_stop();
  };
  const auto error = error_of<InterruptedError>([&] { db.migrate(five_migrations(), how); });
  EXPECT_TRUE(mentions(error, "version 2")) << error.what();
}

TEST_P(StoppingMigrations, IsTooLateOnceTheLastCommitBegins) {
  Database db = open();
  MigrateOptions how = options();
  how.on_progress = [&](const MigrationProgress& now) {
    if (now.step.version == 5 && now.phase == MigrationPhase::committing) stop_.request_stop();
  };
  EXPECT_EQ(db.migrate(five_migrations(), how).steps.size(), 5U);
}

TEST_P(StoppingMigrations, EndsTheCopyAndLeavesNone) {
  Database db = open();
  db.migrate(five_migrations(), {.target = 2});
  MigrateOptions how = options();
  how.backup_folder = folder_ / "copies";
  fs::create_directory(how.backup_folder);
  int copying = 0;
  for (int at = 1; at <= 3; ++at) {
    stop_ = std::stop_source();
    how.stop = stop_.get_token();
    copying = 0;
    how.on_progress = [&](const MigrationProgress& now) {
      if (now.phase == MigrationPhase::backup && ++copying == at) stop_.request_stop();
    };
    EXPECT_TRUE(migrate(db, how));
    EXPECT_GE(copying, at);
    EXPECT_LE(copying, 3) << "no step has begun";
    EXPECT_TRUE(fs::is_empty(how.backup_folder)) << "call " << at;
    EXPECT_EQ(state_of(db), expected_state(2));
  }
  expect_whole_and_finish(db, 2);
}

// While it waits: its clock stands still, so that no timeout can come.

class StoppingWaitingMigrations : public StoppingMigrations {
 protected:
  [[nodiscard]] Options standing_still() const { return clock_.into({.readers = 1, .busy_timeout = 1h}); }

  // Stops it when it waits by the clock, which goes on in small steps then: it is
  // looked at from time to time whether there is a stop.
  void expect_stopped_while_it_sleeps(Database& db) {
    std::atomic<bool> has_ended = false;
    const std::jthread migrating([&] {
      EXPECT_TRUE(migrate(db, options()));
      has_ended = true;
    });
    clock_.await_sleeping(1);
    stop_.request_stop();
    const ManualClock::time_point begin = clock_.now();
    while (!has_ended) {
      if (clock_.sleeping() > 0) clock_.advance(10ms);
      std::this_thread::yield();
    }
    EXPECT_LT(clock_.now() - begin, 5min);
  }

  ManualClock clock_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, StoppingWaitingMigrations,
                         ::testing::Values(Kind{false, Atomicity::each}, Kind{false, Atomicity::all},
                                           Kind{true, Atomicity::each}, Kind{true, Atomicity::all}),
                         [](const auto& kind) {
                           return std::string(kind.param.is_memory ? "Memory" : "File") +
                                  (kind.param.atomicity == Atomicity::each ? "Each" : "All");
                         });

TEST_P(StoppingWaitingMigrations, ForTheLane) {
  Database db = open(standing_still());
  {
    const Transaction holder = db.begin();
    expect_stopped_while_it_sleeps(db);
  }
  expect_whole_and_finish(db, 0);
}

TEST_P(StoppingWaitingMigrations, ForAReader) {
  Database db = open(standing_still());
  {
    const Snapshot held = db.snapshot();
    expect_stopped_while_it_sleeps(db);
  }
  expect_whole_and_finish(db, 0);
}

TEST_P(StoppingWaitingMigrations, ForAnotherProcessThatMigrates) {
  if (GetParam().is_memory) GTEST_SKIP() << "what is in memory has no other process";
  Database db = open(standing_still());
  const int other = ::open((folder_ / "app.db-migration").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  expect_stopped_while_it_sleeps(db);
  EXPECT_EQ(migration_status(db, five_migrations()).version, 0);
  fs::remove(folder_ / "app.db-migration");
  ::close(other);
  expect_whole_and_finish(db, 0);
}

TEST_P(StoppingWaitingMigrations, ForTheWriteLockOfAnotherProcess) {
  if (GetParam().is_memory) GTEST_SKIP() << "what is in memory has no other process";
  Database db = open(standing_still());
  ForeignConnection other(folder_ / "app.db");
  other.run("BEGIN IMMEDIATE");
  expect_stopped_while_it_sleeps(db);
  other.run("COMMIT");
  expect_whole_and_finish(db, 0);
}

}  // namespace
}  // namespace sqlane
