#include <filesystem>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/five_migrations.hpp"
#include "support/migrating.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::mentions;
using testing::only;
using testing::state_of;
using testing::TemporaryFolder;

// What migrate() says is what has become of the file.
class MigrationOutcome : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  fs::path file_ = folder_ / "app.db";
};

TEST_F(MigrationOutcome, IsSuccessWhenTheDatabaseIsClosedDuringTheLastStep) {
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    const fs::path file = folder_ / (atomicity == Atomicity::each ? "each.db" : "all.db");
    Database db = Database::open(file);
    MigrateOptions options{.atomicity = atomicity};
    options.on_progress = [&](const MigrationProgress& progress) {
      if (progress.phase != MigrationPhase::committing || progress.step.version != 5) return;
      std::thread([&] { static_cast<void>(db.drain(0ms)); }).join();
    };
    const MigrationReport report = db.migrate(five_migrations(), options);
    EXPECT_EQ(report.steps.size(), 5U);
    EXPECT_EQ(report.to, 5);
    EXPECT_THROW(db.execute("DELETE FROM visit"), ClosedError);
    db.close();
    EXPECT_EQ(state_of(Database::open(file)), expected_state(5));
  }
}

TEST_F(MigrationOutcome, SaysHowFarItCameWhenTheDatabaseIsClosedBeforeTheLastStep) {
  Database db = Database::open(file_);
  MigrateOptions options;
  options.on_progress = [&](const MigrationProgress& progress) {
    if (progress.phase != MigrationPhase::committing || progress.step.version != 3) return;
    std::thread([&] { static_cast<void>(db.drain(0ms)); }).join();
  };
  EXPECT_THROW(db.migrate(five_migrations(), options), ClosedError);
  db.close();
  EXPECT_EQ(state_of(Database::open(file_)), expected_state(3));
}

TEST_F(MigrationOutcome, OfGoingDownIsTheVersionBelow) {
  Database db = Database::open(file_);
  db.migrate(five_migrations());
  EXPECT_EQ(db.migrate(five_migrations(), {.target = 4}).to, 4);
  EXPECT_EQ(db.migrate(five_migrations(), {.target = 1, .atomicity = Atomicity::all}).to, 1);
  EXPECT_EQ(db.migrate(five_migrations(), {.target = 0}).to, 0);
}

TEST_F(MigrationOutcome, OfAFailureLeavesNoLogBehindWhenTheDatabaseIsClosed) {
  Database db = Database::open(file_);
  db.execute("CREATE TABLE kept (id INTEGER)");
  EXPECT_THROW(db.migrate(five_migrations()), MigrationError);  // unmanaged: nothing was run
  baseline(db, five_migrations(), 0);
  Migrations failing = five_migrations();
  failing.add({.version = 6, .name = "sixth", .up = "INSERT INTO nowhere VALUES (1)"});
  EXPECT_THROW(db.migrate(failing), MigrationError);
  db.close();
  EXPECT_FALSE(fs::exists(testing::beside(file_, "-wal")));
}

TEST_F(MigrationOutcome, OfADiskThatIsFullSaysWhatIsLeft) {
  Database db = Database::in_memory({.memory_limit = 2U << 20U});
  const Migrations large = only("CREATE TABLE t AS SELECT zeroblob(4000000) AS data");
  const auto error = error_of<DiskFullError>([&] { db.migrate(large); });
  EXPECT_EQ(error.code(), SQLITE_FULL);
  EXPECT_TRUE(mentions(error, "stays at version 0")) << error.what();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM sqlite_master"), 0);
}

// A step without a transaction may turn foreign keys off for itself.

constexpr const char* kKeysOff =
    "-- sqlane: no-transaction\n"
    "PRAGMA foreign_keys = OFF;\n"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY);\n"
    "CREATE TABLE child (parent INTEGER REFERENCES parent);\n"
    "INSERT INTO child VALUES (7);\n";

TEST_F(MigrationOutcome, IsDirtyWhenAStepWithoutForeignKeysLeavesRowsThatReferToNothing) {
  Database db = Database::open(file_);
  const auto error = error_of<MigrationError>([&] { db.migrate(only(kKeysOff)); });
  EXPECT_EQ(error.problem(), MigrationProblem::foreign_keys);
  EXPECT_TRUE(mentions(error, "child row 1 to no row of parent")) << error.what();
  EXPECT_TRUE(mentions(error, "baseline()")) << error.what();
  EXPECT_EQ(error_of<MigrationError>([&] { db.migrate(only(kKeysOff)); }).problem(), MigrationProblem::dirty);
}

TEST_F(MigrationOutcome, IsSuccessWhenAStepWithoutForeignKeysLeavesThemWhole) {
  Database db = Database::open(file_);
  db.migrate(only(kKeysOff + std::string("INSERT INTO parent VALUES (7);")));
  EXPECT_THROW(db.execute("INSERT INTO child VALUES (8)"), ConstraintError);  // they hold again
}

TEST_F(MigrationOutcome, IsNothingWhenTheListenerThrowsBeforeAStepWithoutATransaction) {
  Database db = Database::open(file_);
  MigrateOptions options;
  options.on_progress = [](const MigrationProgress&) { throw std::runtime_error("the listener's"); };
  EXPECT_THROW(db.migrate(only(kKeysOff), options), std::runtime_error);
  const MigrationStatus status = migration_status(db, only(kKeysOff));
  EXPECT_FALSE(status.refusal);
  EXPECT_TRUE(status.applied.empty());
}

}  // namespace
}  // namespace sqlane
