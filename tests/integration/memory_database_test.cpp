#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;

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

TEST(MemoryDatabase, RefusesAReadInsideAWriteAndTheReverse) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (title TEXT)");
  db.write([&](Transaction& tx) {
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { db.read([](const Snapshot&) {}); }), "memory_database_test.cpp"));
    EXPECT_THROW(static_cast<void>(db.query<std::string>("SELECT title FROM note")), UsageError);
    tx.execute("INSERT INTO note VALUES ('a')");
  });
  db.read([&](const Snapshot& s) {
    EXPECT_THROW(db.execute("DELETE FROM note"), UsageError);
    EXPECT_EQ(s.query_one<std::string>("SELECT title FROM note"), "a");
  });
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
