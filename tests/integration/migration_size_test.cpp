#include <sqlite3.h>
#include <string>

#include "support/expect_error.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::kAlone;
using testing::Migrating;
using testing::only;

// What is large: the data of a step, or its text.

// Below the page cache of 1 MB there is SQLite's own memory; 20 MB of changes are not in it.
TEST_P(Migrating, KeepsItsMemoryWithinThePageCache) {
  if (GetParam()) GTEST_SKIP() << "what is in memory takes memory";
  Database db = Database::open(folder_ / "large.db", {.page_cache = 1U << 20U});
  sqlite3_memory_highwater(1);
  db.migrate(
      only("CREATE TABLE large (id INTEGER PRIMARY KEY, filler BLOB);"
           "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
           " INSERT INTO large SELECT i, randomblob(4000) FROM n;"));
  EXPECT_LT(sqlite3_memory_highwater(0), 8 << 20);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM large"), 5000);
}

TEST_P(Migrating, KeepsItsMemoryWithinThePageCacheInAVacuum) {
  if (GetParam()) GTEST_SKIP() << "what is in memory takes memory";
  Database db = Database::open(folder_ / "large.db", {.page_cache = 1U << 20U});
  Migrations migrations = only(
      "CREATE TABLE large (id INTEGER PRIMARY KEY, filler BLOB);"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
      " INSERT INTO large SELECT i, randomblob(4000) FROM n;");
  db.migrate(migrations);
  migrations.add({.version = 2, .name = "tidy", .up = kAlone + std::string("VACUUM")});
  sqlite3_memory_highwater(1);
  db.migrate(migrations);
  EXPECT_LT(sqlite3_memory_highwater(0), 8 << 20);
}

// Others could not read the schema any more: to them no SQL is longer than 1 MB.
TEST_P(Migrating, RunsLongStatementsButNotThoseThatMakeALongSchema) {
  db_.close();
  db_ = open({.sql = {.sql_length = 1'000'000}});
  const std::string text(1'100'000, 'x');
  Migrations migrations = only("CREATE TABLE note (body TEXT); INSERT INTO note VALUES ('" + text + "')");
  db_.migrate(migrations);
  EXPECT_EQ(db_.query_one<std::size_t>("SELECT length(body) FROM note"), text.size());
  const std::string view = "CREATE VIEW large AS SELECT '" + text + "' AS body";
  for (const std::string& mark : {std::string(), std::string(kAlone)}) {
    Migrations wrong = migrations;
    wrong.add({.version = 2, .name = "view", .up = mark + view});
    const auto error = error_of<MigrationError>([&] { db_.migrate(wrong); });
    EXPECT_EQ(error.file(), "0002_view.sql");
    EXPECT_FALSE(migration_status(db_, wrong).refusal);
  }
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM note"), 1);
}

TEST_P(Migrating, MakesALongSchemaWhereSqlMayBeLong) {
  const std::string view = "CREATE VIEW large AS SELECT '" + std::string(1'100'000, 'x') + "' AS body";
  db_.migrate(only(view));
  EXPECT_EQ(db_.query_one<std::size_t>("SELECT length(body) FROM large"), 1'100'000U);
}

}  // namespace
}  // namespace sqlane
