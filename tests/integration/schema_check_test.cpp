#include "sqlane/schema_check.hpp"

#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/own_parts.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using Kind = SchemaFault::Kind;
using testing::ForeignConnection;
using testing::TemporaryFolder;

class SchemaChecks : public ::testing::Test {
 protected:
  // What another program, without this library's settings, has made.
  void make(const std::string& sql) {
    ForeignConnection other(file_);
    if (has_own_parts) testing::add_own_parts(other);
    other.run(sql);
  }

  // "view v: SELECT: no such column: x"
  std::vector<std::string> faults() {
    const Database db = Database::open(file_, {.mode = OpenMode::existing, .readers = 1});
    std::vector<std::string> lines;
    kinds.clear();
    for (const SchemaFault& fault : check_schema(db)) {
      std::string line = std::string(to_string(fault.type)) + " " + fault.name + ":";
      for (const std::string& statement : fault.statements) line += " " + statement;
      lines.push_back(line + ": " + fault.message);
      kinds.push_back(fault.kind);
    }
    return lines;
  }

  [[nodiscard]] Database open(Options options = {}) const {
    options.durability = Durability::normal;
    return Database::open(file_, options);
  }

  using Lines = std::vector<std::string>;
  std::vector<Kind> kinds;
  bool has_own_parts = false;  // the other program has

 private:
  const TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_ / "app.db";
};

TEST_F(SchemaChecks, FindNothingInASoundSchema) {
  make(
      "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL CHECK (length(title) > 0), "
      "size AS (length(title)), long AS (size > 9) STORED, note REFERENCES note DEFAULT (1 + 1));"
      "CREATE UNIQUE INDEX by_title ON note (lower(title) DESC, size COLLATE nocase) WHERE title <> 'x' AND size > 1;"
      "CREATE TABLE \"od\"\"d name\" (\"a\"\"b\" PRIMARY KEY) WITHOUT ROWID;"
      "CREATE TABLE strict (a INT) STRICT;"
      "CREATE VIEW titles AS SELECT title, count(*) AS n FROM note GROUP BY 1;"
      "CREATE TRIGGER no_change INSTEAD OF UPDATE ON titles BEGIN SELECT 1; END;"
      "CREATE TRIGGER again AFTER UPDATE OF title ON note WHEN new.title <> '' BEGIN DELETE FROM strict; END;"
      "CREATE VIRTUAL TABLE area USING rtree (id, x1, x2);"
      "CREATE VIRTUAL TABLE words USING fts5 (text);"
      "ANALYZE");
  EXPECT_EQ(faults(), Lines());
}

TEST_F(SchemaChecks, NameStringsInDoubleQuotes) {
  make(
      "CREATE TABLE t (a DEFAULT \"given\" CHECK (a <> \"text\"), b AS (a || \"made\"));"
      "CREATE INDEX by_text ON t (a) WHERE a = \"kept\"; CREATE INDEX by_string ON t (a, \"string\");"
      "CREATE VIEW v AS SELECT \"text\" FROM t;"
      "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT \"word\"; END");
  // That of a DEFAULT is a string to every SQLite. Those of a CHECK, a column and an index have been strings since they
  // were made.
  const Lines found = faults();
  ASSERT_EQ(found.size(), 6U);
  // Newer engines quote the name, and guess what it was meant to be.
  const auto says = [](const std::string& line, const std::string& part, const std::string& name) {
    const std::string said = part + ": no such column: ";
    return line.starts_with(said + name) || line.starts_with(said + '"' + name + '"');
  };
  EXPECT_TRUE(says(found[0], "view v: SELECT", "text")) << found[0];
  EXPECT_TRUE(says(found[1], "trigger r: INSERT", "word")) << found[1];
  EXPECT_TRUE(says(found[2], "index by_string: ALTER TABLE VACUUM", "string")) << found[2];
  EXPECT_TRUE(says(found[3], "index by_text: ALTER TABLE VACUUM", "kept")) << found[3];
  EXPECT_TRUE(says(found[4], "table t: ALTER TABLE VACUUM", "text")) << found[4];
  EXPECT_TRUE(says(found[5], "table t: ALTER TABLE VACUUM", "made")) << found[5];
  EXPECT_EQ(kinds, std::vector(6, Kind::quoted_text));
}

// What the remedies say is so.
TEST_F(SchemaChecks, NameStringsInDoubleQuotesForAlterTableAndVacuumAlone) {
  for (const char* schema :
       {"CREATE TABLE t (a, b CHECK (b <> \"text\"))", "CREATE TABLE t (a, b, g AS (a || \"text\"))",
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (a, \"text\")",
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (a) WHERE b <> \"text\"",
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (a || \"text\")"}) {
    make(std::string("PRAGMA synchronous=OFF; DROP TABLE IF EXISTS t; ") + schema);
    Database db = open();
    db.execute("INSERT INTO t (a, b) VALUES (1, 2)");
    db.execute("UPDATE t SET b = 3");
    const auto vacuuming = testing::error_of<SchemaError>([&] { db.execute("VACUUM"); });
    EXPECT_TRUE(testing::mentions(vacuuming, "check_schema()", "in a migration")) << vacuuming.what();
    const auto renaming = testing::error_of<SchemaError>([&] { db.execute("ALTER TABLE t RENAME COLUMN a TO c"); });
    EXPECT_TRUE(testing::mentions(renaming, "taken for a string", "again with 'text'")) << renaming.what();
    db.close();
    EXPECT_EQ(faults().size(), 1U) << schema;
    Migrations migrations;
    migrations.add({.version = 1, .name = "alter", .up = "ALTER TABLE t RENAME TO u"});
    migrations.add({.version = 2, .name = "vacuum", .up = "-- sqlane: no-transaction\nVACUUM"});
    db = open();
    db.execute("DROP TABLE IF EXISTS sqlane_migration");
    baseline(db, migrations, 0);
    EXPECT_NO_THROW(db.migrate(migrations)) << schema;
    db.close();
    db = open({.sql = {.double_quoted_strings = true}});
    EXPECT_NO_THROW(db.execute("VACUUM")) << schema;
    EXPECT_NO_THROW(db.execute("ALTER TABLE u RENAME TO t")) << schema;
  }
}

TEST_F(SchemaChecks, NameWhatIsGone) {
  make(
      "CREATE TABLE t (a); CREATE TABLE gone (a);"
      "CREATE VIEW v AS SELECT a FROM gone; CREATE VIEW over AS SELECT a FROM v;"
      "CREATE TRIGGER r AFTER UPDATE ON t BEGIN DELETE FROM gone; END;"
      "PRAGMA legacy_alter_table=ON; DROP TABLE gone");
  EXPECT_EQ(faults(), (Lines{"view over: SELECT: no such table: main.gone", "view v: SELECT: no such table: main.gone",
                             "trigger r: UPDATE: no such table: main.gone"}));
  EXPECT_EQ(kinds, (std::vector{Kind::other, Kind::other, Kind::other}));
}

TEST_F(SchemaChecks, TellOfEachPartThatNeedsAnotherProgramByItsOwnName) {
  has_own_parts = true;
  make(
      "CREATE TABLE checked (a CHECK (weight(a) > 0)); CREATE TABLE made (a, b AS (weight(a)));"
      "CREATE TRIGGER after_checked AFTER INSERT ON checked BEGIN SELECT 1; END;"
      "CREATE TABLE plain (a); CREATE INDEX by_weight ON plain (weight(a));"
      "CREATE TABLE sorted (a); CREATE INDEX by_name ON sorted (a COLLATE german);"
      "CREATE TABLE dense (a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID;"
      "CREATE TABLE word (a TEXT COLLATE german); CREATE INDEX by_word ON word (a);"
      "CREATE TABLE event (a); CREATE TRIGGER weigh AFTER INSERT ON event BEGIN SELECT weight(1); END;"
      "CREATE VIEW weights AS SELECT weight(a) FROM plain");
  EXPECT_EQ(faults(),
            (Lines{"view weights: SELECT: no such function: weight", "trigger weigh: INSERT: no such function: weight",
                   "index by_name: INSERT UPDATE: no such collation sequence: german",
                   "index by_weight: INSERT UPDATE: no such function: weight",
                   "table checked: CHECK: no such function: weight",
                   "table dense: INSERT UPDATE: no such collation sequence: german",
                   "table made: SELECT INSERT UPDATE: no such function: weight",
                   "table word: INSERT UPDATE: no such collation sequence: german"}));
  for (const Kind kind : kinds) EXPECT_EQ(kind, Kind::missing_extension);
}

TEST_F(SchemaChecks, TellModulesThatAreNotHereFromTablesThatAreGone) {
  make(
      "CREATE VIEW numbers AS SELECT value FROM series_of_another_program(1, 9);"
      "CREATE VIEW quoted AS SELECT * FROM \"files\" ('.');"
      "CREATE VIEW lost AS SELECT 1 FROM my_files, files2 WHERE (1)");
  EXPECT_EQ(faults(), (Lines{"view lost: SELECT: no such table: main.my_files",
                             "view numbers: SELECT: no such table: main.series_of_another_program",
                             "view quoted: SELECT: no such table: main.files"}));
  EXPECT_EQ(kinds, (std::vector{Kind::other, Kind::missing_extension, Kind::missing_extension}));
}

TEST_F(SchemaChecks, NameATokenizerThatIsNotHere) {
  make(
      "CREATE VIRTUAL TABLE words USING fts4 (text); PRAGMA writable_schema=ON;"
      "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE words USING fts4 (text, tokenize=klingon)' "
      "WHERE name = 'words'");
  ASSERT_FALSE(faults().empty());
  for (const Kind kind : kinds) EXPECT_EQ(kind, Kind::missing_extension);
}

TEST_F(SchemaChecks, NameKeysThatDoNotFit) {
  make(
      "CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT);"
      "CREATE TABLE child (code REFERENCES parent (code)); CREATE TABLE lost (x REFERENCES nowhere);"
      "CREATE TRIGGER r AFTER DELETE ON parent BEGIN SELECT 1; END");
  EXPECT_EQ(faults(),
            (Lines{"table child: INSERT UPDATE DELETE: foreign key mismatch - \"child\" referencing \"parent\"",
                   "table lost: INSERT UPDATE DELETE: no such table: main.nowhere",
                   "table parent: UPDATE DELETE: foreign key mismatch - \"child\" referencing \"parent\""}));
  EXPECT_EQ(kinds, (std::vector{Kind::foreign_key, Kind::foreign_key, Kind::foreign_key}));
}

}  // namespace
}  // namespace sqlane
