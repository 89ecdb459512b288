#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::await_sql;
using testing::error_of;
using testing::ForeignConnection;
using testing::LaneQueue;
using testing::mentions;
using testing::TemporaryFolder;

// Count without an end: some hours, if nobody interrupts them.
constexpr const char* kEndlessRead =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT count(*) FROM n";
constexpr const char* kEndlessWrite =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) "
    "INSERT INTO note SELECT 'endless ' || count(*) FROM n";
// Longer than any limit below, but with an end.
constexpr const char* kLongRead =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n";

class WriteOptionsTest : public ::testing::Test {
 protected:
  explicit WriteOptionsTest(BatchLimits batch = {.run_time = 1h}, std::chrono::milliseconds acquire_timeout = 1h)
      : db(Database::open(folder / "app.db",
                          {.readers = 1,
                           .acquire_timeout = acquire_timeout,
                           .busy_timeout = 1h,
                           .batch = batch,
                           .on_write_sample = {.every = 1, .callback = [this](const WriteTrace& trace) {
                                                 const std::lock_guard lock(mutex);
                                                 jobs_of_last[std::this_thread::get_id()] = trace.jobs;
                                               }}})) {
    db.execute("CREATE TABLE note (title TEXT)");
  }

  using Titles = std::vector<std::string>;
  Titles titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  static void insert(Transaction& tx, const std::string& title) { tx.execute("INSERT INTO note VALUES (?)", title); }

  // What became of one job.
  struct Ran {
    std::string title;
    bool on_own_thread = false;
    std::thread::id thread;
    std::size_t jobs = 0;  // that shared its commit; 0 when it failed
  };

  // Queues a job that inserts its title.
  void add(LaneQueue& queue, const std::string& title, WriteOptions options = {}) {
    queue.add([this, title, options = std::move(options)] {
      const std::thread::id own = std::this_thread::get_id();
      std::size_t place = 0;
      db.write(options, [&](Transaction& tx) {
        insert(tx, title);
        place = ran.size();
        ran.push_back({title, std::this_thread::get_id() == own, std::this_thread::get_id()});
      });
      const std::lock_guard lock(mutex);
      jobs_of[title] = jobs_of_last[own];
    });
  }

  [[nodiscard]] std::vector<std::string> order() const {
    std::vector<std::string> all;
    for (const Ran& one : ran) all.push_back(one.title);
    return all;
  }
  // A batch is led by the thread of its first waiter.
  [[nodiscard]] std::size_t batches() const {
    std::set<std::thread::id> leaders;
    for (const Ran& one : ran) leaders.insert(one.thread);
    return leaders.size();
  }

  TemporaryFolder folder;
  std::mutex mutex;
  std::map<std::thread::id, std::size_t> jobs_of_last;  // by whoever asked
  std::map<std::string, std::size_t> jobs_of;
  std::vector<Ran> ran;  // by the lane's holder
  Database db;
};

// Grouping

class GroupingOfWrites : public WriteOptionsTest {};

TEST_F(GroupingOfWrites, RunsASharedOneThatWaitedOnTheThreadOfTheFirst) {
  LaneQueue queue(db);
  add(queue, "first");
  add(queue, "second");
  queue.run();
  EXPECT_EQ(order(), (Titles{"first", "second"}));
  EXPECT_TRUE(ran[0].on_own_thread);
  EXPECT_FALSE(ran[1].on_own_thread);
  EXPECT_EQ(ran[1].thread, ran[0].thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"first", 2}, {"second", 2}}));
}

TEST_F(GroupingOfWrites, RunsOneThatWaitedOnItsOwnThreadWhenAskedTo) {
  LaneQueue queue(db);
  add(queue, "before");
  add(queue, "own", {.grouping = Grouping::own_thread});
  queue.run();
  EXPECT_EQ(order(), (Titles{"before", "own"}));
  EXPECT_TRUE(ran[1].on_own_thread);
}

TEST_F(GroupingOfWrites, LetsThoseBehindShareTheCommitOfOneOnItsOwnThread) {
  LaneQueue queue(db);
  add(queue, "own", {.grouping = Grouping::own_thread});
  add(queue, "behind");
  add(queue, "last");
  queue.run();
  EXPECT_TRUE(ran[0].on_own_thread);
  EXPECT_FALSE(ran[1].on_own_thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"own", 3}, {"behind", 3}, {"last", 3}}));
}

TEST_F(GroupingOfWrites, GivesACommitOfItsOwnToOneThatWantsToBeAlone) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title);
  add(queue, "alone", {.grouping = Grouping::alone});
  for (const char* title : {"c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(order(), (Titles{"a", "b", "alone", "c", "d"}));
  EXPECT_TRUE(ran[2].on_own_thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"a", 2}, {"b", 2}, {"alone", 1}, {"c", 2}, {"d", 2}}));
}

TEST_F(GroupingOfWrites, KeepsTwoApartThatWantToBeAlone) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title, {.grouping = Grouping::alone});
  queue.run();
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"a", 1}, {"b", 1}}));
}

// before     guard      behind
// waits      waits      waits
// commits
//            begins: sees "before"
//            commits
//                       sees both
TEST_F(GroupingOfWrites, CommitsThoseBeforeAGuardBeforeItAndThoseBehindAfterIt) {
  LaneQueue queue(db);
  Titles when_guard_began;
  Titles when_behind_began;
  add(queue, "before");
  queue.add([&] {
    Transaction tx = db.begin();
    when_guard_began = titles();  // of a reader, so what is committed
    insert(tx, "guard");
    EXPECT_EQ(order(), Titles{"before"});
    tx.commit();
  });
  queue.add([&] { db.write([&](Transaction&) { when_behind_began = titles(); }); });
  queue.run();
  EXPECT_EQ(when_guard_began, Titles{"before"});
  EXPECT_EQ(when_behind_began, (Titles{"before", "guard"}));
}

// Priority

class PriorityOfWrites : public WriteOptionsTest {};

TEST_F(PriorityOfWrites, LetsTheHigherInFirst) {
  // The handicap of a normal one is 20 ms: those who waited for longer have made up for it.
  std::chrono::steady_clock::duration took{};
  do {
    const auto asked = std::chrono::steady_clock::now();
    ran.clear();
    LaneQueue queue(db);
    add(queue, "background", {.priority = Priority::background});
    add(queue, "normal");
    add(queue, "interactive", {.priority = Priority::interactive});
    took = std::chrono::steady_clock::now() - asked;
    queue.run();
  } while (took >= 20ms);
  EXPECT_EQ(order(), (Titles{"interactive", "normal", "background"}));
}

TEST_F(PriorityOfWrites, KeepsTheOrderOfAskingAmongEquals) {
  for (const Priority priority : {Priority::interactive, Priority::normal, Priority::background}) {
    ran.clear();
    LaneQueue queue(db);
    for (const char* title : {"a", "b", "c"}) add(queue, title, {.priority = priority});
    queue.run();
    EXPECT_EQ(order(), (Titles{"a", "b", "c"}));
  }
}

// Timeout

class TimeoutOfAWrite : public WriteOptionsTest {};

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

class TimeoutOfAPatientWrite : public WriteOptionsTest {
 protected:
  TimeoutOfAPatientWrite() : WriteOptionsTest({.run_time = 1h}, 0ms) {}
};

TEST_F(TimeoutOfAPatientWrite, OverridesAShorterOneOfTheDatabase) {
  LaneQueue queue(db);
  add(queue, "patient", {.timeout = 1h});
  std::jthread([&] { EXPECT_THROW(db.execute("INSERT INTO note VALUES ('impatient')"), TimeoutError); }).join();
  queue.run();
  EXPECT_EQ(titles(), Titles{"patient"});
}

// Stop token, while something waits

class StopOfAWait : public WriteOptionsTest {};

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

// Stop token, while a statement runs

class StopOfAStatement : public WriteOptionsTest {
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

// Statement timeout

class TimeoutOfAStatement : public WriteOptionsTest {
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

// Limits are of statements. What ends a transaction is none of them: it is not
// asked for by the job, and nobody could tell what became of a COMMIT that was
// cut short. (SQLite asks once in so many instructions, over all uses of a
// prepared statement; so it takes many transactions for this to show.)
class AStopThatCameAfterTheLastStatement : public WriteOptionsTest {
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

// Batch limits

class BatchOfTwo : public WriteOptionsTest {
 protected:
  BatchOfTwo() : WriteOptionsTest({.jobs = 2, .run_time = 1h}) {}
};

TEST_F(BatchOfTwo, IsCommittedWhenItIsFull) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d", "e", "f"}) add(queue, title);
  queue.run();
  EXPECT_EQ(order(), (Titles{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(batches(), 3U);
  for (const char* title : {"a", "b", "c", "d", "e", "f"}) EXPECT_EQ(jobs_of[title], 2U) << title;
}

class BatchOfNoTime : public WriteOptionsTest {
 protected:
  BatchOfNoTime() : WriteOptionsTest({.run_time = 0us}) {}
};

TEST_F(BatchOfNoTime, HoldsOneJob) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(batches(), 4U);
}

class BatchOfNoBytes : public WriteOptionsTest {
 protected:
  BatchOfNoBytes() : WriteOptionsTest({.run_time = 1h, .bytes = 1}) {}
};

TEST_F(BatchOfNoBytes, HoldsOneJobThatChangesPages) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title + std::string(20'000, '.'));
  queue.run();
  EXPECT_EQ(batches(), 4U);
}

class BatchOfAnyTime : public WriteOptionsTest {
 protected:
  BatchOfAnyTime() : WriteOptionsTest({.run_time = std::chrono::microseconds::max()}) {}
};

TEST_F(BatchOfAnyTime, TakesAllWhoWait) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(batches(), 1U);
}

}  // namespace
}  // namespace sqlane
