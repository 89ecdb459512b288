#include <string>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::followed_by;
using testing::ForeignConnection;
using testing::kAlone;
using testing::mentions;
using testing::Migrating;
using testing::MigratingFile;
using testing::only;
using testing::state_of;

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

// Two rows of child refer to nothing, as does one of kept, which has no rowid.
constexpr const char* kPast =
    "-- sqlane: no-key-check\n"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
    "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent, other INTEGER REFERENCES parent);"
    "CREATE TABLE kept (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent) WITHOUT ROWID;"
    "INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1, 1), (2, 8, 1), (3, 2, 9);"
    "INSERT INTO kept VALUES (1, 7);";

class MigratingWithAPast : public Migrating {
 protected:
  Database& past() {
    db_.migrate(only(kPast));
    return db_;
  }
  MigrationReport migrate(Migration second) {
    Migrations migrations = only(kPast);
    second.version = 2;
    second.name = "second";
    migrations.add(std::move(second));
    return past().migrate(migrations);
  }
  [[nodiscard]] MigrationError refusal_of(Migration second) {
    return error_of<MigrationError>([&] { migrate(std::move(second)); });
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, MigratingWithAPast, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Memory" : "File"; });

TEST_P(MigratingWithAPast, WarnsOfRowsThatReferredToNothingBefore) {
  const MigrationReport report = migrate({.up = "CREATE TABLE more (id)"});
  EXPECT_EQ(report.to, 2);
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_TRUE(report.warnings[0].starts_with(
      "3 rows refer to nothing, as they did before (child row 2 to no row of parent, child row 3 to no row of parent, "
      "kept to no row of parent)"))
      << report.warnings[0];
}

TEST_P(MigratingWithAPast, WarnsOfNothingOnceTheyAreMended) {
  EXPECT_TRUE(migrate({.up = "UPDATE child SET parent = 1, other = 1; DELETE FROM kept"}).warnings.empty());
}

TEST_P(MigratingWithAPast, RefusesOneMoreRowThatRefersToNothing) {
  const MigrationError error = refusal_of({.up = "INSERT INTO child VALUES (4, 5, 1)"});
  EXPECT_EQ(error.problem(), MigrationProblem::foreign_keys);
  EXPECT_TRUE(mentions(error, "1 row would refer to nothing (child row 4 to no row of parent)")) << error.what();
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM child"), 3);
}

TEST_P(MigratingWithAPast, RefusesToMendOneRowAndBreakAnother) {
  EXPECT_EQ(refusal_of({.up = "UPDATE child SET parent = 1 WHERE id = 2; UPDATE child SET parent = 6 WHERE id = 1"})
                .problem(),
            MigrationProblem::foreign_keys);
  EXPECT_EQ(refusal_of({.up = "INSERT INTO kept VALUES (2, 7)"}).problem(), MigrationProblem::foreign_keys);
  EXPECT_EQ(refusal_of({.up = "INSERT INTO child VALUES (4, 8, 1)"}).problem(), MigrationProblem::foreign_keys)
      << "another row of the same value";
}

TEST_P(MigratingWithAPast, KnowsTheRowsOfARebuiltTableByTheirValues) {
  const MigrationReport report =
      migrate({.up = "CREATE TABLE new_child (parent TEXT REFERENCES parent, other INTEGER REFERENCES parent);"
                     "INSERT INTO new_child SELECT parent, other FROM child ORDER BY id DESC;"
                     "DROP TABLE child; ALTER TABLE new_child RENAME TO child"});
  EXPECT_EQ(report.warnings.size(), 1U);
}

// Rows of kept are told apart without rowids.
TEST_P(MigratingWithAPast, KnowsTheRowsOfATableThatIsGivenRowids) {
  const std::string rebuild =
      "CREATE TABLE new_kept (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parent);"
      "INSERT INTO new_kept SELECT * FROM kept; DROP TABLE kept; ALTER TABLE new_kept RENAME TO kept;";
  EXPECT_TRUE(
      mentions(refusal_of({.up = rebuild + "INSERT INTO kept VALUES (2, 6)"}), "(kept row 2 to no row of parent)"));
  EXPECT_TRUE(mentions(refusal_of({.up = rebuild + "UPDATE kept SET parent = 6"}), "(kept row 1 to no row of parent)"));
  EXPECT_EQ(migrate({.up = rebuild}).warnings.size(), 1U);
}

TEST_P(MigratingWithAPast, KnowsTheRowsOfATableThatLosesItsRowids) {
  const std::string rebuild =
      "CREATE TABLE new_child (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parent, other INTEGER REFERENCES parent) "
      "WITHOUT ROWID;"
      "INSERT INTO new_child SELECT * FROM child; DROP TABLE child; ALTER TABLE new_child RENAME TO child;";
  EXPECT_TRUE(
      mentions(refusal_of({.up = rebuild + "INSERT INTO child VALUES (4, 6, NULL)"}), "1 row would refer to nothing"));
  EXPECT_EQ(migrate({.up = rebuild}).warnings.size(), 1U);
}

TEST_P(MigratingWithAPast, RefusesToMendOneRowWithoutRowidAndBreakAnother) {
  EXPECT_TRUE(
      mentions(refusal_of({.up = "INSERT INTO kept VALUES (2, 1); UPDATE kept SET parent = 1 WHERE id = 1; UPDATE kept "
                                 "SET parent = 6 WHERE id = 2"}),
               "1 row would refer to nothing (kept to no row of parent)"));
}

// As SQLite does: by the parent's collation and affinity, whatever the child's are.
TEST_P(Migrating, FindsWhatRefersToNothingInATableWithoutRowids) {
  Migrations migrations = only(
      "-- sqlane: no-key-check\n"
      "CREATE TABLE parent (code TEXT COLLATE NOCASE, part INTEGER, PRIMARY KEY (code, part));"
      "INSERT INTO parent VALUES ('a', 1), ('1', 2);"
      "CREATE TABLE child (id INTEGER PRIMARY KEY, code, part TEXT, gone REFERENCES nowhere, "
      "FOREIGN KEY (code, part) REFERENCES parent) WITHOUT ROWID;"
      "INSERT INTO child VALUES (1, 'A', '1', NULL), (2, 1, '2', NULL), (3, 'A', '01', NULL), (4, NULL, '9', NULL), "
      "(5, 'b', '1', NULL), (6, 'A', '3', NULL), (7, NULL, NULL, 5)");
  migrations.add({.version = 2, .name = "second", .up = "CREATE TABLE more (id)"});
  const MigrationReport report = db_.migrate(migrations);
  ASSERT_EQ(report.warnings.size(), 1U);
  const int found = db_.query_one<int>("SELECT count(*) FROM pragma_foreign_key_check('child')");
  EXPECT_TRUE(mentions(report.warnings.front(), std::to_string(found) + " rows refer to nothing"))
      << report.warnings.front();
}

TEST_P(MigratingWithAPast, KnowsTheRowsOfARenamedTable) {
  EXPECT_EQ(migrate({.up = "ALTER TABLE child RENAME TO kid"}).warnings.size(), 1U);
  Migrations migrations = only(kPast);
  migrations.add({.version = 2, .name = "second", .up = "ALTER TABLE child RENAME TO kid"});
  migrations.add({.version = 3, .name = "third", .up = "ALTER TABLE parent RENAME TO elder"});
  EXPECT_EQ(db_.migrate(migrations).warnings.size(), 1U);
  migrations.add({.version = 4, .name = "fourth", .up = "ALTER TABLE kid RENAME TO a; UPDATE a SET other = 5"});
  EXPECT_THROW(db_.migrate(migrations), MigrationError);
}

TEST_P(MigratingWithAPast, WarnsOfThemOnceForAllStepsInOneTransaction) {
  Migrations migrations = only(kPast);
  migrations.add({.version = 2, .name = "second", .up = "CREATE TABLE second (id)"});
  migrations.add({.version = 3, .name = "third", .up = "CREATE TABLE third (id)"});
  EXPECT_EQ(past().migrate(migrations, {.atomicity = Atomicity::all}).warnings.size(), 1U);
  EXPECT_TRUE(db_.migrate(migrations).warnings.empty()) << "nothing was checked";
}

TEST_P(MigratingWithAPast, WarnsOfThemAfterAFunction) {
  EXPECT_EQ(migrate({.up = [](Transaction& tx) { tx.execute("UPDATE child SET id = id + 10"); }}).warnings.size(), 1U);
}

TEST_P(MigratingWithAPast, WarnsOfThemAfterAStepWithoutATransactionThatTurnsKeysOff) {
  const std::string off = std::string(kAlone) + "PRAGMA foreign_keys = OFF; ";
  EXPECT_EQ(migrate({.up = off + "UPDATE child SET id = id + 10"}).warnings.size(), 1U);
}

TEST_P(MigratingWithAPast, RefusesWhatAStepWithoutATransactionHasBroken) {
  EXPECT_EQ(refusal_of({.up = std::string(kAlone) + "PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (4, 5, 1)"})
                .problem(),
            MigrationProblem::foreign_keys);
}

TEST_P(MigratingWithAPast, ChecksTheTablesAloneThatAStepNames) {
  EXPECT_EQ(migrate({.up = "-- sqlane: check-keys parent, Kept\nINSERT INTO child VALUES (4, 5, 1)"}).warnings.size(),
            1U);
  Migrations migrations = only(kPast);
  migrations.add(
      {.version = 2, .name = "second", .up = "-- sqlane: check-keys parent, Kept\nINSERT INTO child VALUES (4, 5, 1)"});
  migrations.add({.version = 3,
                  .name = "third",
                  .up = [](Transaction& tx) { tx.execute("INSERT INTO child VALUES (5, 5, 1)"); },
                  .check_keys_of = std::vector<std::string>{}});
  EXPECT_EQ(db_.migrate(migrations).to, 3);
  migrations.add(
      {.version = 4, .name = "fourth", .up = "-- sqlane: check-keys child\nINSERT INTO child VALUES (6, 5, 1)"});
  EXPECT_THROW(db_.migrate(migrations), MigrationError);
}

TEST_P(MigratingWithAPast, RefusesToCheckATableThatIsNotThere) {
  const MigrationError error = refusal_of({.up = "-- sqlane: check-keys chlid\nDELETE FROM parent"});
  EXPECT_EQ(error.file(), "0002_second.sql");
  EXPECT_TRUE(mentions(error, "there is no table chlid whose foreign keys could be checked")) << error.what();
}

TEST_P(Migrating, ReadsTheValuesOfATableWhoseColumnsAreCalledAsTheRowid) {
  Migrations migrations = only(
      "-- sqlane: no-key-check\nCREATE TABLE parent (id INTEGER PRIMARY KEY);"
      "CREATE TABLE \"a \"\"child\" (rowid TEXT, _rowid_ TEXT, \"its parent\" INTEGER REFERENCES parent);"
      "INSERT INTO \"a \"\"child\" VALUES ('x', 'y', 8)");
  migrations.add({.version = 2, .name = "second", .up = "SELECT 1"});
  EXPECT_EQ(db_.migrate(migrations).warnings.size(), 1U);
}

// A key that refers to columns which are no key.
constexpr const char* kMismatch =
    "-- sqlane: no-key-check\n"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT);"
    "CREATE TABLE child (code TEXT REFERENCES parent (code)); CREATE TABLE other (parent REFERENCES parent);"
    "INSERT INTO child VALUES ('gone');";

TEST_P(Migrating, WarnsOfAKeyThatNeverMatchedAndChecksTheOthers) {
  Migrations migrations = only(kMismatch);
  migrations.add({.version = 2, .name = "second", .up = "CREATE TABLE more (id)"});
  const MigrationReport report = db_.migrate(migrations);
  EXPECT_EQ(report.to, 2);
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_TRUE(mentions(report.warnings[0], "(code) of child refers to (code) of parent, which is no key there"))
      << report.warnings[0];
  EXPECT_TRUE(mentions(report.warnings[0], "make a UNIQUE index")) << report.warnings[0];
  migrations.add({.version = 3, .name = "third", .up = "INSERT INTO other VALUES (5)"});
  EXPECT_THROW(db_.migrate(migrations), MigrationError);
}

TEST_P(Migrating, MendsAKeyThatNeverMatched) {
  Migrations migrations = only(kMismatch);
  migrations.add({.version = 2, .name = "second", .up = "CREATE UNIQUE INDEX parent_code ON parent (code)"});
  const MigrationReport report = db_.migrate(migrations);
  EXPECT_EQ(report.to, 2);
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_TRUE(mentions(report.warnings[0], "1 row refers to nothing, as it did before (child row 1 ")) << "not seen";
}

TEST_P(Migrating, RefusesAKeyThatDoesNotMatch) {
  Migrations migrations = five_migrations();
  db_.migrate(migrations);
  migrations.add({.version = 6, .name = "sixth", .up = "CREATE TABLE child (note TEXT REFERENCES place)"});
  migrations.add({.version = 7, .name = "seventh", .up = "CREATE TABLE son (name TEXT REFERENCES place (area))"});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::foreign_keys);
  EXPECT_TRUE(mentions(error, "(name) of son refers to (area) of place, which is no key there")) << error.what();
  EXPECT_EQ(migration_status(db_, migrations).version, 6);
}

TEST_P(Migrating, SaysWhyAPrimaryKeyIsNotTheKeyThatIsReferredTo) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"CREATE TABLE p (a, b, PRIMARY KEY (a, b)); CREATE TABLE c (a REFERENCES p)",
       "(a) of c refers to the primary key of p, which has 2 columns"},
      {"CREATE TABLE p (a); CREATE TABLE c (a REFERENCES p)", "(a) of c refers to p, which has no primary key"},
      {"CREATE TABLE t (a); CREATE VIEW p AS SELECT a FROM t; CREATE TABLE c (a REFERENCES p (a))",
       "(a) of c refers to p, which is a view"}};
  for (const auto& [sql, reason] : cases) {
    // Rows make SQLite look for the key.
    const auto error =
        error_of<MigrationError>([&, &sql = sql] { db_.migrate(only(sql + "; INSERT INTO c VALUES (1)")); });
    EXPECT_TRUE(mentions(error, reason, "correct the key or make a UNIQUE index")) << error.what();
  }
}

TEST_F(MigratingFile, LeavesAloneWhatOthersHaveBrokenWithExclusiveLocking) {
  {
    ForeignConnection other(path_);
    other.run("CREATE TABLE child (parent REFERENCES parent); CREATE TABLE parent (id INTEGER PRIMARY KEY);");
    other.run("INSERT INTO child VALUES (5)");
  }
  Database db = Database::open(path_, {.locking = Locking::exclusive});
  const Migrations migrations = only("CREATE TABLE more (id)");
  baseline(db, migrations, 0);
  EXPECT_EQ(db.migrate(migrations).warnings.size(), 1U);
}

}  // namespace
}  // namespace sqlane
