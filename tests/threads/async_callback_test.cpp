#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

// Callbacks of asynchronous writes may use the database, on whatever thread
// they run, and keep nobody else from hearing of his own write.

namespace sqlane {
namespace {

using std::chrono::milliseconds;

class AsyncCallback : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    options.path = folder_ / "a.db";
    options.durability = Durability::normal;
    options.acquire_timeout = std::chrono::hours(1);
    Database db = Database::open(options);
    db.execute("CREATE TABLE t (a)");
    return db;
  }

  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static int count(const Database& db) { return db.query_one<int>("SELECT count(*) FROM t"); }
  static void await_waiting(const Database& db, std::size_t count) {
    while (true) {
      const std::optional<LaneHolder> holder = db.lane_holder();
      if (holder && holder->waiting == count) return;
      std::this_thread::yield();
    }
  }
  // Runs in a callback, which must not throw; gives what went wrong.
  template <class Action>
  static std::string outcome_of(Action&& action) noexcept {
    try {
      action();
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(AsyncCallback, ComesOnceAfterTheCommit) {
  Database db = open();
  std::atomic<int> calls = 0;
  std::atomic<int> seen = 0;
  db.write_async([&](Transaction& tx) {
      add_one(tx);
      tx.on_commit([&]() noexcept {
        ++calls;
        seen = count(db);
      });
      tx.on_rollback([&]() noexcept { calls += 100; });
    }).get();
  db.close();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(seen, 1);
}

TEST_F(AsyncCallback, ComesOnceAfterARollback) {
  Database db = open();
  std::atomic<int> calls = 0;
  auto failed = db.write_async([&](Transaction& tx) {
    tx.on_commit([&]() noexcept { calls += 100; });
    tx.on_rollback([&]() noexcept { ++calls; });
    throw std::runtime_error("no");
  });
  db.close();
  EXPECT_THROW(failed.get(), std::runtime_error);
  EXPECT_EQ(calls, 1);
}

TEST_F(AsyncCallback, ComesBeforeTheFuture) {
  Database db = open();
  std::atomic<bool> has_come = false;
  db.write_async([&](Transaction& tx) { tx.on_commit([&]() noexcept { has_come = true; }); }).get();
  EXPECT_TRUE(has_come);
}

TEST_F(AsyncCallback, MayWriteAndPost) {
  Database db = open();
  std::string outcome = "never came";
  std::optional<WriteFuture<void>> second;
  db.write_async([&](Transaction& tx) {
      tx.on_commit([&]() noexcept {
        outcome = outcome_of([&] {
          db.write(add_one);
          second = db.write_async(add_one);
        });
      });
    }).get();
  EXPECT_EQ(outcome, "");
  second->get();
  EXPECT_EQ(count(db), 2);
}

TEST_F(AsyncCallback, MayWriteWhenACheckpointIsDue) {
  Database db = open({.checkpoint_pages = 1});
  std::string outcome = "never came";
  db.write_async([&](Transaction& tx) {
      add_one(tx);
      tx.on_commit([&]() noexcept { outcome = outcome_of([&] { db.write(add_one); }); });
    }).get();
  EXPECT_EQ(outcome, "");
  EXPECT_EQ(count(db), 2);
}

TEST_F(AsyncCallback, MayBeginAGuardWhenACheckpointIsDue) {
  Database db = open({.checkpoint_pages = 1});
  std::string outcome = "never came";
  db.write_async([&](Transaction& tx) {
      add_one(tx);
      tx.on_commit([&]() noexcept { outcome = outcome_of([&] { db.begin().commit(); }); });
    }).get();
  EXPECT_EQ(outcome, "");
}

// The write that it belongs to has ended, so it takes no room any more.
TEST_F(AsyncCallback, FindsRoomInAQueueThatItsOwnWriteFilled) {
  Database db = open({.async_queue = 1});
  std::string outcome = "never came";
  db.write_async([&](Transaction& tx) {
      tx.on_commit(
          [&]() noexcept { outcome = outcome_of([&] { db.write_async({.when_full = WhenFull::refuse}, add_one); }); });
    }).get();
  db.close();
  EXPECT_EQ(outcome, "");
}

TEST_F(AsyncCallback, KeepsNobodyWaitingWhoSharedItsCommit) {
  // main                      writer
  // has the lane
  // posts                     waits for the lane
  // lets go                   both are committed together
  //                           hears of it
  //   <------- written ------
  // the callback ends
  Database db = open();
  std::latch is_written(1);
  std::jthread writer;
  WriteFuture<void> posted;
  {
    Transaction tx = db.begin();
    posted = db.write_async([&](Transaction& inner) { inner.on_commit([&]() noexcept { is_written.wait(); }); });
    writer = std::jthread([&] {
      db.write(add_one);
      is_written.count_down();
    });
    await_waiting(db, 2);
  }
  posted.get();
}

TEST_F(AsyncCallback, MayReadWhileOneWhoSharedItsCommitHasTheReader) {
  // main                      writer
  //                           has the only reader
  // has the lane
  // posts                     waits for the lane
  // lets go                   both are committed together
  // the callback asks for a reader, and gets it when the writer has heard of its commit
  Database db = open({.readers = 1});
  std::string outcome = "never came";
  std::jthread writer;
  WriteFuture<void> posted;
  {
    Transaction tx = db.begin();
    posted = db.write_async([&](Transaction& inner) {
      inner.on_commit([&]() noexcept { outcome = outcome_of([&] { static_cast<void>(count(db)); }); });
    });
    writer = std::jthread([&] {
      const Snapshot snapshot = db.snapshot();
      db.write(add_one);
    });
    await_waiting(db, 2);
  }
  posted.get();
  EXPECT_EQ(outcome, "");
}

TEST_F(AsyncCallback, KeepsNobodyWaitingBehindAPostedJobWhileTheLaneIsFree) {
  // main                      lane's thread             writer
  // posts one, alone          runs it
  // posts two                                           waits behind two
  //                           the callback of one
  //                              <------- written ------ has the lane, which is free
  Database db = open();
  std::latch are_queued(1);
  std::latch is_written(1);
  auto one = db.write_async({.grouping = Grouping::alone}, [&](Transaction& tx) {
    tx.on_commit([&]() noexcept { is_written.wait(); });
    are_queued.wait();
  });
  while (!db.lane_holder()) std::this_thread::yield();
  auto two = db.write_async(add_one);
  std::jthread writer([&] {
    db.write(add_one);
    is_written.count_down();
  });
  await_waiting(db, 2);
  are_queued.count_down();
  one.get();
  two.get();
}

TEST_F(AsyncCallback, HearsThatWaitingForOneBehindItInItsBatchWouldNeverEnd) {
  // Whichever thread tells of the batch, here a writer's.
  Database db = open();
  std::atomic<bool> has_heard = false;
  WriteFuture<void> first;
  WriteFuture<void> second;
  std::jthread writer;
  {
    Transaction tx = db.begin();
    writer = std::jthread([&] { db.write(add_one); });
    await_waiting(db, 1);
    first = db.write_async([&](Transaction& inner) {
      inner.on_commit([&]() noexcept {
        try {
          second.wait();
          has_heard = true;  // it had been told before, which is as good
        } catch (const UsageError&) {
          has_heard = true;
        }
      });
    });
    second = db.write_async(add_one);
    await_waiting(db, 3);
  }
  writer.join();
  db.close();  // after the last callback
  EXPECT_TRUE(has_heard);
}

TEST_F(AsyncCallback, CannotCloseOnAnotherWritersThread) {
  Database db = open();
  std::string outcome = "never came";
  std::jthread writer;
  WriteFuture<void> future;
  {
    Transaction tx = db.begin();
    writer = std::jthread([&] { db.write(add_one); });
    await_waiting(db, 1);
    future = db.write_async(
        [&](Transaction& inner) { inner.on_commit([&]() noexcept { outcome = outcome_of([&] { db.close(); }); }); });
    await_waiting(db, 2);
  }
  writer.join();
  future.wait();
  EXPECT_TRUE(testing::mentions(outcome, "closing at")) << outcome;
}

// Each commit's callback posts the next job and writes: that must not pile up on the stack.
TEST_F(AsyncCallback, MayStartTheNextOfALongChain) {
  constexpr int kLinks = 20'000;
  Database db = open();
  std::latch is_over(1);
  int links = 0;  // of one callback after the other
  std::string outcome;
  std::function<void(Transaction&)> link = [&](Transaction& tx) {
    tx.on_commit([&]() noexcept {
      if (++links == kLinks || !outcome.empty()) {
        is_over.count_down();
        return;
      }
      outcome = outcome_of([&] {
        db.write_async(link);
        db.write([](Transaction&) {});
      });
    });
  };
  db.write_async(link);
  is_over.wait();
  db.close();
  EXPECT_EQ(outcome, "");
  EXPECT_EQ(links, kLinks);
}

TEST_F(AsyncCallback, MayWriteAndPostWhileOthersDo) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 300;  // of each thread
  Database db = open({.checkpoint_pages = 20});
  std::atomic<int> callbacks = 0;
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kJobs; ++i) {
          if (t == 0) {
            db.write(add_one);
            continue;
          }
          db.write_async([&](Transaction& tx) {
            add_one(tx);
            tx.on_commit([&]() noexcept {
              if (const std::string outcome = outcome_of([&] {
                    db.write(add_one);
                    db.write_async(add_one);
                  });
                  !outcome.empty() && ++failures == 1) {
                ADD_FAILURE() << outcome;
              }
              ++callbacks;
            });
          });
        }
      });
    }
  }
  while (callbacks < (kThreads - 1) * kJobs) std::this_thread::yield();
  EXPECT_EQ(failures, 0);
  db.close();
  EXPECT_EQ(count(Database::open(folder_ / "a.db")), kThreads * kJobs + 2 * (kThreads - 1) * kJobs);
}

}  // namespace
}  // namespace sqlane
