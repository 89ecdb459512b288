#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_process.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

// Other processes, while one that has the file for itself (Locking::exclusive) migrates it.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ChildProcess;
using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::ForeignProcess;
using testing::LinePipe;
using testing::mentions;
using testing::state_of;
using testing::TemporaryFolder;

constexpr const char* kBusy = "5 ";

// Each process is there before this one opens anything.
class MigratingExclusively : public ::testing::TestWithParam<Atomicity> {
 protected:
  ~MigratingExclusively() override { EXPECT_EQ(testing::count_open_files(), files_before_); }

  [[nodiscard]] static Options exclusive() { return {.locking = Locking::exclusive, .busy_timeout = 0ms}; }

  // Plain SQLite finds it locked, to read and to write.
  void expect_shell_kept_out() {
    EXPECT_EQ(shell_.run("SELECT count(*) FROM sqlite_master"), kBusy);
    EXPECT_EQ(shell_.run("BEGIN IMMEDIATE"), kBusy);
  }
  // What another program that migrates is told.
  std::string migrate_elsewhere() {
    other_.tell("migrate");
    return other_.hear();
  }

  TemporaryFolder folder_;
  const fs::path path_ = folder_ / "app.db";
  ForeignProcess shell_{path_};
  ChildProcess other_{[this](const LinePipe& from_parent, const LinePipe& to_parent) {
    std::string line;
    while (from_parent.read(line)) {
      try {
        Database db = Database::open(path_, {.busy_timeout = 0ms});
        const MigrationReport report = db.migrate(five_migrations(), {.lock_timeout = 0ms});
        to_parent.write(std::to_string(report.steps.size()) + " steps to " + std::to_string(report.to));
      } catch (const Error& error) {
        to_parent.write(error.what());
      }
    }
  }};
  const std::size_t files_before_ = testing::count_open_files();
};

INSTANTIATE_TEST_SUITE_P(Atomicity, MigratingExclusively, ::testing::Values(Atomicity::each, Atomicity::all),
                         [](const auto& kind) { return kind.param == Atomicity::each ? "Each" : "All"; });

// Before each statement, between two steps, and while the writer is replaced as well.
TEST_P(MigratingExclusively, KeepsOthersOutFromOpeningToClosing) {
  shell_.open();
  int asked = 0;
  bool is_open = false;
  Options options = exclusive();
  options.on_statement = [&](const ExecutedStatement&) {
    if (!is_open) return;
    expect_shell_kept_out();
    ++asked;
  };
  {
    Database db = Database::open(path_, options);
    is_open = true;
    expect_shell_kept_out();
    std::set<MigrationPhase> phases;
    db.migrate(
        five_migrations(),
        {.atomicity = GetParam(), .backup_folder = folder_.path(), .on_progress = [&](const MigrationProgress& now) {
           expect_shell_kept_out();
           if (!phases.insert(now.phase).second) return;
           const std::string told = migrate_elsewhere();
           EXPECT_TRUE(mentions(told, "another process keeps it locked")) << told;
         }});
    expect_shell_kept_out();
    EXPECT_EQ(phases.size(), 4U);
    EXPECT_EQ(state_of(db), expected_state(5));
    is_open = false;
  }
  EXPECT_GT(asked, 50);
  EXPECT_EQ(shell_.run("PRAGMA user_version"), "0 5");
  EXPECT_EQ(migrate_elsewhere(), "0 steps to 5");
}

TEST_P(MigratingExclusively, KeepsOthersOutAfterAStepThatFailed) {
  shell_.open();
  Database db = Database::open(path_, exclusive());
  Migrations migrations = five_migrations();
  migrations.add({.version = 6, .name = "wrong", .up = "CREATE TABLE more (id); DELETE FROM nowhere;"});
  EXPECT_THROW(db.migrate(migrations, {.atomicity = GetParam()}), MigrationError);
  expect_shell_kept_out();
  EXPECT_EQ(db.migrate(five_migrations(), {.atomicity = GetParam()}).to, 5);
  expect_shell_kept_out();
  db.close();
  EXPECT_EQ(shell_.run("PRAGMA user_version"), "0 5");
}

TEST_P(MigratingExclusively, KeepsOthersOutAroundAStepWithoutATransaction) {
  shell_.open();
  Migrations migrations;
  migrations.add({.version = 1,
                  .name = "alone",
                  .up = "-- sqlane: no-transaction\nCREATE TABLE a (id); VACUUM; INSERT INTO a VALUES (1);"});
  Database db = Database::open(path_, exclusive());
  int calls = 0;
  db.migrate(migrations, {.on_progress = [&](const MigrationProgress&) {
               ++calls;
               expect_shell_kept_out();
             }});
  EXPECT_EQ(calls, 4);
  expect_shell_kept_out();
  EXPECT_EQ(db.query_one<int>("SELECT id FROM a"), 1);
}

// The lock of migrations is another file, whose closing must not let go of the database's own.
TEST_P(MigratingExclusively, KeepsOthersOutWhenThereIsNothingToDo) {
  shell_.open();
  Database db = Database::open(path_, exclusive());
  db.migrate(five_migrations());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(db.migrate(five_migrations(), {.atomicity = GetParam()}).steps.empty());
    expect_shell_kept_out();
  }
  EXPECT_FALSE(fs::exists(folder_ / "app.db-migration"));
}

// With Locking::shared, whoever has the write lock is waited for.

class MigratingBesideAnotherProgram : public MigratingExclusively {};

INSTANTIATE_TEST_SUITE_P(Atomicity, MigratingBesideAnotherProgram, ::testing::Values(Atomicity::each, Atomicity::all),
                         [](const auto& kind) { return kind.param == Atomicity::each ? "Each" : "All"; });

TEST_P(MigratingBesideAnotherProgram, BeginsAgainUntilTheWriteLockIsFree) {
  shell_.open();
  bool is_open = false;
  int begun = 0;
  Options options{.busy_timeout = 0ms};
  options.on_statement = [&](const ExecutedStatement& statement) {
    if (statement.sql() != "BEGIN IMMEDIATE" || !is_open || ++begun != 3) return;
    EXPECT_EQ(shell_.run("COMMIT"), "0 ");
  };
  Database db = Database::open(path_, options);
  EXPECT_EQ(shell_.run("BEGIN IMMEDIATE"), "0 ");
  is_open = true;
  const MigrationReport report = db.migrate(five_migrations(), {.atomicity = GetParam()});
  EXPECT_GE(begun, 3);
  EXPECT_EQ(report.steps.size(), 5U);
  EXPECT_EQ(state_of(db), expected_state(5));
}

TEST_P(MigratingBesideAnotherProgram, IsABusyErrorOnceTheTimeIsUp) {
  shell_.open();
  Database db = Database::open(path_, {.busy_timeout = 0ms});
  EXPECT_EQ(shell_.run("BEGIN IMMEDIATE"), "0 ");
  EXPECT_THROW(db.migrate(five_migrations(), {.atomicity = GetParam(), .lock_timeout = 0ms}), BusyError);
  EXPECT_FALSE(fs::exists(folder_ / "app.db-migration"));
  EXPECT_EQ(shell_.run("COMMIT"), "0 ");
  EXPECT_EQ(db.migrate(five_migrations(), {.atomicity = GetParam(), .lock_timeout = 0ms}).to, 5);
}

// migrating                        another program
// copies, begins, has to end
//                                  writes a row
// begins again
TEST_P(MigratingBesideAnotherProgram, CopiesWhatIsThereWhenItBeginsAgain) {
  shell_.open();
  bool has_failed = false;
  Migrations migrations = five_migrations();
  migrations.add({.version = 6, .name = "imports", .up = [&](Transaction&) {
                    if (!std::exchange(has_failed, true)) throw BusyError("the other database is locked");
                  }});
  bool has_written = false;
  Options options;
  options.on_statement = [&](const ExecutedStatement& statement) {
    if (statement.sql() != "BEGIN IMMEDIATE" || !has_failed || std::exchange(has_written, true)) return;
    EXPECT_EQ(shell_.run("INSERT INTO place (id, name) VALUES (3, 'anywhere')"), "0 ");
  };
  Database db = Database::open(path_, options);
  db.migrate(five_migrations());
  const MigrationReport report = db.migrate(migrations, {.atomicity = GetParam(), .backup_folder = folder_.path()});
  EXPECT_TRUE(has_written);
  EXPECT_EQ(report.steps.size(), 1U);
  const Database copy = Database::open(report.backup, {.mode = OpenMode::read_only});
  EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM place"), 3) << "the row was there before the migration";
}

}  // namespace
}  // namespace sqlane
