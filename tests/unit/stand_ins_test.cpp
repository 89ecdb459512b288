#include "sqlane/testing/stand_ins.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "sqlane/multi_pool.hpp"
#include "sqlane/pool.hpp"
#include "sqlane/retry.hpp"
#include "sqlane/testing/manual_clock.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::ConnectionStandIn;
using testing::error_of;
using testing::FactoryStandIn;
using testing::Failures;
using testing::ManualClock;
using testing::mentions;
using testing::StandInRecord;
using StandInPool = Pool<ConnectionStandIn>;
using Texts = std::vector<std::string>;

static_assert(Pingable<ConnectionStandIn>);
static_assert(Closeable<ConnectionStandIn>);

// Which of so many calls with this text fail.
std::vector<int> failing(Failures& failures, int calls, std::string_view text = {}) {
  std::vector<int> failed;
  for (int i = 1; i <= calls; ++i) {
    try {
      failures.call(text);
    } catch (const std::exception&) {
      failed.push_back(i);
    }
  }
  return failed;
}

TEST(FailuresTest, AreNoneUnlessTheyAreOrdered) {
  Failures failures;
  EXPECT_EQ(failing(failures, 5), std::vector<int>());
}

TEST(FailuresTest, HitTheNextCallAndNoOther) {
  Failures failures;
  EXPECT_NO_THROW(failures.call());
  failures.fail_next(std::runtime_error("no"));
  EXPECT_EQ(failing(failures, 5), std::vector<int>{1});
}

TEST(FailuresTest, HitTheCallOfANumberThatCountsFromTheOrder) {
  Failures failures;
  EXPECT_EQ(failing(failures, 7), std::vector<int>());
  failures.fail_nth(2, std::runtime_error("no"));
  failures.fail_nth(5, std::runtime_error("no"));
  EXPECT_EQ(failing(failures, 7), (std::vector<int>{2, 5}));
}

TEST(FailuresTest, CountCallsFromOne) {
  Failures failures;
  EXPECT_THROW(failures.fail_nth(0, std::runtime_error("no")), UsageError);
}

TEST(FailuresTest, TakeTheNewestOrderForACall) {
  Failures failures;
  failures.fail_nth(2, std::runtime_error("old"));
  failures.call();
  failures.fail_next(std::logic_error("new"));
  EXPECT_TRUE(mentions(error_of<std::logic_error>([&] { failures.call(); }), "new"));
  EXPECT_NO_THROW(failures.call());
}

TEST(FailuresTest, HitEachCallThatContainsAText) {
  Failures failures;
  failures.fail_containing("INSERT", ClosedError("no"));
  EXPECT_EQ(failing(failures, 3, "INSERT INTO note"), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(failing(failures, 3, "REPLACE; INSERT"), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(failing(failures, 3, "SELECT"), std::vector<int>());
  EXPECT_EQ(failing(failures, 3), std::vector<int>());
}

TEST(FailuresTest, TakeTheOldestOrderForAText) {
  Failures failures;
  failures.fail_containing("note", BusyError("first"));
  failures.fail_each(ClosedError("second"));
  EXPECT_THROW(failures.call("SELECT * FROM note"), BusyError);
  EXPECT_THROW(failures.call("SELECT 1"), ClosedError);
}

TEST(FailuresTest, PreferTheCallsNumberToItsText) {
  Failures failures;
  failures.fail_each(ClosedError("each"));
  failures.fail_next(BusyError("next"));
  EXPECT_THROW(failures.call(), BusyError);
  EXPECT_THROW(failures.call(), ClosedError);
}

TEST(FailuresTest, AreTakenBack) {
  Failures failures;
  failures.fail_each(ClosedError("each"));
  failures.fail_nth(2, BusyError("second"));
  failures.clear();
  EXPECT_EQ(failing(failures, 3), std::vector<int>());
}

TEST(FailuresTest, ThrowTheErrorThatWasGivenWithAllItKnows) {
  Failures failures;
  failures.fail_next(ConstraintError("no", {.extended_code = 2067}, ConstraintKind::unique, "note", {"title"}));
  const auto error = error_of<ConstraintError>([&] { failures.call(); });
  EXPECT_EQ(error.table(), "note");
  EXPECT_EQ(error.extended_code(), 2067);
}

TEST(FailuresTest, CountTheCallsOfAllThreads) {
  Failures failures;
  failures.fail_nth(400, ClosedError("no"));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int call = 0; call < 133; ++call) failures.call();
      });
    }
  }
  EXPECT_EQ(failing(failures, 2), std::vector<int>{1});
}

// A connection

TEST(ConnectionStandInTest, WritesDownWhatItExecutesInThisOrder) {
  ConnectionStandIn connection;
  connection.execute("CREATE TABLE note (id)");
  static_cast<void>(connection.query<int>("SELECT 1"));
  static_cast<void>(connection.query_optional<int>("SELECT 2", "a value", 7));
  connection.execute("INSERT INTO note VALUES (?)", 7);
  EXPECT_EQ(connection.record().executed(),
            (Texts{"CREATE TABLE note (id)", "SELECT 1", "SELECT 2", "INSERT INTO note VALUES (?)"}));
  connection.record().clear_executed();
  EXPECT_EQ(connection.record().executed(), Texts());
}

TEST(ConnectionStandInTest, WritesDownAlsoWhatFails) {
  ConnectionStandIn connection;
  connection.record().executing.fail_next(BusyError("no"));
  EXPECT_THROW(connection.execute("DELETE FROM note"), BusyError);
  EXPECT_EQ(connection.record().executed(), Texts{"DELETE FROM note"});
}

TEST(ConnectionStandInTest, FailsByTheNumberOfCallsOfEachKind) {
  ConnectionStandIn connection;
  connection.record().executing.fail_nth(3, BusyError("no"));
  connection.execute("SELECT 1");
  EXPECT_TRUE(connection.ping());
  EXPECT_EQ(connection.query_optional<int>("SELECT 2"), std::nullopt);
  EXPECT_THROW(static_cast<void>(connection.query_one<int>("SELECT 3")), BusyError);
  EXPECT_NO_THROW(connection.execute("SELECT 4"));
}

TEST(ConnectionStandInTest, FailsByTheText) {
  ConnectionStandIn connection;
  connection.record().executing.fail_containing("note", SchemaError("no such table: note"));
  EXPECT_THROW(connection.execute("DELETE FROM note"), SchemaError);
  EXPECT_THROW(static_cast<void>(connection.query<int>("SELECT id FROM note")), SchemaError);
  EXPECT_NO_THROW(connection.execute("DELETE FROM parent"));
}

TEST(ConnectionStandInTest, HasNoRowsUnlessTheyAreGiven) {
  ConnectionStandIn connection;
  EXPECT_EQ(connection.query<int>("SELECT id FROM note"), std::vector<int>());
  EXPECT_EQ(connection.query_optional<int>("SELECT id FROM note"), std::nullopt);
  const auto error = error_of<NoRowError>([&] { static_cast<void>(connection.query_one<int>("SELECT id FROM note")); });
  EXPECT_EQ(error.sql(), "SELECT id FROM note");
}

TEST(ConnectionStandInTest, AnswersAQueryWithTheRowsForItsText) {
  using Note = std::tuple<int, std::string>;
  ConnectionStandIn connection;
  connection.record().answer("count(*)", std::vector<int>{3});
  connection.record().answer("FROM note WHERE", std::vector<Note>{{1, "first"}, {2, "second"}});
  EXPECT_EQ(connection.query_one<int>("SELECT count(*) FROM note"), 3);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(connection.query<Note>("SELECT id, title FROM note WHERE id < ?", 3),
              (std::vector<Note>{{1, "first"}, {2, "second"}}));
  }
  EXPECT_EQ(connection.query_optional<Note>("SELECT id, title FROM note WHERE id = ?", 1), Note(1, "first"));
}

TEST(ConnectionStandInTest, AnswersWithTheNewestRows) {
  ConnectionStandIn connection;
  connection.record().answer("SELECT", std::vector<int>{1});
  connection.record().answer("SELECT", std::vector<int>{2});
  EXPECT_EQ(connection.query_one<int>("SELECT 7"), 2);
}

TEST(ConnectionStandInTest, RefusesRowsOfAnotherType) {
  ConnectionStandIn connection;
  connection.record().answer("SELECT", std::vector<int>{1});
  const auto error =
      error_of<UsageError>([&] { static_cast<void>(connection.query<std::string>("SELECT title FROM note")); });
  EXPECT_TRUE(mentions(error, "SELECT title FROM note"));
}

TEST(ConnectionStandInTest, DoesNothingAfterItWasClosed) {
  ConnectionStandIn connection;
  EXPECT_TRUE(connection.ping());
  connection.close();
  connection.close();
  EXPECT_EQ(connection.record().closed(), 1U);
  EXPECT_FALSE(connection.ping());
  EXPECT_THROW(connection.execute("SELECT 1"), UsageError);
  EXPECT_EQ(connection.record().executed(), Texts());
}

TEST(ConnectionStandInTest, StaysOpenWhenClosingFails) {
  ConnectionStandIn connection;
  connection.record().closing.fail_next(IoError("no"));
  EXPECT_THROW(connection.close(), IoError);
  EXPECT_EQ(connection.record().closed(), 0U);
  EXPECT_TRUE(connection.ping());
  connection.close();
  EXPECT_EQ(connection.record().closed(), 1U);
}

// A factory

TEST(FactoryStandInTest, CountsWhatItMakes) {
  const FactoryStandIn factory;
  const StandInRecord& record = factory.record();
  auto first = factory();
  const auto second = FactoryStandIn(factory)();
  EXPECT_EQ(first->number(), 1U);
  EXPECT_EQ(second->number(), 2U);
  EXPECT_EQ(record.made(), 2U);
  EXPECT_EQ(record.alive(), 2U);
  first->close();
  first.reset();
  EXPECT_EQ(record.made(), 2U);
  EXPECT_EQ(record.alive(), 1U);
  EXPECT_EQ(record.closed(), 1U);
}

TEST(FactoryStandInTest, TellsWhichConnectionExecutedWhat) {
  const FactoryStandIn factory;
  const auto first = factory();
  const auto second = factory();
  second->execute("SELECT 2");
  first->execute("SELECT 1");
  second->execute("SELECT 3");
  EXPECT_EQ(factory.record().executed(), (Texts{"SELECT 2", "SELECT 1", "SELECT 3"}));
  EXPECT_EQ(factory.record().executed_by(1), Texts{"SELECT 1"});
  EXPECT_EQ(factory.record().executed_by(2), (Texts{"SELECT 2", "SELECT 3"}));
}

TEST(FactoryStandInTest, FailsToMakeOneOnCommand) {
  const FactoryStandIn factory;
  factory.record().making.fail_nth(2, OpenError("no"));
  const auto first = factory();
  EXPECT_THROW(static_cast<void>(factory()), OpenError);
  EXPECT_EQ(factory.record().made(), 1U);
  EXPECT_EQ(factory.record().alive(), 1U);
  EXPECT_EQ(factory()->number(), 2U);
}

// In a pool

TEST(StandInsInAPool, AreMadeLentAndClosed) {
  const FactoryStandIn factory;
  {
    StandInPool pool(factory, {.max = 2});
    {
      const auto first = pool.acquire();
      const auto second = pool.acquire();
      first->execute("SELECT 1");
    }
    EXPECT_EQ(factory.record().alive(), 2U);
    EXPECT_EQ(factory.record().closed(), 0U);
  }
  EXPECT_EQ(factory.record().made(), 2U);
  EXPECT_EQ(factory.record().alive(), 0U);
  EXPECT_EQ(factory.record().closed(), 2U);
}

TEST(StandInsInAPool, TellItThatNoneCanBeMade) {
  const FactoryStandIn factory;
  factory.record().making.fail_next(OpenError("the server is down"));
  StandInPool pool(factory);
  EXPECT_THROW(static_cast<void>(pool.acquire()), OpenError);
  EXPECT_EQ(pool.acquire()->number(), 1U);
}

TEST(StandInsInAPool, AreReplacedWhenTheirPingFails) {
  const FactoryStandIn factory;
  StandInPool pool(factory, {.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}});
  EXPECT_EQ(pool.acquire()->number(), 1U);
  factory.record().pinging.fail_next(IoError("gone away"));
  EXPECT_EQ(pool.acquire()->number(), 2U);
  EXPECT_EQ(factory.record().closed(), 1U);
  EXPECT_EQ(pool.acquire()->number(), 2U);
}

TEST(StandInsInAPool, GoAlsoWhenTheirClosingFails) {
  const FactoryStandIn factory;
  {
    StandInPool pool(factory);
    static_cast<void>(pool.acquire());
    factory.record().closing.fail_each(IoError("no"));
  }
  EXPECT_EQ(factory.record().alive(), 0U);
  EXPECT_EQ(factory.record().closed(), 0U);
}

TEST(StandInsInAPool, GrowOldByAManualClock) {
  const FactoryStandIn factory;
  ManualClock clock;
  StandInPool pool(factory, {.upkeep = {.idle_timeout = 1min, .maintenance = Maintenance::by_hand}}, {},
                   clock.for_pool());
  static_cast<void>(pool.acquire());
  clock.advance(1min - 1ns);
  pool.maintain_now();
  EXPECT_EQ(factory.record().closed(), 0U);
  clock.advance(1ns);
  pool.maintain_now();
  EXPECT_EQ(factory.record().closed(), 1U);
}

TEST(StandInsInAPool, ShowWhatARetryDoes) {
  const FactoryStandIn factory;
  StandInPool pool(factory);
  factory.record().executing.fail_next(BusyError("another process writes", {.retryable = true}));
  with_retry({.attempts = 2, .first_pause = 0ms}, [&] { pool.acquire()->execute("DELETE FROM note"); });
  EXPECT_EQ(factory.record().executed(), (Texts{"DELETE FROM note", "DELETE FROM note"}));
}

TEST(StandInsInAPool, OfSeveralPoolsTakeTurns) {
  const FactoryStandIn first;
  const FactoryStandIn second;
  std::vector<MultiPool<ConnectionStandIn>::Member> members;
  members.push_back({"first", std::make_unique<StandInPool>(first)});
  members.push_back({"second", std::make_unique<StandInPool>(second)});
  MultiPool<ConnectionStandIn> replicas(Choice::round_robin, std::move(members));
  second.record().making.fail_each(OpenError("down"));
  for (const char* sql : {"SELECT 1", "SELECT 2"}) replicas.acquire()->execute(sql);
  EXPECT_EQ(first.record().executed(), (Texts{"SELECT 1", "SELECT 2"}));
  EXPECT_EQ(second.record().made(), 0U);
}

TEST(StandInsInAPool, MayBeUsedFromAllThreads) {
  const FactoryStandIn factory;
  StandInPool pool(factory, {.max = 2, .acquire_timeout = 1h});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < 100; ++n) pool.acquire()->execute("SELECT 1");
      });
    }
  }
  EXPECT_EQ(factory.record().executed(), Texts(400, "SELECT 1"));
  EXPECT_LE(factory.record().made(), 2U);
}

}  // namespace
}  // namespace sqlane
