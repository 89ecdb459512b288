#include "sqlite/running_statement.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

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

// runs and frees texts              looks
// shows "aaa…", frees it            sees one of them whole, or nothing
// shows "bbb…", frees it
TEST(RunningStatement, CanBeFreedOnceNobodyLooks) {
  RunningStatement running;
  std::atomic<bool> is_over = false;
  std::jthread looker([&] {
    while (!is_over) {
      const std::string seen = running.text();
      if (seen.empty()) continue;
      EXPECT_EQ(seen, std::string(seen.size(), seen.front()));
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const auto sql =
        std::make_unique<std::string>(static_cast<std::size_t>(100 + i % 300), static_cast<char>('a' + i % 26));
    const auto text = std::make_unique<std::string_view>(*sql);
    { const RunningStatement::Scope scope(&running, *text); }
    running.wait_for_lookers();
    sql->assign(sql->size(), '!');
  }
  is_over = true;
}

TEST(RunningStatement, IsWhatAConnectionDoes) {
  RunningStatement running;
  Connection connection({.database = ":memory:", .statement_cache = 4});
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
