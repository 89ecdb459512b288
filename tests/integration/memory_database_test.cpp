#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;

TEST(MemoryDatabase, IsPrivateWithoutAName) {
  Database one = Database::in_memory();
  Database two = Database::in_memory();
  one.execute("CREATE TABLE note (title TEXT)");
  EXPECT_THROW(static_cast<void>(two.query<std::string>("SELECT title FROM note")), SchemaError);
}

TEST(MemoryDatabase, IsSharedByItsNameAndGoneWithTheLast) {
  {
    auto one = std::make_unique<Database>(Database::in_memory("shared"));
    one->execute("CREATE TABLE note (title TEXT)");
    Database two = Database::in_memory("shared");
    two.execute("INSERT INTO note VALUES ('by two')");
    EXPECT_EQ(one->query_one<std::string>("SELECT title FROM note"), "by two");
    const Database other = Database::in_memory("another");
    EXPECT_THROW(static_cast<void>(other.query<std::string>("SELECT title FROM note")), SchemaError);
    one.reset();
    EXPECT_EQ(two.query_one<std::string>("SELECT title FROM note"), "by two");
  }
  const Database later = Database::in_memory("shared");
  EXPECT_THROW(static_cast<void>(later.query<std::string>("SELECT title FROM note")), SchemaError);
}

TEST(MemoryDatabase, NeedsANameToBeShared) { EXPECT_THROW(static_cast<void>(Database::in_memory("")), UsageError); }

TEST(MemoryDatabase, StaysOpenForTheOthersWhenOneOfThemIsClosed) {
  Database one = Database::in_memory("closing");
  Database two = Database::in_memory("closing");
  one.execute("CREATE TABLE note (title TEXT)");
  one.close();
  one.close();
  EXPECT_THROW(one.execute("DELETE FROM note"), ClosedError);
  two.execute("INSERT INTO note VALUES ('still there')");
  two.close();
  EXPECT_THROW(static_cast<void>(two.query<std::string>("SELECT title FROM note")), ClosedError);
  Database fresh = Database::in_memory("closing");
  fresh.execute("CREATE TABLE note (title TEXT)");
}

TEST(MemoryDatabase, StartsAnewWhileAGuardOfTheOldOneIsAlive) {
  auto old = std::make_unique<Database>(Database::in_memory("reborn"));
  old->execute("CREATE TABLE note (title TEXT)");
  Transaction tx = old->begin();
  tx.execute("INSERT INTO note VALUES ('old')");
  old.reset();
  Database fresh = Database::in_memory("reborn");
  fresh.execute("CREATE TABLE note (title TEXT)");
  tx.commit();
  EXPECT_TRUE(fresh.query<std::string>("SELECT title FROM note").empty());
}

// writer                    reader, on the same thread
// insert 'a' -------------> nothing
// commit
//                           begin: 'a'
// insert 'b'
// commit -----------------> 'a'
//                           end, begin: 'a', 'b'
TEST(MemoryDatabase, IsReadBesideAWriteInItsLastCommittedState) {
  using Titles = std::vector<std::string>;
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (title TEXT)");
  db.write([&](Transaction& tx) {
    tx.execute("INSERT INTO note VALUES ('a')");
    EXPECT_EQ(db.query<std::string>("SELECT title FROM note"), Titles());
    db.read([](const Snapshot& s) { EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 0); });
  });
  db.read([&](const Snapshot& s) {
    EXPECT_EQ(s.query_one<std::string>("SELECT title FROM note"), "a");
    db.execute("INSERT INTO note VALUES ('b')");
    EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 1);
  });
  EXPECT_EQ(db.query<std::string>("SELECT title FROM note"), (Titles{"a", "b"}));
}

TEST(MemoryDatabase, HasAsManyReadersAsItsOptionsSay) {
  Database db = Database::in_memory({.readers = 3});
  db.execute("CREATE TABLE note (title TEXT)");
  const Snapshot one = db.snapshot();
  const Snapshot two = db.snapshot();
  const Snapshot three = db.snapshot();
  EXPECT_THROW(static_cast<void>(db.snapshot({.timeout = std::chrono::milliseconds(0)})), TimeoutError);
  EXPECT_EQ(db.connections().size(), 4U);
}

// Nothing of it is in the file system, be it the log, a journal, or what a large sort sets aside.
TEST(MemoryDatabase, OpensNoFileAndLeavesNothingBehind) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const std::size_t open_files = testing::count_open_files();
  {
    Database db = Database::in_memory("files", {.readers = 4, .page_cache = 1U << 20U});
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)");
    db.execute(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) "
        "INSERT INTO t SELECT x, randomblob(200) FROM n");
    db.execute("UPDATE t SET b = randomblob(100) WHERE a % 3 = 0");
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM (SELECT b FROM t ORDER BY b, a)"), 20000);
    db.execute("CREATE INDEX i ON t (b)");
    db.execute("VACUUM");
    const Snapshot one = db.snapshot();
    const Snapshot two = db.snapshot();
    EXPECT_EQ(testing::count_open_files(), open_files);
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  std::filesystem::current_path(before);
}

TEST(MemoryDatabase, TakesNoMoreThanItsLimitAndGoesOnThen) {
  Database db = Database::in_memory({.memory_limit = 2U << 20U});
  db.execute("CREATE TABLE t (a BLOB)");
  int rows = 0;
  const auto fill = [&] {
    while (true) {
      db.execute("INSERT INTO t VALUES (randomblob(20000))");
      ++rows;
    }
  };
  EXPECT_EQ(error_of<DiskFullError>(fill).extended_code(), SQLITE_FULL);
  EXPECT_GT(rows, 20);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM t"), rows);
  EXPECT_EQ(db.query_one<std::string>("SELECT integrity_check FROM pragma_integrity_check"), "ok");
}

TEST(MemoryDatabase, RefusesOptionsOfFiles) {
  EXPECT_THROW(static_cast<void>(Database::in_memory({.fallback = "a.db"})), UsageError);
  const testing::TemporaryFolder folder;
  EXPECT_THROW(static_cast<void>(Database::open(folder / "a.db", {.memory_limit = 1})), UsageError);
}

TEST(MemoryDatabase, RollsBackLikeAFile) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (title TEXT UNIQUE)");
  const auto job = [](Transaction& tx) {
    tx.execute("INSERT INTO note VALUES ('a')");
    {
      const Savepoint undone = tx.savepoint();
      tx.execute("INSERT INTO note VALUES ('b')");
    }
    EXPECT_EQ(tx.query_one<int>("SELECT count(*) FROM note"), 1);
    tx.execute("INSERT INTO note VALUES ('a')");
  };
  EXPECT_THROW(db.write(job), ConstraintError);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST(MemoryDatabase, RefusesToWriteThroughASnapshot) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (title TEXT)");
  db.read([](const Snapshot& s) {
    EXPECT_THROW(static_cast<void>(s.query_one<int>(runtime_sql("DELETE FROM note RETURNING 1"))), ReadOnlyError);
    EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 0);
  });
}

}  // namespace
}  // namespace sqlane
