#include <string>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::five_migrations;
using testing::mentions;
using testing::Migrating;
using testing::only;

// Taking over, and refusing.

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

class MigrationOfAFileToRead : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "app.db";
};

TEST_P(Migrating, MarksTheFileAndRefusesThatOfAnotherProgram) {
  db_.migrate(five_migrations(), {.target = 2, .application_id = 77});
  EXPECT_EQ(db_.query_one<int>("PRAGMA application_id"), 77);
  EXPECT_EQ(error_of<MigrationError>([&] { db_.migrate(five_migrations(), {.application_id = 78}); }).problem(),
            MigrationProblem::foreign);
  EXPECT_EQ(db_.migrate(five_migrations(), {.application_id = 77}).to, 5);
}

TEST_P(Migrating, MarksTheFileWhereNoStepIsLeftToDo) {
  db_.migrate(five_migrations());
  EXPECT_TRUE(db_.migrate(five_migrations(), {.application_id = 77}).steps.empty());
  EXPECT_EQ(db_.query_one<int>("PRAGMA application_id"), 77);
  EXPECT_EQ(error_of<MigrationError>([&] { db_.migrate(five_migrations(), {.application_id = 78}); }).problem(),
            MigrationProblem::foreign);
}

TEST_F(MigrationOfAFileToRead, MarksNothing) {
  Database::open(file_).migrate(five_migrations());
  {
    Database db = Database::open(file_, {.mode = OpenMode::read_only});
    EXPECT_EQ(db.migrate(five_migrations(), {.application_id = 77}).to, 5);
  }
  EXPECT_EQ(Database::open(file_).query_one<int>("PRAGMA application_id"), 0);
}

// As a GeoPackage has 10200, and many a program the number of its own schema.
TEST_P(Migrating, LeavesAloneTheVersionThatAnotherProgramKeepsInTheHeader) {
  db_.execute("CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT, area TEXT)");
  db_.execute("PRAGMA user_version = 2");
  const auto version = [&] { return db_.query_one<int>("PRAGMA user_version"); };
  Migrations migrations = only("CREATE TABLE place (id INTEGER PRIMARY KEY)");
  migrations.add({.version = 2, .name = "second", .up = "CREATE TABLE second (id)", .down = "DROP TABLE second"});
  migrations.add({.version = 3, .name = "third", .up = "CREATE TABLE third (id)", .down = "DROP TABLE third"});
  baseline(db_, migrations, 1);
  EXPECT_EQ(version(), 2);
  db_.migrate(migrations);
  EXPECT_EQ(migration_status(db_, migrations).version, 3);
  EXPECT_EQ(version(), 2) << "though the two were equal on the way";
  db_.migrate(migrations, {.target = 1});
  EXPECT_EQ(version(), 2);
}

TEST_P(Migrating, LeavesAloneAVersionThatAnotherProgramWroteAfterwards) {
  db_.migrate(five_migrations(), {.target = 3});
  EXPECT_EQ(db_.query_one<int>("PRAGMA user_version"), 3);
  db_.execute("PRAGMA user_version = 10200");
  db_.migrate(five_migrations());
  EXPECT_EQ(db_.query_one<int>("PRAGMA user_version"), 10200);
  EXPECT_EQ(migration_status(db_, five_migrations()).version, 5);
}

}  // namespace
}  // namespace sqlane
