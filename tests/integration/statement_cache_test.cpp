#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlane/detail/statement.hpp"
#include "sqlite/connection.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using detail::Connection;
using detail::SqlText;
using detail::Statement;
using testing::ForeignConnection;
using testing::TemporaryFolder;

class CachedStatements : public ::testing::Test {
 protected:
  static SqlText literal(std::string_view text) { return {.text = text, .is_literal = true, .access = Access::write}; }
  static SqlText built(std::string_view text) { return {.text = text, .access = Access::write}; }

  std::string run(const SqlText& sql) {
    Statement statement(connection, sql);
    return statement.step() && statement.storage_class(0) == detail::StorageClass::text
               ? std::string(statement.text(0, "text"))
               : "";
  }

  // How often the prepared statement with this text has run; -1 when it is not prepared.
  int runs(std::string_view text) {
    int found = -1;
    for (sqlite3_stmt* each = next(nullptr); each != nullptr; each = next(each)) {
      if (sqlite3_sql(each) == text) found = sqlite3_stmt_status(each, SQLITE_STMTSTATUS_RUN, 0);
    }
    return found;
  }
  int prepared(std::string_view text) {
    int count = 0;
    for (sqlite3_stmt* each = next(nullptr); each != nullptr; each = next(each))
      count += sqlite3_sql(each) == text ? 1 : 0;
    return count;
  }
  sqlite3_stmt* next(sqlite3_stmt* after) { return sqlite3_next_stmt(connection.handle(), after); }

  static constexpr std::size_t kCapacity = 4;

  TemporaryFolder folder;
  std::string path = [this] {
    ForeignConnection(folder / "app.db").run("CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('a'), ('b')");
    return (folder / "app.db").string();
  }();
  Connection connection{{.database = path, .statement_cache = kCapacity, .page_cache = 1U << 20U}};
};

TEST_F(CachedStatements, ArePreparedOnce) {
  const SqlText sql = literal("SELECT title FROM note");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(run(sql), "a");
  EXPECT_EQ(prepared(sql.text), 1);
  EXPECT_EQ(runs(sql.text), 5);
}

// For every other pattern SQLite prepares a LIKE again, as it does after a change of the schema.
TEST_F(CachedStatements, AreKeptWhenALikeIsPreparedAgain) {
  const SqlText other = literal("SELECT title FROM note");
  EXPECT_EQ(run(other), "a");
  SqlText like = literal("SELECT title FROM note WHERE title LIKE ?");
  like.arity.values = 1;
  for (const std::string_view pattern : {"a%", "b%", "%"}) {
    Statement statement(connection, like);
    statement.bind_text(1, pattern, detail::Lifetime::borrowed);
    EXPECT_TRUE(statement.step());
  }
  EXPECT_EQ(prepared(other.text), 1);
}

TEST_F(CachedStatements, AreFoundUnderTheirTextWhereverItStands) {
  const std::string one = "SELECT title FROM note";
  const std::string two = one;
  EXPECT_EQ(run(literal(one)), "a");
  EXPECT_EQ(run(literal(two)), "a");
  EXPECT_EQ(run(built(two)), "a");
  EXPECT_EQ(prepared(one), 1);
  EXPECT_EQ(runs(one), 3);
}

TEST_F(CachedStatements, AreNotMistakenWhenOtherTextComesToTheSameAddress) {
  std::string text = "SELECT 'one'";
  for (const char* word : {"one", "two", "one", "two"}) {
    text.replace(8, 3, word);
    // Once to be prepared or found by its text, once more to be found by its address.
    for (int i = 0; i < 2; ++i) EXPECT_EQ(run(literal(text)), word);
  }
}

TEST_F(CachedStatements, CanBeUsedInsideThemselves) {
  const SqlText sql = literal("SELECT title FROM note ORDER BY title");
  std::string seen;
  Statement outer(connection, sql);
  while (outer.step()) {
    seen += outer.text(0, "text");
    Statement inner(connection, sql);
    while (inner.step()) seen += inner.text(0, "text");
    seen += '/';
  }
  EXPECT_EQ(seen, "aab/bab/");
  EXPECT_EQ(prepared(sql.text), 1);
}

TEST_F(CachedStatements, MakeRoomForNewerOnes) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kCapacity + 1; ++i) texts.push_back("SELECT '" + std::to_string(i) + "'");
  for (std::size_t i = 0; i < kCapacity; ++i) run(built(texts[i]));
  run(built(texts[0]));
  run(built(texts[kCapacity]));
  EXPECT_EQ(connection.cached_statements(), kCapacity);
  EXPECT_EQ(prepared(texts[0]), 1) << "used a moment ago";
  EXPECT_EQ(prepared(texts[1]), 0) << "the least recently used";
  EXPECT_EQ(prepared(texts[kCapacity]), 1);
}

TEST_F(CachedStatements, AreGivenUpWhenAnotherProgramChangesTheSchema) {
  const SqlText all = literal("SELECT * FROM note");
  const SqlText stale = literal("SELECT count(*) FROM note");
  run(all);
  run(stale);
  ForeignConnection(folder / "app.db").run("ALTER TABLE note ADD COLUMN lang TEXT DEFAULT 'en'");
  {
    Statement statement(connection, all);
    ASSERT_TRUE(statement.step());
    EXPECT_EQ(statement.column_count(), 2);
    EXPECT_EQ(statement.column_name(1), "lang");
    EXPECT_EQ(statement.text(1, "text"), "en");
  }
  EXPECT_EQ(prepared(stale.text), 0) << "it would have to be prepared again as well";
}

TEST_F(CachedStatements, OfADatabaseShowTheColumnThatAnotherProgramAdded) {
  const Database db = Database::open(folder / "app.db");
  const auto columns = [&] {
    int count = 0;
    db.read([&](const Snapshot& s) {
      for (const Row& row : s.query("SELECT * FROM note LIMIT 1")) count = row.size();
    });
    return count;
  };
  EXPECT_EQ(columns(), 1);
  ForeignConnection(folder / "app.db").run("ALTER TABLE note ADD COLUMN lang TEXT");
  EXPECT_EQ(columns(), 2);
  using Two = std::pair<std::string, std::optional<std::string>>;
  EXPECT_EQ(db.query_one<Two>("SELECT * FROM note LIMIT 1"), Two("a", std::nullopt));
}

TEST_F(CachedStatements, GiveUpCopiesOfBoundValues) {
  const SqlText sql = built("SELECT ?");
  {
    SqlText text = sql;
    text.arity = {.values = 1};
    Statement statement(connection, text);
    statement.bind_text(1, "a secret", detail::Lifetime::copied);
    ASSERT_TRUE(statement.step());
  }
  sqlite3_stmt* const idle = next(nullptr);
  ASSERT_NE(idle, nullptr);
  for (sqlite3_stmt* each = idle; each != nullptr; each = next(each)) {
    if (sqlite3_sql(each) != sql.text) continue;
    char* const expanded = sqlite3_expanded_sql(each);
    EXPECT_STREQ(expanded, "SELECT NULL");
    sqlite3_free(expanded);
  }
}

}  // namespace
}  // namespace sqlane
