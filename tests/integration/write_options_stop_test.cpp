#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/titled_writes.hpp"

namespace sqlane {
namespace {

using testing::await_sql;
using testing::error_of;
using testing::ForeignConnection;
using testing::LaneQueue;
using testing::mentions;
using testing::TitledWrites;

// While something waits

class StopOfAWait : public TitledWrites {};

TEST_F(StopOfAWait, RefusesWhatWasStoppedBeforeItBegan) {
  std::stop_source stop;
  stop.request_stop();
  int runs = 0;
  const InterruptedError error = error_of<InterruptedError>([&] {
    db.write({.stop = stop.get_token()}, [&](Transaction&) { ++runs; }, {"here.cpp", 3, "run"});
  });
  EXPECT_TRUE(mentions(error, "here.cpp:3 (run)")) << error.what();
  EXPECT_THROW(static_cast<void>(db.begin({.stop = stop.get_token()})), InterruptedError);
  EXPECT_THROW(db.read({.stop = stop.get_token()}, [&](const Snapshot&) { ++runs; }), InterruptedError);
  EXPECT_THROW(static_cast<void>(db.snapshot({.stop = stop.get_token()})), InterruptedError);
  EXPECT_EQ(runs, 0);
  EXPECT_FALSE(db.lane_holder());
}

TEST_F(StopOfAWait, EndsItWhileTheLaneIsStillHeldAndLeavesTheOthersInTheirOrder) {
  std::stop_source stop;
  bool has_run = false;
  LaneQueue queue(db);
  add(queue, "a");
  queue.add([&] {
    EXPECT_THROW(db.write({.stop = stop.get_token()}, [&](Transaction&) { has_run = true; }), InterruptedError);
  });
  add(queue, "b");
  queue.add([&] { EXPECT_THROW(static_cast<void>(db.begin({.stop = stop.get_token()})), InterruptedError); });
  add(queue, "c");
  stop.request_stop();
  queue.left(2);
  queue.run();
  EXPECT_FALSE(has_run);
  EXPECT_EQ(titles(), (Titles{"a", "b", "c"}));
  EXPECT_EQ(batches(), 1U);
}

TEST_F(StopOfAWait, EndsTheWaitingForAReader) {
  std::stop_source stop;
  std::atomic<int> asking = 0;
  bool has_run = false;
  Snapshot only = db.snapshot();
  std::jthread reader([&] {
    ++asking;
    EXPECT_THROW(db.read({.stop = stop.get_token()}, [&](const Snapshot&) { has_run = true; }), InterruptedError);
  });
  std::jthread snapshot([&] {
    ++asking;
    EXPECT_THROW(static_cast<void>(db.snapshot({.stop = stop.get_token()})), InterruptedError);
  });
  while (asking < 2) std::this_thread::yield();
  stop.request_stop();
  reader.join();
  snapshot.join();
  EXPECT_FALSE(has_run);
}

// db                            another connection
//                               has the write lock
// BEGIN: waits for it
// stop: InterruptedError
//                               lets go
// writes
TEST_F(StopOfAWait, EndsTheWaitingForALockOfAnotherProcess) {
  ForeignConnection other(folder / "app.db");
  other.run("BEGIN IMMEDIATE");
  bool has_run = false;
  const auto write = [&](std::stop_token stop) {
    db.write({.stop = std::move(stop)}, [&](Transaction&) { has_run = true; });
  };
  const auto begin = [&](std::stop_token stop) { static_cast<void>(db.begin({.stop = std::move(stop)})); };
  for (const std::function<void(std::stop_token)>& action : {std::function<void(std::stop_token)>(write), {begin}}) {
    std::stop_source stop;
    std::jthread waiter([&] { EXPECT_THROW(action(stop.get_token()), InterruptedError); });
    await_sql(db, "BEGIN IMMEDIATE");
    stop.request_stop();
  }
  EXPECT_FALSE(has_run);
  other.run("ROLLBACK");
  db.execute("INSERT INTO note VALUES ('after')");
  EXPECT_EQ(titles(), Titles{"after"});
}

// While a statement runs

class StopOfAStatement : public TitledWrites {
 protected:
  // Requests the stop as soon as a statement that contains `part` runs in the lane.
  void stop_when_it_runs(std::stop_source stop, const char* part) {
    stopper = std::jthread([this, stop, part]() mutable {
      await_sql(db, part);
      stop.request_stop();
    });
  }

  std::jthread stopper;
};

TEST_F(StopOfAStatement, UndoesTheWholeJobAndNamesTheStatement) {
  std::stop_source stop;
  stop_when_it_runs(stop, "endless");
  int rolled_back = 0;
  const InterruptedError error = error_of<InterruptedError>([&] {
    db.write({.stop = stop.get_token()}, [&](Transaction& tx) {
      tx.on_rollback([&]() noexcept { ++rolled_back; });
      insert(tx, "undone");
      tx.execute(kEndlessWrite);
    });
  });
  EXPECT_EQ(error.sql(), kEndlessWrite);
  EXPECT_EQ(error.database(), (folder / "app.db").string());
  EXPECT_EQ(rolled_back, 1);
  EXPECT_EQ(titles(), Titles());
}

TEST_F(StopOfAStatement, EndsAReadInsideAWriteAndRefusesTheNextStatement) {
  std::stop_source stop;
  stop_when_it_runs(stop, "SELECT count");
  const auto job = [](Transaction& tx) {
    insert(tx, "undone");
    EXPECT_THROW(tx.query_one<std::int64_t>(kEndlessRead), InterruptedError);
    insert(tx, "after the stop");
  };
  EXPECT_THROW(db.write({.stop = stop.get_token()}, job), InterruptedError);
  EXPECT_EQ(titles(), Titles());
}

TEST_F(StopOfAStatement, IsSurvivedByTheNeighboursInTheQueue) {
  for (const char* endless : {kEndlessWrite, kEndlessRead}) {
    std::stop_source stop;
    db.execute("DELETE FROM note");
    LaneQueue queue(db);
    for (const char* title : {"a", "b"}) add(queue, title);
    queue.add([&] {
      const auto job = [&](Transaction& tx) {
        insert(tx, "undone");
        tx.execute(runtime_sql(endless));
      };
      EXPECT_THROW(db.write({.stop = stop.get_token()}, job), InterruptedError);
    });
    for (const char* title : {"c", "d"}) add(queue, title);
    stop_when_it_runs(stop, "1000000000000");
    queue.run();
    EXPECT_EQ(titles(), (Titles{"a", "b", "c", "d"})) << endless;
  }
}

TEST_F(StopOfAStatement, ThatNeverCameLetsOthersShareTheCommit) {
  std::stop_source stop;
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title);
  add(queue, "interruptible", {.stop = stop.get_token()});
  for (const char* title : {"c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(jobs_of,
            (std::map<std::string, std::size_t>{{"a", 2}, {"b", 2}, {"interruptible", 3}, {"c", 3}, {"d", 3}}));
}

TEST_F(StopOfAStatement, EndsTheTransactionOfAGuardThatWrites) {
  std::stop_source stop;
  stop_when_it_runs(stop, "endless");
  {
    Transaction tx = db.begin({.stop = stop.get_token()});
    insert(tx, "undone");
    EXPECT_TRUE(error_of<InterruptedError>([&] { tx.execute(kEndlessWrite); }).transaction_ended());
    EXPECT_EQ(tx.state(), TransactionState::aborted);
    EXPECT_THROW(insert(tx, "alone"), TransactionAborted);
  }
  EXPECT_EQ(titles(), Titles());
}

TEST_F(StopOfAStatement, LeavesAGuardThatOnlyReadAtTheTimeToBeCommitted) {
  std::stop_source stop;
  stop_when_it_runs(stop, "SELECT count");
  {
    Transaction tx = db.begin({.stop = stop.get_token()});
    insert(tx, "kept");
    EXPECT_FALSE(error_of<InterruptedError>([&] { tx.query_one<std::int64_t>(kEndlessRead); }).transaction_ended());
    tx.commit();
  }
  EXPECT_EQ(titles(), Titles{"kept"});
}

// Limits are of statements. What ends a transaction is none of them: it is not
// asked for by the job, and nobody could tell what became of a COMMIT that was
// cut short. (SQLite asks once in so many instructions, over all uses of a
// prepared statement; so it takes many transactions for this to show.)
class AStopThatCameAfterTheLastStatement : public TitledWrites {
 protected:
  static constexpr int kTransactions = 1500;
};

TEST_F(AStopThatCameAfterTheLastStatement, DoesNotCutACommitShort) {
  for (int i = 0; i < kTransactions; ++i) {
    std::stop_source stop;
    Transaction tx = db.begin({.stop = stop.get_token()});
    tx.execute("INSERT INTO note VALUES ('a')");
    stop.request_stop();
    ASSERT_NO_THROW(tx.commit()) << "transaction " << i;
  }
}

TEST_F(AStopThatCameAfterTheLastStatement, DoesNotCostAMemoryDatabase) {
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE note (title TEXT)");
  for (int i = 0; i < kTransactions; ++i) {
    std::stop_source stop;
    memory.read({.stop = stop.get_token()}, [&](const Snapshot& s) {
      EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 0);
      stop.request_stop();
    });
    ASSERT_NO_THROW(static_cast<void>(memory.query_one<int>("SELECT count(*) FROM note"))) << "read " << i;
  }
}

TEST_F(AStopThatCameAfterTheLastStatement, DoesNotKeepASavepointFromBeingUndoneAlone) {
  for (int i = 0; i < kTransactions; ++i) {
    std::stop_source stop;
    Transaction tx = db.begin({.stop = stop.get_token()});
    insert(tx, "kept");
    {
      const Savepoint undone = tx.savepoint();
      insert(tx, "undone");
      stop.request_stop();
    }
    ASSERT_EQ(tx.state(), TransactionState::open) << "transaction " << i;
    tx.rollback();
  }
}

}  // namespace
}  // namespace sqlane
