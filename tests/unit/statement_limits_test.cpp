#include "sqlite/statement_limits.hpp"

#include <chrono>
#include <stop_token>

#include "sqlane/sqlane.hpp"
#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::milliseconds;
using testing::error_of;
using testing::mentions;

// Statements long enough for SQLite to ask, on a clock that stands still while they run.
class LimitsOfStatements : public ::testing::Test {
 protected:
  void run() {
    constexpr SqlFor<Access::read> kSql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT count(*) FROM n";
    Statement statement(connection_, kSql.text());
    EXPECT_TRUE(statement.step());
  }

  testing::SteppedClock clock_;
  Connection connection_{{.database = ":memory:", .memory = MemoryStore::make(0), .statement_cache = 4}, clock_};
};

TEST_F(LimitsOfStatements, CountFromTheBeginningOfEachStatement) {
  connection_.set_limits(milliseconds(100), {});
  for (int i = 0; i < 5; ++i) {
    clock_.advance(milliseconds(99));
    EXPECT_NO_THROW(run());
  }
}

TEST_F(LimitsOfStatements, DoNotCountTheTimeBeforeAStatement) {
  connection_.set_limits(milliseconds(100), {});
  clock_.advance(milliseconds(1000));
  EXPECT_NO_THROW(run());
}

TEST_F(LimitsOfStatements, EndOneExactlyWhenItsTimeIsOver) {
  connection_.set_limits(milliseconds(0), {});
  const auto error = error_of<TimeoutError>([&] { run(); });
  EXPECT_TRUE(mentions(error, "longer than 0 ms")) << error.what();
  EXPECT_FALSE(error.is_retryable());
}

TEST_F(LimitsOfStatements, TellAStopFromATimeout) {
  std::stop_source stop;
  stop.request_stop();
  connection_.set_limits(milliseconds(0), stop.get_token());
  EXPECT_THROW(run(), InterruptedError);
}

TEST_F(LimitsOfStatements, AreGoneOnceTheyAreCleared) {
  std::stop_source stop;
  stop.request_stop();
  connection_.set_limits(milliseconds(0), stop.get_token());
  connection_.clear_limits();
  EXPECT_NO_THROW(run());
}

TEST_F(LimitsOfStatements, AreGoneOnceTheConnectionIsTidy) {
  std::stop_source stop;
  stop.request_stop();
  connection_.set_limits(milliseconds(0), stop.get_token());
  EXPECT_EQ(connection_.tidy(), Cleaning::nothing_to_do);
  EXPECT_NO_THROW(run());
}

// By another thread, for as long as it says so.

TEST_F(LimitsOfStatements, EndTheOneThatRunsWhenItsHolderIsInterrupted) {
  constexpr SqlFor<Access::read> kSql =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i % 100000 = 1";
  Statement statement(connection_, kSql.text());
  ASSERT_TRUE(statement.step());
  connection_.record().is_interrupted = true;
  const auto error = error_of<InterruptedError>([&] { static_cast<void>(statement.step()); });
  EXPECT_TRUE(mentions(error, "held its connection for too long")) << error.what();
  EXPECT_EQ(error.database(), ":memory:");
}

TEST_F(LimitsOfStatements, RefuseTheNextOneWhenTheHolderIsInterrupted) {
  connection_.record().is_interrupted = true;
  EXPECT_THROW(run(), InterruptedError);
  connection_.record().is_interrupted = false;
  EXPECT_NO_THROW(run());
}

}  // namespace
}  // namespace sqlane::detail
