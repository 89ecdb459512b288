#include <atomic>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <sys/file.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "sqlane/testing/manual_clock.hpp"
#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/migrating.hpp"
#include "support/temporary_folder.hpp"

// Migrations by a clock that is moved by hand: what they measure, and how long they wait.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::ForeignConnection;
using testing::kAlone;
using testing::ManualClock;
using testing::mentions;
using testing::state_of;
using testing::TemporaryFolder;

// Three steps: SQL, a function, and SQL without a transaction.
Migrations three_migrations(ManualClock& clock) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "first", .up = "CREATE TABLE note (id INTEGER PRIMARY KEY);"});
  migrations.add({.version = 2, .name = "second", .up = [&](Transaction& tx) {
                    clock.advance(3s);
                    tx.execute("INSERT INTO note VALUES (1)");
                    clock.advance(500ms);
                  }});
  migrations.add({.version = 3, .name = "third", .up = kAlone + std::string("DELETE FROM note; VACUUM;")});
  return migrations;
}

std::vector<milliseconds> durations(const std::vector<MigrationStep>& steps) {
  std::vector<milliseconds> all;
  for (const MigrationStep& step : steps) all.push_back(step.duration);
  return all;
}

std::vector<milliseconds> recorded(const Database& db, const Migrations& migrations) {
  std::vector<milliseconds> all;
  for (const AppliedMigration& applied : migration_status(db, migrations).applied) all.push_back(applied.duration);
  return all;
}

// Runs on a thread of its own; what became of it is asked for later.
class MigratingByTheClock {
 public:
  MigratingByTheClock(Database& db, Migrations migrations, MigrateOptions options)
      : thread_([this, &db, migrations = std::move(migrations), options = std::move(options)] {
          try {
            report_ = db.migrate(migrations, options);
          } catch (...) {
            error_ = std::current_exception();
          }
          has_ended_ = true;
        }) {}

  [[nodiscard]] bool has_ended() const { return has_ended_; }

  // Waits for its end; throws what it threw.
  [[nodiscard]] MigrationReport report() {
    if (thread_.joinable()) thread_.join();
    if (error_ != nullptr) std::rethrow_exception(error_);
    return report_;
  }

 private:
  MigrationReport report_;
  std::exception_ptr error_;
  std::atomic<bool> has_ended_ = false;
  std::jthread thread_;
};

class TimeOfMigrations : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(std::size_t readers = 2, milliseconds acquire_timeout = 1h) const {
    return Database::open(path_,
                          clock_.into({.readers = readers, .acquire_timeout = acquire_timeout, .busy_timeout = 100ms}));
  }
  [[nodiscard]] static MigrateOptions wait_7s() { return {.lock_timeout = 7s}; }

  void advance_until_it_ends(const MigratingByTheClock& migrating) {
    while (!migrating.has_ended()) {
      if (clock_.sleeping() > 0) clock_.advance(10ms);
      std::this_thread::yield();
    }
  }

  // And not after an hour, which others would wait (Options::acquire_timeout).
  void expect_to_end_after_7s(MigratingByTheClock& migrating) {
    clock_.await_sleeping(1);
    clock_.advance(7s - 1ns);
    clock_.await_sleeping(1);
    clock_.advance(1ns);
    const ManualClock::time_point then = clock_.now();
    advance_until_it_ends(migrating);
    EXPECT_LT(clock_.now() - then, 30min);
    const auto error = error_of<TimeoutError>([&] { static_cast<void>(migrating.report()); });
    EXPECT_TRUE(mentions(error, "migration_clock_test.cpp")) << "who holds it: " << error.what();
    EXPECT_TRUE(error.is_retryable());
    EXPECT_FALSE(fs::exists(folder_ / "app.db-migration"));
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_ / "app.db";
  ManualClock clock_;
};

// What is measured

TEST_F(TimeOfMigrations, IsWhatEachStepTook) {
  Database db = open();
  const Migrations migrations = three_migrations(clock_);
  const MigrationReport report = db.migrate(migrations, {.on_progress = [&](const MigrationProgress& now) {
                                              if (now.phase != MigrationPhase::statement) return;
                                              if (now.step.version == 1) clock_.advance(20ms);
                                              if (now.step.version == 3) clock_.advance(1s);  // twice
                                            }});
  const std::vector<milliseconds> expected{20ms, 3500ms, 2s};
  EXPECT_EQ(durations(report.steps), expected);
  EXPECT_EQ(recorded(db, migrations), expected);
}

TEST_F(TimeOfMigrations, HoldsTheCheckOfTheKeys) {
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    Database db = Database::open(folder_ / (atomicity == Atomicity::each ? "each.db" : "all.db"), clock_.into());
    int checked = 0;  // the step that was
    const auto take_a_minute = [&](const MigrationProgress& now) {
      if (now.phase != MigrationPhase::checking_keys || checked == now.step.version) return;
      checked = now.step.version;
      clock_.advance(1min);
    };
    const MigrationReport report =
        db.migrate(five_migrations(), {.target = 2, .atomicity = atomicity, .on_progress = take_a_minute});
    const std::vector<milliseconds> expected{atomicity == Atomicity::each ? 1min : 0min, 1min};
    EXPECT_EQ(durations(report.steps), expected);
    EXPECT_EQ(recorded(db, five_migrations()), expected);
  }
}

TEST_F(TimeOfMigrations, IsNothingWhereItStandsStill) {
  Database db = open();
  EXPECT_EQ(durations(db.migrate(five_migrations()).steps), std::vector<milliseconds>(5));
  EXPECT_EQ(recorded(db, five_migrations()), std::vector<milliseconds>(5));
}

TEST_F(TimeOfMigrations, IsThatOfEachStepWhereAllAreOneTransaction) {
  Database db = open();
  Migrations migrations;
  for (int version = 1; version <= 3; ++version) {
    migrations.add({.version = version,
                    .name = "step",
                    .up = [this, version](Transaction&) { clock_.advance(version * 1s); },
                    .down = [this, version](Transaction&) { clock_.advance(version * 1min); }});
  }
  EXPECT_EQ(durations(db.migrate(migrations, {.atomicity = Atomicity::all}).steps),
            (std::vector<milliseconds>{1s, 2s, 3s}));
  EXPECT_EQ(recorded(db, migrations), (std::vector<milliseconds>{1s, 2s, 3s}));
  EXPECT_EQ(durations(db.migrate(migrations, {.target = 0, .atomicity = Atomicity::all}).steps),
            (std::vector<milliseconds>{3min, 2min, 1min}));
}

TEST_F(TimeOfMigrations, SinceTheStepBeganIsTold) {
  Database db = open();
  std::vector<milliseconds> elapsed;
  db.migrate(five_migrations(), {.target = 2, .on_progress = [&](const MigrationProgress& now) {
                                   elapsed.push_back(now.elapsed);
                                   clock_.advance(10ms);
                                 }});
  EXPECT_EQ(elapsed, (std::vector<milliseconds>{0ms, 10ms, 20ms, 30ms, 40ms, 50ms, 0ms, 10ms, 20ms, 30ms}));
}

TEST_F(TimeOfMigrations, StandsStillForThoseInMemory) {
  Database db = Database::in_memory(clock_.into());
  const Migrations migrations = three_migrations(clock_);
  EXPECT_EQ(durations(db.migrate(migrations).steps), (std::vector<milliseconds>{0ms, 3500ms, 0ms}));
}

// What is waited for

TEST_F(TimeOfMigrations, EndsTheWaitForTheLane) {
  Database db = open();
  {
    const Transaction holder = db.begin();
    MigratingByTheClock migrating(db, five_migrations(), wait_7s());
    expect_to_end_after_7s(migrating);
  }
  EXPECT_EQ(db.migrate(five_migrations(), wait_7s()).steps.size(), 5U);
}

// Others would wait for a second.
TEST_F(TimeOfMigrations, IsNotUpWhenTheLaneComesFree) {
  Database db = open(2, 1s);
  std::optional<MigratingByTheClock> migrating;
  {
    const Transaction holder = db.begin();
    migrating.emplace(db, five_migrations(), wait_7s());
    clock_.await_sleeping(1);
    clock_.advance(7s - 1ns);
    while (!migrating->has_ended() && db.lane_holder()->waiting == 0) std::this_thread::yield();
  }
  EXPECT_EQ(migrating->report().steps.size(), 5U);
  EXPECT_EQ(state_of(db), expected_state(5));
}

TEST_F(TimeOfMigrations, EndsTheWaitForAReader) {
  Database db = open(1);
  {
    const Snapshot held = db.snapshot();
    MigratingByTheClock migrating(db, five_migrations(), wait_7s());
    expect_to_end_after_7s(migrating);
  }
  EXPECT_EQ(db.migrate(five_migrations(), wait_7s()).steps.size(), 5U);
}

TEST_F(TimeOfMigrations, EndsTheWaitForAnotherProcessThatMigrates) {
  Database db = open();
  const int other = ::open((path_.string() + "-migration").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  MigratingByTheClock migrating(db, five_migrations(), wait_7s());
  for (milliseconds waited = 0ms; waited < 7s; waited += 10ms) {
    clock_.await_sleeping(1);
    clock_.advance(10ms);
  }
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(migrating.report()); });
  EXPECT_TRUE(mentions(error, "another process migrates")) << error.what();
  ::close(other);
  EXPECT_EQ(db.migrate(five_migrations(), wait_7s()).steps.size(), 5U);
}

// SQLite gives up after busy_timeout, and all begins anew until lock_timeout.
TEST_F(TimeOfMigrations, EndsTheWaitForTheWriteLockOfAnotherProcess) {
  Database db = open();
  ForeignConnection other(path_);
  other.run("BEGIN IMMEDIATE");
  MigratingByTheClock migrating(db, five_migrations(), wait_7s());
  const ManualClock::time_point begin = clock_.now();
  advance_until_it_ends(migrating);
  EXPECT_GE(clock_.now() - begin, 7s);
  EXPECT_THROW(static_cast<void>(migrating.report()), BusyError);
  other.run("COMMIT");
  EXPECT_EQ(db.migrate(five_migrations(), wait_7s()).steps.size(), 5U);
}

TEST_F(TimeOfMigrations, IsNotUpWhenTheWriteLockComesFree) {
  Database db = open();
  ForeignConnection other(path_);
  other.run("BEGIN IMMEDIATE");
  MigratingByTheClock migrating(db, five_migrations(), wait_7s());
  for (milliseconds waited = 0ms; waited < 5s; waited += 100ms) {
    clock_.await_sleeping(1);
    clock_.advance(100ms);
  }
  other.run("COMMIT");
  advance_until_it_ends(migrating);
  EXPECT_EQ(migrating.report().steps.size(), 5U);
}

// The other thread has the lock of migrations; whoever waits for that looks again with time.
TEST_F(TimeOfMigrations, LetsAnotherThreadSeeThatAllIsDone) {
  Database db = open();
  std::latch is_migrating(1);
  std::latch is_waited_for(1);
  bool has_come = false;
  MigrateOptions options = wait_7s();
  options.on_progress = [&](const MigrationProgress&) {
    if (std::exchange(has_come, true)) return;
    is_migrating.count_down();
    is_waited_for.wait();
  };
  MigratingByTheClock first(db, five_migrations(), options);
  is_migrating.wait();
  MigratingByTheClock second(db, five_migrations(), wait_7s());
  clock_.await_sleeping(1);
  is_waited_for.count_down();
  EXPECT_EQ(first.report().steps.size(), 5U);
  advance_until_it_ends(second);
  EXPECT_EQ(second.report().steps.size(), 0U);
  EXPECT_EQ(second.report().to, 5);
}

// The copy needs a reader as well.
TEST_F(TimeOfMigrations, IsThatOfTheMigrationWhenTheCopyWaitsForAReader) {
  Database db = open(1, 0ms);
  std::unique_ptr<Snapshot> held;
  MigrateOptions options = wait_7s();
  options.backup_folder = folder_.path();
  std::latch is_copying(1);
  std::latch is_held(1);
  bool has_come = false;
  options.on_progress = [&](const MigrationProgress&) {
    if (std::exchange(has_come, true)) return;
    is_copying.count_down();
    is_held.wait();
  };
  MigratingByTheClock migrating(db, five_migrations(), options);
  is_copying.wait();
  held.reset(new Snapshot(db.snapshot()));
  is_held.count_down();
  while (!migrating.has_ended() && clock_.sleeping() == 0) std::this_thread::yield();
  held.reset();
  EXPECT_EQ(migrating.report().steps.size(), 5U);
}

// What has been done is not held up by those who want the lane next.
TEST_F(TimeOfMigrations, IsNotNeededOnceAllIsDone) {
  Database db = open();
  std::latch has_migrated(1);
  std::atomic<bool> is_held = false;
  std::jthread next;
  MigrateOptions options;
  options.on_progress = [&](const MigrationProgress& now) {
    if (now.step.version != 5 || now.phase != MigrationPhase::committing) return;
    next = std::jthread([&] {
      const Transaction holder = db.begin();
      is_held = true;
      has_migrated.wait();
    });
    testing::await_waiting(db, 1);
  };
  MigratingByTheClock migrating(db, five_migrations(), options);
  while (!is_held) std::this_thread::yield();
  EXPECT_EQ(migrating.report().steps.size(), 5U);  // by a clock that nobody advances, it would wait for ever
  has_migrated.count_down();
}

}  // namespace
}  // namespace sqlane
