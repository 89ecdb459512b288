#include "sqlane/integrity.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
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
