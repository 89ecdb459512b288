#include "sqlane/sql_check.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "sqlane/sqlane.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

class SqlCheck : public ::testing::Test {
 protected:
  SqlCheck() { db_.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)"); }

  // "queries.sql:2:8: message", for a single file with this text.
  [[nodiscard]] std::vector<std::string> check(std::string_view text) const {
    write_bytes(folder_ / "queries.sql", text);
    return check_folder();
  }
  [[nodiscard]] std::vector<std::string> check_folder() const {
    std::vector<std::string> lines;
    for (const SqlFinding& finding : check_sql_folder(db_, folder_.path())) {
      lines.push_back(finding.file.lexically_relative(folder_.path()).string() + ":" + std::to_string(finding.line) +
                      ":" + std::to_string(finding.column) + ": " + finding.message);
    }
    return lines;
  }

  TemporaryFolder folder_;
  Database db_ = Database::in_memory();
};

using Lines = std::vector<std::string>;

TEST_F(SqlCheck, AcceptsWhatFitsWithoutRunningIt) {
  EXPECT_EQ(check("-- all of them\nSELECT id, title FROM note WHERE id = ? AND title = ?2;\n"
                  "INSERT INTO note (title) VALUES (:title) RETURNING id;\n"
                  "UPDATE note SET title = @title WHERE id = $id;;\n"
                  "WITH old AS (SELECT 1 AS id) DELETE FROM note WHERE id IN old;\n"
                  "REPLACE INTO note (id, title) VALUES (1, 'a;b'); VALUES (1);\n"
                  "PRAGMA table_info(note); -- the end"),
            Lines());
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(SqlCheck, NamesFileLineAndColumn) {
  EXPECT_EQ(check("SELECT id FROM note;\n\nSELECT id,\n       titel FROM note;\nSELECT 1"),
            Lines{"queries.sql:4:8: no such column: titel"});
  EXPECT_EQ(check("SELECT id FROM note; SELECT * FROM notes"), Lines{"queries.sql:1:22: no such table: notes"});
}

TEST_F(SqlCheck, KeepsTheStatementAsItWasWritten) {
  write_bytes(folder_ / "queries.sql", "  ;SELECT titel\n  FROM note ; SELECT 1");
  const std::vector<SqlFinding> findings = check_sql_folder(db_, folder_.path());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].sql, "SELECT titel\n  FROM note");
  EXPECT_EQ(findings[0].file, folder_ / "queries.sql");
}

TEST_F(SqlCheck, AcceptsAByteOrderMarkAndCarriageReturns) {
  EXPECT_EQ(check("\xef\xbb\xbfSELECT id FROM note;\r\nSELECT body\r\nFROM note;\r\n"), Lines());
  EXPECT_EQ(check("\xef\xbb\xbfSELECT titel FROM note;\r\nSELECT body,\r\n  boddy FROM note;\r\n"),
            (Lines{"queries.sql:1:8: no such column: titel", "queries.sql:3:3: no such column: boddy"}));
}

TEST_F(SqlCheck, AcceptsFilesWithoutAStatement) {
  EXPECT_EQ(check(""), Lines());
  EXPECT_EQ(check("\xef\xbb\xbf-- later\n;;\n/* SELECT titel FROM note */"), Lines());
}

TEST_F(SqlCheck, GoesOnBehindAFinding) {
  EXPECT_EQ(check("SELEC 1;\nSELECT 1 FROM;\nINSERT INTO note (id) VALUES (1, 2);\nSELECT 1"),
            (Lines{"queries.sql:1:1: near \"SELEC\": syntax error", "queries.sql:2:1: incomplete input",
                   "queries.sql:3:1: 2 values for 1 columns"}));
}

TEST_F(SqlCheck, FindsWhatTheLibraryWouldRefuse) {
  EXPECT_EQ(check("BEGIN"),
            Lines{"queries.sql:1:1: transactions are controlled by write(), begin() and savepoint(), not by SQL"});
  EXPECT_EQ(check("ATTACH 'x' AS y"), Lines{"queries.sql:1:1: databases cannot be attached"});
  EXPECT_EQ(check("PRAGMA synchronous = OFF"),
            Lines{"queries.sql:1:1: PRAGMA synchronous would change the connection for its next user"});
  EXPECT_EQ(check("\nSELECT ?, :a"), Lines{"queries.sql:2:1: named and positional values do not mix"});
  EXPECT_EQ(check("SELECT 'open"), Lines{"queries.sql:1:1: a string or quoted name is left open"});
  EXPECT_EQ(check(std::string_view("SELECT '\0'", 10)), Lines{"queries.sql:1:1: the SQL text holds a NUL byte"});
  const Lines missing = check("SELECT \"no name\" FROM note");
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_TRUE(mentions(missing[0], "queries.sql:1:8: no such column: ", "no name")) << missing[0];
}

TEST_F(SqlCheck, SendsChangesOfTheSchemaToMigrations) {
  EXPECT_EQ(check("SELECT 1;\nDROP TABLE note"),
            Lines{"queries.sql:2:1: what changes the schema belongs into a migration"});
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(SqlCheck, GoesThroughFoldersInOrder) {
  fs::create_directories(folder_ / "b/deep");
  write_bytes(folder_ / "c.sql", "SELECT c");
  write_bytes(folder_ / "b/deep/b.sql", "SELECT b");
  write_bytes(folder_ / "a.sql", "SELECT a");
  write_bytes(folder_ / "notes.txt", "SELECT d");
  EXPECT_EQ(check_folder(), (Lines{"a.sql:1:8: no such column: a", "b/deep/b.sql:1:8: no such column: b",
                                   "c.sql:1:8: no such column: c"}));
}

TEST_F(SqlCheck, SaysWhatCannotBeRead) {
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(check_sql_folder(db_, folder_ / "empty")); }),
                       "there is no .sql file"));
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(check_sql_folder(db_, folder_ / "none")); }),
                       "none\": No such file"));
  fs::create_symlink(folder_ / "gone", folder_ / "lost.sql");
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(check_folder()); }), "lost.sql"));
}

TEST_F(SqlCheck, LooksAtTheSchemaOfTheMoment) {
  EXPECT_EQ(check("SELECT area FROM note"), Lines{"queries.sql:1:8: no such column: area"});
  db_.execute("ALTER TABLE note ADD COLUMN area TEXT");
  EXPECT_EQ(check("SELECT area FROM note"), Lines());
}

// ---- literals

using namespace sqlane::literals;

// Nobody calls it, and yet its literals are known.
[[maybe_unused]] std::vector<int> find_by_area(const Database& db) {
  return db.query<int>("SELECT id FROM note WHERE area = 'registered'"_sql);
}

template <class T>
void change(Database& db, const T& value) {
  db.execute("UPDATE note SET title = ? WHERE id = 'registered'"_sql, value);
}

bool is_registered(std::string_view text) {
  const std::vector<std::string_view> all = registered_sql();
  return std::count(all.begin(), all.end(), text) == 1;
}

TEST_F(SqlCheck, KnowsTheLiteralsThatAreRegistered) {
  change(db_, "a");
  change(db_, 1.5);
  EXPECT_TRUE(is_registered("SELECT id FROM note WHERE area = 'registered'"));
  EXPECT_TRUE(is_registered("UPDATE note SET title = ? WHERE id = 'registered'"));
  EXPECT_FALSE(is_registered("SELECT count(*) FROM note"));
  const std::vector<std::string_view> all = registered_sql();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST_F(SqlCheck, ChecksTheLiteralsThatAreRegistered) {
  db_.write([](Transaction& tx) {
    tx.execute("CREATE TABLE registered (a)"_sql);
    tx.execute("INSERT INTO registered VALUES (?)"_sql, 1);
    EXPECT_EQ(tx.query_one<int>("SELECT a FROM registered"_sql), 1);
  });
  std::vector<std::string> lines;
  for (const SqlFinding& finding : check_registered_sql(db_)) {
    EXPECT_TRUE(finding.file.empty());
    lines.push_back(std::to_string(finding.line) + ":" + std::to_string(finding.column) + ": " + finding.message +
                    " in " + finding.sql);
  }
  EXPECT_EQ(lines, Lines{"1:27: no such column: area in SELECT id FROM note WHERE area = 'registered'"});
}

TEST_F(SqlCheck, CachesRegisteredLiteralsByTheirAddress) {
  const auto address_of = [](detail::SqlFor<Access::read> sql) {
    EXPECT_TRUE(sql.text().is_literal);
    return static_cast<const void*>(sql.text().text.data());
  };
  const void* const here = address_of("SELECT 1 /* registered */"_sql);
  EXPECT_EQ(here, address_of("SELECT 1 /* registered */"_sql));
  static_cast<void>(db_.query_one<int>("SELECT 1 /* registered */"_sql));
  const auto hits = db_.stats().statements.hits;
  static_cast<void>(db_.query_one<int>("SELECT 1 /* registered */"_sql));
  EXPECT_EQ(db_.stats().statements.hits, hits + 1);
}

}  // namespace
}  // namespace sqlane
