#include "sqlite/statement_cache.hpp"

#include <cstring>
#include <sqlite3.h>
#include <string>
#include <string_view>

#include "sqlite/connection.hpp"

namespace sqlane::detail {
namespace {

// Puts a statement without a handle into the cache, as in use.
CachedStatement& add(StatementCache& cache, std::string_view text) {
  CachedStatement& statement = cache.add();
  statement.text = text;
  cache.list(statement);
  return statement;
}

void add_idle(StatementCache& cache, std::string_view text) { cache.check_in(add(cache, text)); }

bool holds(StatementCache& cache, std::string_view text) {
  CachedStatement* found = cache.check_out(text, false);
  if (found != nullptr) cache.check_in(*found);
  return found != nullptr;
}

// Stands for whoever checked a statement out; only its address counts.
Statement* some_holder() { return reinterpret_cast<Statement*>(alignof(Statement)); }

TEST(StatementCache, FindsByText) {
  StatementCache cache(4);
  add_idle(cache, "SELECT 1");
  const std::string same = std::string("SELECT") + " 1";
  CachedStatement* found = cache.check_out(same, false);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->text, "SELECT 1");
  EXPECT_EQ(cache.check_out("SELECT 2", false), nullptr);
  EXPECT_EQ(cache.check_out("SELECT 1 ", false), nullptr);
  cache.check_in(*found);
}

TEST(StatementCache, LendsAStatementToOneHolderOnly) {
  StatementCache cache(4);
  CachedStatement& statement = add(cache, "SELECT 1");
  statement.holder = some_holder();
  EXPECT_EQ(cache.check_out("SELECT 1", false), nullptr);
  EXPECT_EQ(cache.check_out("SELECT 1", true), nullptr);
  EXPECT_TRUE(cache.has_statements_in_use());
  cache.check_in(statement);
  EXPECT_FALSE(cache.has_statements_in_use());
  EXPECT_EQ(statement.holder, nullptr);
  EXPECT_EQ(cache.check_out("SELECT 1", false), &statement);
}

TEST(StatementCache, DropsASecondCopyOfABusyStatement) {
  StatementCache cache(4);
  CachedStatement& first = add(cache, "SELECT 1");
  first.holder = some_holder();
  CachedStatement& second = add(cache, "SELECT 1");
  EXPECT_TRUE(first.is_listed);
  EXPECT_FALSE(second.is_listed);
  cache.check_in(second);
  EXPECT_EQ(cache.idle_count(), 0U);
  cache.check_in(first);
  EXPECT_EQ(cache.idle_count(), 1U);
  EXPECT_EQ(cache.check_out("SELECT 1", false), &first);
}

TEST(StatementCache, ForgetsTheLeastRecentlyUsed) {
  StatementCache cache(3);
  for (const std::string_view text : {"a", "b", "c"}) add_idle(cache, text);
  EXPECT_TRUE(holds(cache, "a"));  // used now
  add_idle(cache, "d");
  EXPECT_EQ(cache.idle_count(), 3U);
  EXPECT_FALSE(holds(cache, "b"));
  for (const std::string_view text : {"a", "c", "d"}) EXPECT_TRUE(holds(cache, text)) << text;
}

TEST(StatementCache, DoesNotCountWhatIsInUse) {
  StatementCache cache(1);
  CachedStatement& busy = add(cache, "a");
  busy.holder = some_holder();
  add_idle(cache, "b");
  EXPECT_TRUE(holds(cache, "b"));
  cache.check_in(busy);
  EXPECT_TRUE(holds(cache, "a"));
  EXPECT_FALSE(holds(cache, "b"));
}

TEST(StatementCache, KeepsNothingWithoutCapacity) {
  StatementCache cache(0);
  add_idle(cache, "a");
  EXPECT_EQ(cache.idle_count(), 0U);
  EXPECT_EQ(cache.check_out("a", false), nullptr);
  EXPECT_EQ(cache.check_out("a", true), nullptr);
}

TEST(StatementCache, KeepsOneWithACapacityOfOne) {
  StatementCache cache(1);
  add_idle(cache, "a");
  EXPECT_TRUE(holds(cache, "a"));
  add_idle(cache, "b");
  EXPECT_FALSE(holds(cache, "a"));
  EXPECT_TRUE(holds(cache, "b"));
}

TEST(StatementCache, ComparesTheTextOfALiteralThatItFindsByAddress) {
  StatementCache cache(4);
  char text[] = "SELECT 1";  // the address stays, as when a library is unloaded and another loaded in its place
  add_idle(cache, text);
  CachedStatement* first = cache.check_out(text, true);
  ASSERT_NE(first, nullptr);
  cache.check_in(*first);

  text[7] = '2';
  EXPECT_EQ(cache.check_out(text, true), nullptr);
  add_idle(cache, text);
  CachedStatement* second = cache.check_out(text, true);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(second, first);
  EXPECT_EQ(second->text, "SELECT 2");
  cache.check_in(*second);

  // The same address, and a shorter text that the other begins with.
  EXPECT_EQ(cache.check_out(std::string_view(text).substr(0, 7), true), nullptr);
  text[7] = '1';
  EXPECT_EQ(cache.check_out(text, true), first);
}

TEST(StatementCache, ForgetsTheAddressOfWhatItDrops) {
  StatementCache cache(1);
  static constexpr std::string_view kFirst = "SELECT 1";
  add_idle(cache, kFirst);
  cache.check_in(*cache.check_out(kFirst, true));  // now known by its address
  add_idle(cache, "SELECT 2");                     // displaces it
  EXPECT_EQ(cache.check_out(kFirst, true), nullptr);
}

TEST(StatementCache, DropsOnlyWhatIsIdle) {
  StatementCache cache(4);
  CachedStatement& busy = add(cache, "busy");
  busy.holder = some_holder();
  add_idle(cache, "idle");
  cache.check_in(*cache.check_out("idle", true));
  cache.drop_idle();
  EXPECT_EQ(cache.idle_count(), 0U);
  EXPECT_EQ(cache.check_out("idle", true), nullptr);
  EXPECT_TRUE(cache.has_statements_in_use());
  EXPECT_EQ(cache.find_in_use(StatementCache::Which::all), &busy);
  cache.check_in(busy);
  EXPECT_TRUE(holds(cache, "busy"));
}

TEST(StatementCache, TellsTheNewestInUse) {
  StatementCache cache(4);
  CachedStatement& first = add(cache, "a");
  CachedStatement& second = add(cache, "b");
  EXPECT_EQ(cache.find_in_use(StatementCache::Which::all), &second);
  cache.check_in(second);
  EXPECT_EQ(cache.find_in_use(StatementCache::Which::all), &first);
  cache.check_in(first);
}

class CachedStatements : public ::testing::Test {
 protected:
  void run(std::string_view sql) { Statement(connection_, {.text = sql, .access = Access::write}).execute(); }

  // Statements that SQLite knows of: ours and what the connection keeps for itself.
  [[nodiscard]] int statements() const {
    int count = 0;
    for (sqlite3_stmt* s = sqlite3_next_stmt(connection_.handle(), nullptr); s != nullptr;
         s = sqlite3_next_stmt(connection_.handle(), s)) {
      ++count;
    }
    return count;
  }

  Connection connection_{
      ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0), .statement_cache = 2}};
};

TEST_F(CachedStatements, AreFinalizedWhenTheyAreDropped) {
  const int before = statements();
  for (const char* sql : {"SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4"}) run(sql);
  EXPECT_EQ(statements() - before, 2);
  EXPECT_EQ(connection_.cached_statements(), 2U);
}

TEST_F(CachedStatements, ThatCannotBePreparedAreNotKept) {
  EXPECT_THROW(run("SELECT nothing FROM nowhere"), SchemaError);
  EXPECT_THROW(run("SELECT 1; SELECT 2"), UsageError);
  EXPECT_THROW(run(std::string_view("SELECT 1\0", 9)), UsageError);
  EXPECT_EQ(connection_.cached_statements(), 0U);
  EXPECT_FALSE(connection_.has_statements_in_use());
}

TEST_F(CachedStatements, MayRunTwiceAtOnce) {
  const SqlText sql{.text = "SELECT 1 UNION ALL SELECT 2"};
  Statement outer(connection_, sql);
  ASSERT_TRUE(outer.step());
  Statement inner(connection_, sql);
  ASSERT_TRUE(inner.step());
  EXPECT_EQ(inner.integer(0, "int"), 1);
  ASSERT_TRUE(outer.step());
  EXPECT_EQ(outer.integer(0, "int"), 2);
}

TEST_F(CachedStatements, AreDroppedOnceTheSchemaHasChanged) {
  run("CREATE TABLE t (a)");
  run("INSERT INTO t VALUES (1)");
  run("SELECT a FROM t");
  EXPECT_EQ(connection_.cached_statements(), 2U);
  run("ALTER TABLE t ADD COLUMN b");
  run("SELECT a FROM t");  // SQLite prepares it again
  EXPECT_EQ(connection_.cached_statements(), 1U);
}

}  // namespace
}  // namespace sqlane::detail
