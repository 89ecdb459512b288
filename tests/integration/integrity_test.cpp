#include "sqlane/integrity.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/own_parts.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using testing::ForeignConnection;
using testing::TemporaryFolder;

using Unchecked = std::vector<std::pair<std::string, std::string>>;

Unchecked pairs(const std::vector<UncheckedTable>& tables) {
  Unchecked found;
  for (const UncheckedTable& table : tables) found.emplace_back(table.table, table.reason);
  return found;
}

class Integrity : public ::testing::Test {
 protected:
  Integrity() {
    ForeignConnection other(file_);
    testing::add_own_parts(other);
    other.run(
        "CREATE TABLE plain (a, b); CREATE INDEX by_a ON plain (a);"
        "CREATE TABLE word (a TEXT COLLATE german); CREATE INDEX by_word ON word (a);"
        "CREATE TABLE parcel (a CHECK (weight(a) > 0)); CREATE INDEX by_weight ON parcel (weight(a));"
        "CREATE TABLE dense (a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO plain SELECT i, hex(randomblob(20)) FROM n;"
        "INSERT INTO word SELECT b FROM plain; INSERT INTO parcel SELECT a FROM plain;"
        "INSERT INTO dense SELECT b FROM plain");
    for (const char* table : {"plain", "word"}) {
      root_of_.emplace_back(std::stoul(
          other.ask(std::string("SELECT max(pageno) FROM dbstat WHERE name = '") + table + "' AND pagetype = 'leaf'")));
    }
  }

  // Overwrites a page in the middle of a table: 0 for that of plain, 1 of word.
  void damage(std::size_t table) {
    std::string bytes = testing::bytes_of(file_);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>((root_of_[table] - 1) * 4096);
    std::fill(begin, begin + 4096, '\x5a');
    testing::write_bytes(file_, bytes);
  }

  void empty_pages_of(const std::string& tree) {
    const std::string pages =
        ForeignConnection(file_).ask("SELECT group_concat(pageno, ' ') FROM dbstat WHERE name = '" + tree + "'");
    std::string bytes = testing::bytes_of(file_);
    std::istringstream numbers(pages);
    for (std::size_t page = 0; numbers >> page;) bytes.replace((page - 1) * 4096, 4096, 4096, '\0');
    testing::write_bytes(file_, bytes);
  }

  [[nodiscard]] IntegrityReport check(IntegrityDepth depth = IntegrityDepth::full) const {
    return check_integrity(Database::open(file_, {.mode = OpenMode::existing, .readers = 1}), depth);
  }

  const TemporaryFolder folder_;
  const fs::path file_ = folder_ / "app.db";
  std::vector<std::size_t> root_of_;
  const std::string collation_ = "no such collation sequence: german";
  const std::string function_ = "unknown function: weight()";
  const Unchecked own_{{"", collation_}, {"dense", collation_}, {"parcel", function_}, {"word", collation_}};
};

TEST_F(Integrity, OfAFileWithPartsOfItsOwnProgramIsCheckedTableByTable) {
  for (const IntegrityDepth depth : {IntegrityDepth::full, IntegrityDepth::quick}) {
    const IntegrityReport report = check(depth);
    EXPECT_EQ(report.damage, std::vector<std::string>());
    Unchecked found = pairs(report.unchecked);
    ASSERT_FALSE(found.empty());
    found.front().second = collation_;  // whichever SQLite met first
    Unchecked expected = own_;
    if (depth == IntegrityDepth::quick) std::erase(expected, std::pair(std::string("parcel"), function_));
    EXPECT_EQ(found, expected);
  }
}

TEST_F(Integrity, FindsDamageBesideWhatCannotBeChecked) {
  damage(0);
  EXPECT_FALSE(check().damage.empty());
}

// Its pages are read, though its order cannot be looked at.
TEST_F(Integrity, FindsDamagedPagesOfATableThatCannotBeChecked) {
  damage(1);
  EXPECT_FALSE(check().damage.empty());
}

// No statement can read what is sorted by a collation that is not here; its pages can be looked at all the same.
TEST_F(Integrity, FindsEmptyPagesThatNoStatementCanRead) {
  const std::string sound = testing::bytes_of(file_);
  for (const IntegrityReport& report : {check(), check(IntegrityDepth::quick)}) {
    for (const UncheckedTable& table : report.unchecked) EXPECT_TRUE(table.is_read) << table.table;
  }
  for (const char* tree : {"dense", "by_word", "by_weight"}) {
    testing::write_bytes(file_, sound);
    empty_pages_of(tree);
    const IntegrityReport report = check();
    EXPECT_FALSE(report.damage.empty()) << tree;
    EXPECT_TRUE(testing::mentions(report.damage.front(), std::string(" of ") + tree) ||
                tree == std::string("by_weight"))
        << report.damage.front();
  }
}

// SQLite itself leaves them out where it only reads.
TEST_F(Integrity, FindsValuesThatTheirColumnsDoNotAllow) {
  ForeignConnection other(file_);
  other.run("PRAGMA ignore_check_constraints = ON");
  other.run("CREATE TABLE \"sized \"\"t\" (n CHECK (n > 0), m, CONSTRAINT order_of CHECK (n < m))");
  other.run("INSERT INTO \"sized \"\"t\" VALUES (-1, 1), (-2, 1), (3, 3), (NULL, NULL), (1, 2)");
  other.run("CREATE TABLE typed (n INTEGER, t TEXT NOT NULL)");
  other.run("INSERT INTO typed VALUES ('x', 'y'), (1, 'y')");
  other.run("PRAGMA writable_schema = ON");
  other.run(
      "UPDATE sqlite_schema SET sql = 'CREATE TABLE typed (n INTEGER, t INTEGER NOT NULL) STRICT' WHERE name = "
      "'typed'");
  const IntegrityReport report = check();
  EXPECT_EQ(report.damage, std::vector<std::string>());
  for (const char* text : {"CHECK constraint failed in sized \"t: 2 rows violate CHECK (n > 0)",
                           "CHECK constraint failed in sized \"t: 1 row violates CONSTRAINT order_of CHECK (n < m)"}) {
    EXPECT_EQ(std::ranges::count(report.violations, text), 1) << text;
  }
  EXPECT_EQ(std::ranges::count(report.violations, "non-INTEGER value in typed.n"), 1);
  EXPECT_EQ(std::ranges::count(report.violations, "non-INTEGER value in typed.t"), 2);
  EXPECT_EQ(report.violations.size(), 5U);
}

TEST_F(Integrity, PassesOverAChecksThatCannotBeAskedFor) {
  ForeignConnection other(file_);
  other.run("PRAGMA ignore_check_constraints = ON");
  other.run("CREATE TABLE doc (body CHECK (json_extract(body, '$.n') > 0), n CHECK (n > 0))");
  other.run("INSERT INTO doc VALUES ('no json', -1)");
  const IntegrityReport report = check();
  EXPECT_EQ(report.violations,
            (std::vector<std::string>{"CHECK constraint failed in doc: 1 row violates CHECK (n > 0)"}));
}

TEST_F(Integrity, OfACopyIsRefusedForAValueThatIsNotAllowed) {
  ForeignConnection other(file_);
  other.run("CREATE TABLE named (n); INSERT INTO named VALUES (NULL)");
  other.run("PRAGMA writable_schema = ON");
  other.run("UPDATE sqlite_schema SET sql = 'CREATE TABLE named (n NOT NULL)' WHERE name = 'named'");
  const Database db = Database::open(file_, {.mode = OpenMode::existing, .readers = 1});
  const auto refused = testing::error_of<CorruptError>([&] { db.backup_to(folder_ / "copy.db"); });
  EXPECT_TRUE(testing::mentions(refused, "has values that its columns do not allow: NULL value in named.n",
                                "Verification::none"))
      << refused.what();
  db.backup_to(folder_ / "copy.db", {.verification = BackupOptions::Verification::none});
  EXPECT_EQ(ForeignConnection(folder_ / "copy.db").ask("SELECT count(*) FROM named"), "1");
}

TEST_F(Integrity, OfACopyIsCheckedAsFarAsItCanBe) {
  const Database db = Database::open(file_, {.mode = OpenMode::existing, .readers = 1});
  const BackupReport report = db.backup_to(folder_ / "copy.db");
  EXPECT_EQ(report.unchecked.size(), own_.size());
  EXPECT_EQ(ForeignConnection(folder_ / "copy.db").ask("SELECT count(*) FROM word"), "2000");

  Database other = Database::open(folder_ / "other.db");
  EXPECT_EQ(other.restore_from(folder_ / "copy.db").unchecked.size(), own_.size());
  EXPECT_EQ(other.query_one<int>("SELECT count(*) FROM parcel"), 2000);
}

TEST_F(Integrity, OfACopyThatIsDamagedIsRefusedAllTheSame) {
  damage(1);
  const Database db = Database::open(file_, {.mode = OpenMode::existing, .readers = 1});
  try {
    db.backup_to(folder_ / "copy.db");
    FAIL() << "the copy was made";
  } catch (const CorruptError& error) {
    EXPECT_EQ(error.database(), file_.string()) << "the source is damaged, not what was to come of it";
    EXPECT_TRUE(testing::mentions(error.what(), "the copy of \"" + file_.string() + "\"")) << error.what();
  }
  EXPECT_FALSE(fs::exists(folder_ / "copy.db"));
}

}  // namespace
}  // namespace sqlane
