#include "sqlite/running_statement.hpp"

#include <string>
#include <string_view>

#include "sqlane/sqlane.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {
namespace {

TEST(RunningStatement, IsNothingAtFirst) {
  RunningStatement running;
  EXPECT_EQ(running.text(), "");
}

TEST(RunningStatement, IsSeenForAsLongAsItsScope) {
  RunningStatement running;
  static constexpr std::string_view kText = "SELECT 1";
  {
    const RunningStatement::Scope scope(&running, kText);
    EXPECT_EQ(running.text(), "SELECT 1");
  }
  EXPECT_EQ(running.text(), "");
}

// A function of the user's, or a savepoint between two rows, runs inside another statement.
TEST(RunningStatement, IsTheInnermostAndThenTheOuterOneAgain) {
  RunningStatement running;
  static constexpr std::string_view kOuter = "outer";
  static constexpr std::string_view kInner = "inner";
  const RunningStatement::Scope outer(&running, kOuter);
  {
    const RunningStatement::Scope inner(&running, kInner);
    EXPECT_EQ(running.text(), "inner");
  }
  EXPECT_EQ(running.text(), "outer");
}

TEST(RunningStatement, IsShownByItsBeginning) {
  RunningStatement running;
  std::string sql(500, 'a');
  sql.push_back('b');
  const std::string_view text = sql;
  const RunningStatement::Scope scope(&running, text);
  EXPECT_EQ(running.text(), std::string(500, 'a'));
}

TEST(RunningStatement, NeedsNobodyToLook) {
  static constexpr std::string_view kText = "SELECT 1";
  const RunningStatement::Scope scope(nullptr, kText);
}

TEST(RunningStatement, IsWhatAConnectionDoes) {
  RunningStatement running;
  Connection connection({.database = ":memory:", .memory = MemoryStore::make(0), .statement_cache = 4});
  connection.publish_to(running);
  connection.begin(Behavior::immediate);
  EXPECT_EQ(running.text(), "");
  constexpr SqlFor<Access::write> kSql = "SELECT 1 UNION SELECT 2";
  Statement statement(connection, kSql.text());
  EXPECT_TRUE(statement.step());
  EXPECT_EQ(running.text(), "") << "between two rows nothing runs";
  EXPECT_TRUE(statement.step());
}

}  // namespace
}  // namespace sqlane::detail
