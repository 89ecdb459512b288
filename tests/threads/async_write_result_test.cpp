#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "support/async_writes.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::AsyncWrite;
using testing::await_waiting;
using testing::error_of;
using testing::mentions;

// What comes out. (Errors are looked at when the database is closed: standard libraries
// count the references to an exception in a way that thread sanitizers cannot see.)

TEST_F(AsyncWrite, GivesTheResultOfItsClosureOnceItIsCommitted) {
  Database db = open();
  testing::ForeignConnection foreign(folder_ / "a.db");
  auto future = db.write_async([](Transaction& tx) {
    add_one(tx);
    return 7;
  });
  EXPECT_EQ(future.get(), 7);
  EXPECT_EQ(foreign.ask("SELECT count(*) FROM t"), "1");
}

TEST_F(AsyncWrite, GivesNothingWhenItsClosureGivesNothing) {
  Database db = open();
  db.write_async(add_one).get();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, GivesWhatCanOnlyBeMoved) {
  Database db = open();
  auto future = db.write_async([owned = std::make_unique<int>(7)](Transaction&) mutable { return std::move(owned); });
  EXPECT_EQ(*future.get(), 7);
}

TEST_F(AsyncWrite, GivesTheExceptionOfItsClosure) {
  Database db = open();
  auto future = db.write_async([](Transaction& tx) {
    add_one(tx);
    throw std::out_of_range("no such note");
  });
  db.close();
  EXPECT_TRUE(mentions(error_of<std::out_of_range>([&] { future.get(); }), "no such note"));
  EXPECT_EQ(count(), 0);
}

TEST_F(AsyncWrite, GivesTheErrorOfItsCommit) {
  Database db = open();
  db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  db.execute("CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
  auto future = db.write_async([](Transaction& tx) { tx.execute("INSERT INTO child VALUES (1)"); });
  db.close();
  EXPECT_THROW(future.get(), ConstraintError);
  EXPECT_EQ(open().query_one<int>("SELECT count(*) FROM child"), 0);
}

TEST_F(AsyncWrite, GivesTheErrorOfAnotherProcesssLock) {
  Database db = open({.busy_timeout = milliseconds(0)});
  testing::ForeignConnection foreign(folder_ / "a.db");
  foreign.run("BEGIN IMMEDIATE");
  auto future = db.write_async(add_one);
  future.wait();
  foreign.run("COMMIT");
  EXPECT_NO_THROW(db.write_async(add_one).get());
  db.close();
  EXPECT_THROW(future.get(), BusyError);
}

TEST_F(AsyncWrite, HappensAlthoughItsFutureWasDropped) {
  Database db = open();
  for (int i = 0; i < 100; ++i) static_cast<void>(db.write_async(add_one));
  db.close();
  EXPECT_EQ(count(), 100);
}

TEST_F(AsyncWrite, DestroysItsClosureAfterwards) {
  Database db = open();
  const auto kept = std::make_shared<int>();
  db.write_async([kept](Transaction&) {}).get();
  db.close();  // a future is told before its closure goes
  EXPECT_EQ(kept.use_count(), 1);
}

TEST_F(AsyncWrite, RunsOnAnotherThreadWhenTheLaneIsIdle) {
  Database db = open();
  auto future = db.write_async([](Transaction&) { return std::this_thread::get_id(); });
  EXPECT_NE(future.get(), std::this_thread::get_id());
}

TEST_F(AsyncWrite, IsRefusedWhenItWasStoppedBefore) {
  Database db = open();
  std::stop_source stop;
  stop.request_stop();
  bool has_run = false;
  EXPECT_THROW(db.write_async({.stop = stop.get_token()}, [&](Transaction&) { has_run = true; }), InterruptedError);
  db.close();
  EXPECT_FALSE(has_run);
}

TEST_F(AsyncWrite, EndsItsWaitingWhenItIsStopped) {
  // With the lane held all the time.
  Database db = open();
  std::stop_source stop;
  Transaction tx = db.begin();
  std::future<void> future = db.write_async({.stop = stop.get_token()}, add_one);
  stop.request_stop();
  future.wait();
  tx.rollback();
  db.close();
  EXPECT_THROW(future.get(), InterruptedError);
}

TEST_F(AsyncWrite, SharesACommitInTheOrderOfAsking) {
  // main                      writer
  // has the lane
  // posts 1
  //                           asks to write 2: waits
  // posts 3, 4
  // lets go: 1, 2, 3, 4 in one commit
  std::mutex mutex;
  std::vector<std::size_t> shared;
  Database db = open({.on_write_sample = {.every = 1, .callback = [&](const WriteTrace& trace) {
                                            const std::lock_guard lock(mutex);
                                            shared.push_back(trace.jobs);
                                          }}});
  shared.clear();
  std::jthread writer;
  std::vector<WriteFuture<void>> futures;
  {
    Transaction tx = db.begin();
    futures.push_back(db.write_async(adding(1)));
    writer = std::jthread([&] { db.write(adding(2)); });
    await_waiting(db, 2);
    futures.push_back(db.write_async(adding(3)));
    futures.push_back(db.write_async(adding(4)));
  }
  for (auto& future : futures) future.get();
  writer.join();
  db.close();
  EXPECT_EQ(values(), (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(shared, (std::vector<std::size_t>{4, 4, 4, 4}));
}

TEST_F(AsyncWrite, FailsAloneInACommitThatItShares) {
  Database db = open();
  std::vector<WriteFuture<void>> futures;
  {
    Transaction tx = db.begin();
    for (int i = 0; i < 5; ++i) {
      futures.push_back(db.write_async([i](Transaction& inner) {
        inner.execute("INSERT INTO t VALUES (?)", i);
        if (i == 2) throw std::runtime_error("not this one");
      }));
    }
  }
  db.close();
  for (std::size_t i = 0; i < 5; ++i) {
    if (i == 2) {
      EXPECT_THROW(futures[i].get(), std::runtime_error);
    } else {
      EXPECT_NO_THROW(futures[i].get());
    }
  }
  EXPECT_EQ(values(), (std::vector{0, 1, 3, 4}));
}

}  // namespace
}  // namespace sqlane
