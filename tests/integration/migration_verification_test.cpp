#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "sqlane/sqlane.hpp"
#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;

Migrations two(std::string second, std::optional<MigrationBody> second_down) {
  Migrations migrations;
  migrations.add({.version = 1,
                  .name = "create_visit",
                  .up = "CREATE TABLE visit (id INTEGER PRIMARY KEY, code TEXT)",
                  .down = "DROP TABLE visit"});
  migrations.add({.version = 2, .name = "second", .up = std::move(second), .down = std::move(second_down)});
  return migrations;
}

std::vector<std::string> sentences(const MigrationVerification& verification) {
  std::vector<std::string> all;
  for (const MigrationFinding& finding : verification.findings) {
    all.push_back(finding.sentence);
    for (const SchemaDifference& difference : finding.differences) all.push_back("  " + difference.sentence);
  }
  return all;
}

using Sentences = std::vector<std::string>;

TEST(VerifyMigrations, FindsNothingInThoseThatGoDownAndUpAgain) {
  const MigrationVerification verification = verify_migrations(testing::five_migrations());
  EXPECT_EQ(sentences(verification), Sentences());
  EXPECT_TRUE(verification.is_clean());
  EXPECT_EQ(verification.newest, 5);
  EXPECT_EQ(verification.irreversible, std::vector<std::int32_t>());
}

TEST(VerifyMigrations, FindsNothingInNone) {
  const MigrationVerification verification = verify_migrations({});
  EXPECT_TRUE(verification.is_clean());
  EXPECT_EQ(verification.newest, 0);
}

TEST(VerifyMigrations, FindsWhatADownLeavesBehind) {
  const MigrationVerification verification =
      verify_migrations(two("CREATE INDEX visit_by_code ON visit (code); ALTER TABLE visit ADD COLUMN area TEXT",
                            "ALTER TABLE visit DROP COLUMN area"));
  EXPECT_EQ(sentences(verification), (Sentences{"0002_second.down.sql does not lead back to version 1",
                                                "  index visit_by_code on visit is not expected"}));
  ASSERT_EQ(verification.findings.size(), 1U);
  EXPECT_EQ(verification.findings[0].version, 2);
  EXPECT_EQ(verification.findings[0].direction, MigrationDirection::down);
}

TEST(VerifyMigrations, GoesOnBelowADownThatDoesNotLeadBack) {
  Migrations migrations = two("CREATE TABLE other (a)", "SELECT 1");
  migrations.add({.version = 3, .name = "third", .up = "CREATE TABLE third (a)", .down = "DROP TABLE visit"});
  const MigrationVerification verification = verify_migrations(migrations);
  EXPECT_EQ(sentences(verification),
            (Sentences{"0003_third.down.sql does not lead back to version 2", "  table visit is missing",
                       "  table third is not expected", "0002_second.down.sql does not lead back to version 1",
                       "  table other is not expected"}));
}

TEST(VerifyMigrations, FindsWhatIsOtherwiseTheSecondTime) {
  // Leaves the first time's number behind in what is not part of the schema.
  Migrations migrations;
  migrations.add({.version = 1,
                  .name = "first",
                  .up =
                      [](Transaction& tx) {
                        const int times = tx.query_one<int>("PRAGMA application_id");
                        tx.execute("CREATE TABLE t (a)");
                        if (times > 0) tx.execute("CREATE TABLE u (a)");
                      },
                  .down =
                      [](Transaction& tx) {
                        tx.execute("DROP TABLE t");
                        tx.execute("PRAGMA application_id = 1");
                      },
                  .revision = "1"});
  const MigrationVerification verification = verify_migrations(migrations);
  ASSERT_EQ(verification.findings.size(), 1U);
  EXPECT_EQ(verification.findings[0].version, 1);
  EXPECT_EQ(verification.findings[0].direction, MigrationDirection::up);
  EXPECT_TRUE(mentions(verification.findings[0].sentence, "once undone, does not lead to version 1 as it was"));
  ASSERT_EQ(verification.findings[0].differences.size(), 1U);
  EXPECT_EQ(verification.findings[0].differences[0].name, "u");
}

TEST(VerifyMigrations, ListsWhatCannotBeUndoneAndTriesTheDownsBelow) {
  Migrations migrations = two("CREATE TABLE other (a)", std::nullopt);
  migrations.add({.version = 3, .name = "third", .up = "CREATE TABLE third (a)", .down = "DROP TABLE third"});
  EXPECT_EQ(verify_migrations(migrations).irreversible, std::vector<std::int32_t>{2});
  EXPECT_TRUE(verify_migrations(migrations).is_clean());

  Migrations wrong_below;
  wrong_below.add({.version = 1, .name = "first", .up = "CREATE TABLE t (a)", .down = "SELECT 1"});
  wrong_below.add({.version = 2, .name = "second", .up = "CREATE TABLE u (a)"});
  EXPECT_EQ(sentences(verify_migrations(wrong_below)),
            (Sentences{"0001_first.down.sql does not lead back to version 0", "  table t is not expected"}));
}

TEST(VerifyMigrations, FindsViewsAndTriggersThatDoNotCompile) {
  EXPECT_EQ(
      sentences(verify_migrations(two(
          "CREATE VIEW codes AS SELECT kode FROM visit;"
          "CREATE TRIGGER on_insert AFTER INSERT ON visit BEGIN UPDATE visit SET kode = 1; END;"
          "CREATE TRIGGER on_update AFTER UPDATE OF code ON visit BEGIN DELETE FROM nowhere; END;"
          "CREATE TRIGGER on_delete AFTER DELETE ON visit BEGIN SELECT old.kode; END;"
          "CREATE VIEW good AS SELECT code FROM visit;"
          "CREATE TRIGGER good_insert INSTEAD OF INSERT ON good BEGIN INSERT INTO visit (code) VALUES (new.code); END",
          "DROP VIEW good; DROP TRIGGER on_delete; DROP TRIGGER on_update; DROP TRIGGER on_insert;"
          "DROP VIEW codes"))),
      (Sentences{"view codes does not compile: no such column: kode",
                 "trigger good_insert does not compile: no such column: kode",  // through on_insert
                 "trigger on_delete does not compile: no such column: old.kode",
                 "trigger on_insert does not compile: no such column: kode",
                 "trigger on_update does not compile: no such table: main.nowhere"}));
}

// Without a transaction, nobody else looks at foreign keys.
TEST(VerifyMigrations, FindsForeignKeysThatFitNothing) {
  const MigrationVerification verification =
      verify_migrations(two("-- sqlane: no-transaction\n"
                            "CREATE TABLE parent (a); CREATE TABLE child (p REFERENCES parent (a))",
                            std::nullopt));
  ASSERT_EQ(verification.findings.size(), 1U);
  EXPECT_TRUE(mentions(verification.findings[0].sentence, "foreign keys: foreign key mismatch - \"child\""))
      << verification.findings[0].sentence;
  EXPECT_EQ(verification.findings[0].version, 2);
}

TEST(VerifyMigrations, ThrowsWhatAScriptFailsWith) {
  const auto up = error_of<MigrationError>(
      [] { static_cast<void>(verify_migrations(two("CREATE TABLE visit (a)", std::nullopt))); });
  EXPECT_EQ(up.problem(), MigrationProblem::failed);
  EXPECT_EQ(up.file(), "0002_second.sql");
  const auto down = error_of<MigrationError>(
      [] { static_cast<void>(verify_migrations(two("CREATE TABLE other (a)", "DROP TABLE another"))); });
  EXPECT_EQ(down.problem(), MigrationProblem::failed);
  EXPECT_EQ(down.file(), "0002_second.down.sql");
}

TEST(SchemaOfMigrations, IsComparedWithADatabase) {
  const Migrations migrations = two("CREATE INDEX visit_by_code ON visit (code)", std::nullopt);
  Database db = Database::in_memory();
  db.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, code TEXT NOT NULL)");
  const std::vector<SchemaDifference> differences = compare_schemas(schema_of(migrations), read_schema(db));
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].sentence, "table visit: column code is TEXT NOT NULL, expected TEXT");
  EXPECT_EQ(differences[1].sentence, "index visit_by_code on visit is missing");

  Database migrated = Database::in_memory();
  migrated.migrate(migrations);
  EXPECT_TRUE(schema_of(migrations) == read_schema(migrated));
}

}  // namespace
}  // namespace sqlane
