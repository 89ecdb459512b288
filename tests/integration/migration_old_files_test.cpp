#include <chrono>
#include <string>
#include <utility>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/migrating.hpp"

// Migrations of files that other programs have made, or older ones.

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::kAlone;
using testing::mentions;
using testing::Migrating;
using testing::MigratingFile;
using testing::only;

// SQLite's twelve steps, but for those about views and triggers. https://sqlite.org/lang_altertable.html
constexpr const char* kRebuild =
    "CREATE TABLE new_note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, more TEXT);"
    "INSERT INTO new_note (id, title) SELECT id, title FROM note; DROP TABLE note;"
    "ALTER TABLE new_note RENAME TO note;";

Migrations with_a_view(const std::string& second) {
  Migrations migrations = only(
      "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT); CREATE TABLE tag (note, name);"
      "CREATE VIEW titles AS SELECT title FROM note;"
      "CREATE TRIGGER tag_note AFTER INSERT ON tag BEGIN UPDATE note SET title = new.name WHERE id = new.note; END;"
      "INSERT INTO note VALUES (1, 'first');");
  migrations.add({.version = 2, .name = "second", .up = second});
  return migrations;
}

TEST_P(Migrating, RebuildsATableThatAViewAndATriggerName) {
  db_.migrate(with_a_view(std::string("PRAGMA legacy_alter_table = ON;") + kRebuild));
  db_.execute("INSERT INTO tag VALUES (1, 'tagged')");
  EXPECT_EQ(db_.query_one<std::string>("SELECT title FROM titles"), "tagged");
}

TEST_P(Migrating, SaysHowToRebuildATableThatAViewNames) {
  const auto error = error_of<MigrationError>([&] { db_.migrate(with_a_view(kRebuild)); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_TRUE(mentions(error, "error in ")) << error.what();
  EXPECT_TRUE(mentions(error, "drop this one before, and make it again after")) << error.what();
  EXPECT_TRUE(mentions(error, "PRAGMA legacy_alter_table = ON")) << error.what();
}

TEST_P(Migrating, KeepsAPragmaOfOneStepFromTheNext) {
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    Database db = GetParam() ? Database::in_memory()
                             : Database::open(folder_ / (atomicity == Atomicity::each ? "each.db" : "all.db"));
    int in_the_next = -1;
    Migrations migrations = with_a_view(std::string("PRAGMA legacy_alter_table = ON;") + kRebuild);
    migrations.add({.version = 3, .name = "third", .up = [&](Transaction& tx) {
                      in_the_next = tx.query_one<int>("PRAGMA legacy_alter_table");
                    }});
    db.migrate(migrations, {.atomicity = atomicity});
    EXPECT_EQ(in_the_next, 0);
  }
}

TEST_P(Migrating, RefusesAtOnceWhatWouldWaitForItsOwnConnections) {
  for (const std::string pragma : {"journal_mode = DELETE", "locking_mode = EXCLUSIVE", "page_size = 8192"}) {
    for (const std::string mark : {"", kAlone}) {
      const auto error = error_of<MigrationError>([&] { db_.migrate(only(mark + "PRAGMA " + pragma)); });
      EXPECT_EQ(error.problem(), MigrationProblem::malformed) << error.what();
      EXPECT_TRUE(mentions(error, "remove it")) << error.what();
      EXPECT_FALSE(mentions(error, "no-transaction")) << error.what();
    }
  }
}

TEST_P(Migrating, DoesNotWaitForItsOwnConnectionsInAFunction) {
  Migrations migrations = only("CREATE TABLE first (id)");
  migrations.add({.version = 2, .name = "second", .up = [](Transaction& tx) {
                    EXPECT_THROW(tx.execute("PRAGMA journal_mode = DELETE"), Error);
                    tx.execute("PRAGMA locking_mode = EXCLUSIVE");
                    tx.execute("INSERT INTO first VALUES (1)");
                  }});
  migrations.add({.version = 3, .name = "third", .up = "INSERT INTO first VALUES (2)"});
  EXPECT_EQ(db_.migrate(migrations, {.lock_timeout = std::chrono::milliseconds(0)}).to, 3);
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM first"), 2);
  EXPECT_EQ(db_.query_one<std::string>("PRAGMA journal_mode"), "wal");
}

TEST_P(Migrating, AppliesCommentsAlone) {
  for (const std::string mark : {"", kAlone}) {
    Database db = GetParam() ? Database::in_memory() : Database::open(folder_ / (mark.empty() ? "a.db" : "b.db"));
    const Migrations migrations = only(mark + "-- Is done by the program now.\n", mark + "/* likewise */");
    const MigrationReport report = db.migrate(migrations);
    EXPECT_EQ(report.to, 1);
    EXPECT_TRUE(report.steps.at(0).statements.empty());
    EXPECT_EQ(db.migrate(migrations, {.target = 0}).to, 0);
  }
}

// Before strings in double quotes were refused, each of these was made with some.
class MigratingOldStrings : public MigratingFile {
 protected:
  MigratingOldStrings() {
    ForeignConnection old(path_);
    for (const char* const sql :
         {"CREATE TABLE note (title TEXT CHECK (title <> \"bad\"))", "CREATE TABLE seen (what TEXT, rest TEXT)",
          "CREATE INDEX titles ON note (title) WHERE title <> \"none\"",
          "CREATE VIEW texts AS SELECT title FROM note WHERE title = \"text\"",
          "CREATE TRIGGER see AFTER INSERT ON note BEGIN INSERT INTO seen (what) VALUES (\"seen\"); END"}) {
      old.run(sql);
    }
  }

  // The database after `statements`; an error where one fails.
  Database migrated(MigrationBody statements) {
    Database db = Database::open(path_);
    Migrations migrations = only("SELECT 1");
    baseline(db, migrations, 1);
    migrations.add({.version = 2, .name = "second", .up = std::move(statements)});
    db.migrate(migrations);
    return db;
  }
};

TEST_F(MigratingOldStrings, AltersOtherTables) {
  const Database db = migrated(
      "ALTER TABLE seen DROP COLUMN rest; ALTER TABLE seen RENAME COLUMN what TO that;"
      "ALTER TABLE seen RENAME TO looked; ALTER TABLE looked ADD COLUMN at TEXT;");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM pragma_table_info('looked') WHERE name IN ('that', 'at')"), 2);
}

TEST_F(MigratingOldStrings, Vacuums) { migrated(std::string(kAlone) + "VACUUM"); }

TEST_F(MigratingOldStrings, UsesTriggersAndViews) {
  const Database db = migrated("INSERT INTO note VALUES ('text'); CREATE TABLE copied AS SELECT * FROM texts;");
  EXPECT_EQ(db.query_one<std::string>("SELECT what FROM seen"), "seen");
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM copied"), "text");
}

TEST_F(MigratingOldStrings, UsesThemInAFunction) {
  const Database db = migrated([](Transaction& tx) {
    tx.execute("INSERT INTO note VALUES (?)", "text");
    tx.execute("ALTER TABLE seen RENAME TO looked");
  });
  EXPECT_EQ(db.query_one<std::string>("SELECT what FROM looked"), "seen");
}

TEST_F(MigratingOldStrings, TakesANameInAStepsOwnStatementsForAName) {
  for (const std::string sql :
       {"UPDATE seen SET what = \"text\"", "CREATE INDEX i ON seen (what) WHERE what = \"text\"",
        "ALTER TABLE seen RENAME TO looked; UPDATE looked SET what = \"text\""}) {
    const auto error = error_of<MigrationError>([&] { migrated(sql); });
    EXPECT_TRUE(mentions(error, "no such column: ", "text")) << error.what();
    EXPECT_TRUE(mentions(error, "a string is written as 'text'")) << error.what();
  }
}

TEST_F(MigratingOldStrings, AreNamedWhereTheyAreUsedAfterwards) {
  Database db = Database::open(path_);
  const auto error = error_of<SchemaError>([&] { db.execute("INSERT INTO note VALUES ('a')"); });
  EXPECT_TRUE(mentions(error, "taken for a string")) << error.what();
  EXPECT_TRUE(mentions(error, "again with 'seen'")) << error.what();
}

}  // namespace
}  // namespace sqlane
