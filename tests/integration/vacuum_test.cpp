#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

constexpr std::size_t kVacuumPageCache = 128U << 10U;
constexpr int kBelowTheFile = 2 << 20;

class Vacuum : public ::testing::Test {
 protected:
  // 4 MB, in small steps, since a transaction can take memory for all its changes.
  void fill() {
    db.execute("CREATE TABLE large (id INTEGER PRIMARY KEY, filler BLOB)");
    for (int i = 0; i < 8; ++i) {
      db.execute(
          "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 128) "
          "INSERT INTO large (filler) SELECT zeroblob(4000) FROM n");
    }
  }

  // Bytes that SQLite took at most for `action`, over those that it had.
  template <class Action>
  static sqlite3_int64 memory_of(Action&& action) {
    const sqlite3_int64 before = sqlite3_memory_used();
    sqlite3_memory_highwater(1);
    action();
    return sqlite3_memory_highwater(0) - before;
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.durability = Durability::normal, .page_cache = kVacuumPageCache});
};

TEST_F(Vacuum, KeepsItsMemoryWithinThePageCache) {
  fill();
  EXPECT_LT(memory_of([&] { db.execute("VACUUM"); }), kBelowTheFile);
  EXPECT_LT(memory_of([&] { db.execute(runtime_sql("/* again */ vacuum main")); }), kBelowTheFile);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM large"), 8 * 128);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

// A transaction that changes as much is the proof that nothing spills any more: it takes memory for all of it.
TEST_F(Vacuum, LeavesLaterTransactionsWithoutSpilling) {
  if (sqlite3_libversion_number() >= 3'050'002) GTEST_SKIP() << "this SQLite may spill at any time";
  fill();
  const auto change_all = [&] {
    db.write([](Transaction& tx) {
      Savepoint savepoint = tx.savepoint();
      tx.execute("UPDATE large SET filler = zeroblob(4001)");
      savepoint.rollback();
      tx.execute("INSERT INTO large (filler) VALUES (NULL)");
    });
  };
  db.execute("VACUUM");
  EXPECT_GT(memory_of(change_all), kBelowTheFile);
  EXPECT_THROW(db.execute("VACUUM nowhere"), Error);
  EXPECT_GT(memory_of(change_all), kBelowTheFile);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM large"), 8 * 128 + 2);
}

TEST_F(Vacuum, TellsItsListenerOfNoStatementThatIsNotTheCallers) {
  std::vector<std::string> told;
  Database listened = Database::open(folder / "listened.db", {.on_statement = [&](const ExecutedStatement& statement) {
                                       if (statement.origin() == ExecutedStatement::Origin::caller)
                                         told.emplace_back(statement.sql());
                                     }});
  listened.execute("CREATE TABLE note (title TEXT)");
  told.clear();
  listened.execute("VACUUM");
  EXPECT_TRUE(std::ranges::find(told, "VACUUM") != told.end());
  EXPECT_TRUE(std::ranges::none_of(told, [](const std::string& sql) { return mentions(sql, "cache_spill"); }));
}

TEST_F(Vacuum, OfAMemoryDatabaseWritesAFile) {
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE note (title TEXT)");
  memory.execute("INSERT INTO note VALUES ('a')");
  const std::filesystem::path copy = folder / "copy.db";
  memory.execute("VACUUM INTO ?", copy.string());
  EXPECT_EQ(ForeignConnection(copy).ask("SELECT title FROM note"), "a");
  EXPECT_EQ(ForeignConnection(copy).ask("PRAGMA integrity_check"), "ok");
  EXPECT_TRUE(mentions(error_of<Error>([&] { memory.execute("VACUUM INTO ?", copy.string()); }), "already exists"));
  EXPECT_THROW(memory.execute("VACUUM INTO ?", (folder / "nowhere" / "copy.db").string()), IoError);
  memory.execute("INSERT INTO note VALUES ('b')");
  EXPECT_EQ(memory.query_one<int>("SELECT count(*) FROM note"), 2);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / ".")) ++files;
  EXPECT_EQ(files, 4U) << "app.db with its log and the index of that, and copy.db";
}

TEST_F(Vacuum, OfAMemoryDatabaseFollowsNoLinkAsThatOfAFileDoesNot) {
  Database memory = Database::in_memory();
  for (Database* each : {&memory, &db}) each->execute("CREATE TABLE note (title TEXT)");
  std::filesystem::create_symlink(folder / "target.db", folder / "link.db");
  for (Database* each : {&memory, &db}) {
    EXPECT_THROW(each->execute("VACUUM INTO ?", (folder / "link.db").string()), IoError);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "target.db"));
}

}  // namespace
}  // namespace sqlane
