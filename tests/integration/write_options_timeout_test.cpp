#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>

#include "support/expect_error.hpp"
#include "support/lane_queue.hpp"
#include "support/titled_writes.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::await_sql;
using testing::error_of;
using testing::LaneQueue;
using testing::mentions;
using testing::TitledWrites;

// Of waiting for the lane

class TimeoutOfAWrite : public TitledWrites {};

TEST_F(TimeoutOfAWrite, OverridesALongerOneOfTheDatabaseAndNamesTheHolderAndItsStatement) {
  std::stop_source stop;
  std::jthread holder([&] {
    EXPECT_THROW(db.write({.stop = stop.get_token()}, [](Transaction& tx) { tx.execute(kEndlessWrite); },
                          {"holder.cpp", 7, "hold"}),
                 InterruptedError);
  });
  await_sql(db, "endless");
  const auto expect_named = [](const TimeoutError& error) {
    EXPECT_TRUE(mentions(error, "for waiter.cpp:9 (wait)")) << error.what();
    EXPECT_TRUE(mentions(error, "held by holder.cpp:7 (hold)")) << error.what();
    EXPECT_TRUE(mentions(error, std::string("running \"") + kEndlessWrite + "\"")) << error.what();
    EXPECT_TRUE(error.is_retryable());
  };
  constexpr CallSite kWaiter{"waiter.cpp", 9, "wait"};
  bool has_run = false;
  expect_named(error_of<TimeoutError>([&] {
    db.write(
        {.timeout = 0ms}, [&](Transaction&) { has_run = true; }, kWaiter);
  }));
  expect_named(
      error_of<TimeoutError>([&] { static_cast<void>(db.begin({.timeout = 1ms}, Behavior::immediate, kWaiter)); }));
  stop.request_stop();
  holder.join();
  EXPECT_FALSE(has_run);
  EXPECT_EQ(titles(), Titles());
}

class TimeoutOfAPatientWrite : public TitledWrites {
 protected:
  TimeoutOfAPatientWrite() : TitledWrites({.run_time = 1h}, 0ms) {}
};

TEST_F(TimeoutOfAPatientWrite, OverridesAShorterOneOfTheDatabase) {
  LaneQueue queue(db);
  add(queue, "patient", {.timeout = 1h});
  std::jthread([&] { EXPECT_THROW(db.execute("INSERT INTO note VALUES ('impatient')"), TimeoutError); }).join();
  queue.run();
  EXPECT_EQ(titles(), Titles{"patient"});
}

// Of a statement

// Longer than any limit below, but with an end.
constexpr const char* kLongRead =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n";

class TimeoutOfAStatement : public TitledWrites {
 protected:
  static void expect_named(const TimeoutError& error, const char* sql) {
    EXPECT_EQ(error.sql(), sql);
    EXPECT_TRUE(mentions(error, "longer than 1 ms")) << error.what();
    EXPECT_TRUE(mentions(error, sql)) << error.what();
  }
  // On the same connections as all before: there is one of each kind.
  void expect_no_limit_left() {
    EXPECT_EQ(db.query_one<std::int64_t>(kLongRead), 300'000);
    db.write([](Transaction& tx) { EXPECT_EQ(tx.query_one<std::int64_t>(kLongRead), 300'000); });
    const Transaction tx = db.begin();
    EXPECT_EQ(tx.query_one<std::int64_t>(kLongRead), 300'000);
  }
};

TEST_F(TimeoutOfAStatement, UndoesAJobThatWrites) {
  const auto job = [](Transaction& tx) {
    insert(tx, "undone");
    tx.execute(kEndlessWrite);
  };
  const TimeoutError error = error_of<TimeoutError>([&] { db.write({.statement_timeout = 1ms}, job); });
  expect_named(error, kEndlessWrite);
  EXPECT_TRUE(error.transaction_ended());
  EXPECT_EQ(titles(), Titles());
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, UndoesAJobThatReads) {
  const auto job = [](Transaction& tx) {
    insert(tx, "undone");
    static_cast<void>(tx.query_one<std::int64_t>(kEndlessRead));
  };
  expect_named(error_of<TimeoutError>([&] { db.write({.statement_timeout = 1ms}, job); }), kEndlessRead);
  EXPECT_EQ(titles(), Titles());
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, LeavesAJobThatReadsAndMakesDoWithoutAnAnswer) {
  const auto job = [](Transaction& tx) {
    insert(tx, "kept");
    EXPECT_THROW(tx.query_one<std::int64_t>(kEndlessRead), TimeoutError);
    insert(tx, "later");
  };
  db.write({.statement_timeout = 1ms}, job);
  EXPECT_EQ(titles(), (Titles{"kept", "later"}));
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, IsSurvivedByTheNeighboursInTheQueue) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title);
  queue.add([&] {
    EXPECT_THROW(db.write({.statement_timeout = 1ms}, [](Transaction& tx) { tx.execute(kEndlessWrite); }),
                 TimeoutError);
  });
  for (const char* title : {"c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(titles(), (Titles{"a", "b", "c", "d"}));
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, EndsARead) {
  const auto job = [](const Snapshot& s) { static_cast<void>(s.query_one<std::int64_t>(kEndlessRead)); };
  expect_named(error_of<TimeoutError>([&] { db.read({.statement_timeout = 1ms}, job); }), kEndlessRead);
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, LeavesASnapshotUsable) {
  db.execute("INSERT INTO note VALUES ('a')");
  {
    const Snapshot snapshot = db.snapshot({.statement_timeout = 1ms});
    expect_named(error_of<TimeoutError>([&] { snapshot.query_one<std::int64_t>(kEndlessRead); }), kEndlessRead);
    db.execute("INSERT INTO note VALUES ('b')");
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 1) << "still of the same state";
  }
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, EndsTheTransactionOfAGuardThatWrites) {
  {
    Transaction tx = db.begin({.statement_timeout = 1ms});
    insert(tx, "undone");
    const TimeoutError error = error_of<TimeoutError>([&] { tx.execute(kEndlessWrite); });
    expect_named(error, kEndlessWrite);
    EXPECT_TRUE(error.transaction_ended());
    EXPECT_THROW(insert(tx, "alone"), TransactionAborted);
  }
  EXPECT_EQ(titles(), Titles());
  expect_no_limit_left();
}

TEST_F(TimeoutOfAStatement, LeavesAGuardThatReadUsable) {
  {
    Transaction tx = db.begin({.statement_timeout = 1ms});
    insert(tx, "a");
    const TimeoutError error = error_of<TimeoutError>([&] { tx.query_one<std::int64_t>(kEndlessRead); });
    expect_named(error, kEndlessRead);
    EXPECT_FALSE(error.transaction_ended());
    insert(tx, "b");
    tx.commit();
  }
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
  expect_no_limit_left();
}

}  // namespace
}  // namespace sqlane
