#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lane/writer_lane.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/manual_clock.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::error_of;
using testing::mentions;

constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
constexpr CallSite kThere{"index.cpp", 7, "rebuild"};

// With an hour to wait, what waits in vain shows as a test that hangs.
class AsyncWrite : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    options.path = folder_ / "a.db";
    options.durability = Durability::normal;
    if (options.acquire_timeout == Options{}.acquire_timeout) options.acquire_timeout = hours(1);
    Database db = Database::open(options);
    db.execute("CREATE TABLE IF NOT EXISTS t (a)");
    return db;
  }

  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static auto adding(int value) {
    return [value](Transaction& tx) { tx.execute("INSERT INTO t VALUES (?)", value); };
  }
  [[nodiscard]] std::vector<int> values() const {
    return Database::open(folder_ / "a.db").query<int>("SELECT a FROM t ORDER BY rowid");
  }
  [[nodiscard]] int count() const { return static_cast<int>(values().size()); }
  static void await_waiting(const Database& db, std::size_t count) {
    while (true) {
      const std::optional<LaneHolder> holder = db.lane_holder();
      if (holder && holder->waiting == count) return;
      std::this_thread::yield();
    }
  }

  const testing::TemporaryFolder folder_;
};

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

// A full queue

TEST_F(AsyncWrite, RefusesAtOnceWhenTheQueueIsFull) {
  Database db = open({.async_queue = 2});
  std::vector<WriteFuture<void>> futures;
  {
    Transaction tx = db.begin();
    for (int i = 0; i < 2; ++i) futures.push_back(db.write_async({.when_full = WhenFull::refuse}, add_one));
    const auto error = error_of<TimeoutError>(
        [&] { static_cast<void>(db.write_async({.when_full = WhenFull::refuse}, add_one, kHere)); });
    EXPECT_TRUE(mentions(error, "notes.cpp:12 (save_note)")) << error.what();
    EXPECT_TRUE(error.is_retryable());
  }
  for (auto& future : futures) future.get();
  EXPECT_EQ(count(), 2);
}

TEST_F(AsyncWrite, HasRoomAgainWhenOneHasEnded) {
  Database db = open({.async_queue = 1});
  for (int i = 0; i < 200; ++i) static_cast<void>(db.write_async(add_one));
  db.close();
  EXPECT_EQ(count(), 200);
}

TEST_F(AsyncWrite, CannotWaitForRoomInsideAWrite) {
  Database db = open({.async_queue = 1});
  db.write(
      [&](Transaction&) {
        static_cast<void>(db.write_async(add_one));
        const auto post = [&] { static_cast<void>(db.write_async(add_one, kThere)); };
        const std::string message = error_of<UsageError>(post).what();
        EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
        EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
        const auto post_if_possible = [&] {
          static_cast<void>(db.write_async({.when_full = WhenFull::refuse}, add_one));
        };
        EXPECT_THROW(post_if_possible(), TimeoutError);
      },
      kHere);
  db.close();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, CannotWaitForRoomInsideAnAsynchronousWrite) {
  Database db = open({.async_queue = 1});
  auto future = db.write_async([&](Transaction&) { static_cast<void>(db.write_async(add_one, kThere)); }, kHere);
  future.wait();
  db.close();
  const std::string message = error_of<UsageError>([&] { future.get(); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
}

// Waiting for the future

TEST_F(AsyncWrite, CannotBeAwaitedInsideAWrite) {
  Database db = open();
  db.write([&](Transaction&) {
    auto future = db.write_async(add_one, kHere);
    for (const std::string& message : {std::string(error_of<UsageError>([&] { future.get(kThere); }).what()),
                                       std::string(error_of<UsageError>([&] { future.wait(kThere); }).what())}) {
      EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
      EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
    }
  });
  db.close();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, CannotBeAwaitedInsideAnAsynchronousWrite) {
  Database db = open();
  auto future = db.write_async([&](Transaction&) { db.write_async(add_one).get(); });
  future.wait();
  db.close();
  EXPECT_THROW(future.get(), UsageError);
}

TEST_F(AsyncWrite, CannotBeAwaitedByWhoHasAGuard) {
  Database db = open();
  Transaction tx = db.begin();
  auto future = db.write_async(add_one);
  EXPECT_THROW(future.get(), UsageError);
  EXPECT_TRUE(future.valid());
  tx.commit();
  EXPECT_NO_THROW(future.get());
}

TEST_F(AsyncWrite, CanBeAwaitedInsideAWriteWhenItIsOver) {
  Database db = open();
  auto future = db.write_async([](Transaction&) { return 7; });
  future.wait();
  db.write([&](Transaction&) {
    EXPECT_NO_THROW(future.wait());
    EXPECT_EQ(future.get(), 7);
  });
}

TEST_F(AsyncWrite, CanBeAwaitedInsideAWriteToAnotherDatabase) {
  Database db = open();
  Database other = Database::in_memory();
  other.write([&](Transaction&) { db.write_async(add_one).get(); });
  EXPECT_EQ(count(), 1);
}

// Two that await each other's would wait for ever: there is no deadline for a future.
TEST_F(AsyncWrite, CannotBeAwaitedInARing) {
  Database one = open();
  Database two = Database::in_memory();
  std::latch both_inside(2);
  const auto job = [&](Database& other) {
    return [&](Transaction&) {
      both_inside.arrive_and_wait();
      other.write_async([](Transaction&) {}).get();
    };
  };
  auto first = one.write_async(job(two));
  auto second = two.write_async(job(one));
  int refused = 0;
  for (auto* future : {&first, &second}) {
    try {
      future->get();
    } catch (const UsageError&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused, 1);
}

// The end

TEST_F(AsyncWrite, FinishesWhatIsOnItsWayWhenTheDatabaseIsClosed) {
  constexpr int kJobs = 500;
  Database db = open();
  std::vector<WriteFuture<void>> futures;
  for (int i = 0; i < kJobs; ++i) futures.push_back(db.write_async(add_one));
  db.close();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
  EXPECT_THROW(static_cast<void>(db.write_async(add_one)), ClosedError);
  EXPECT_EQ(count(), kJobs);
}

TEST_F(AsyncWrite, TellsWhoWaitsForRoomThatTheDatabaseIsClosed) {
  Database db = open({.async_queue = 1});
  std::jthread closer;
  {
    Transaction tx = db.begin();
    static_cast<void>(db.write_async(add_one));
    std::jthread poster([&] { EXPECT_THROW(static_cast<void>(db.write_async(add_one)), ClosedError); });
    closer = std::jthread([&] { db.close(); });
  }
  closer.join();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, FinishesWhatIsOnItsWayWhenTheDatabaseGoes) {
  constexpr int kJobs = 500;
  std::vector<WriteFuture<void>> futures;
  {
    Database db = open();
    for (int i = 0; i < kJobs; ++i) futures.push_back(db.write_async(add_one));
  }
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
  EXPECT_EQ(count(), kJobs);
}

TEST_F(AsyncWrite, HearsThatTheDatabaseIsGoneWhenAGuardKeepsItFromRunning) {
  auto db = std::make_unique<Database>(open());
  std::vector<WriteFuture<void>> futures;
  Transaction tx = db->begin();
  for (int i = 0; i < 5; ++i) futures.push_back(db->write_async(add_one));
  db.reset();
  for (auto& future : futures) EXPECT_THROW(future.get(), ClosedError);
  add_one(tx);
  tx.commit();
  EXPECT_EQ(count(), 1);
}

TEST_F(AsyncWrite, LeavesNothingOpenWhenTheDatabaseGoes) {
  const std::size_t open_files = testing::count_open_files();
  for (int round = 0; round < 5; ++round) {
    {
      Database db = open();
      db.write_async(add_one).get();
    }
    EXPECT_EQ(testing::count_open_files(), open_files);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a.db-wal"));
  }
}

TEST_F(AsyncWrite, LeavesNothingOpenWhenTheDatabaseIsClosed) {
  const std::size_t open_files = testing::count_open_files();
  {
    Database db = open();
    for (int i = 0; i < 5; ++i) static_cast<void>(db.write_async(add_one));
    db.close();
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.db-wal"));
}

TEST_F(AsyncWrite, HearsThatClosingTookTooLong) {
  Database db = open({.acquire_timeout = milliseconds(0)});
  std::vector<WriteFuture<void>> futures;
  Transaction tx = db.begin(Behavior::immediate, kHere);
  for (int i = 0; i < 5; ++i) futures.push_back(db.write_async(add_one));
  std::string message;
  std::jthread([&] { message = error_of<TimeoutError>([&] { db.close(); }).what(); }).join();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  std::jthread([&] {
    for (auto& future : futures) EXPECT_THROW(future.get(), ClosedError);
  }).join();
  tx.commit();
  EXPECT_NO_THROW(db.close());
  EXPECT_EQ(count(), 0);
}

TEST_F(AsyncWrite, HearsThatClosingTookTooLongWhenAReaderIsHeldAsWell) {
  Database db = open({.acquire_timeout = milliseconds(0)});
  Transaction tx = db.begin();
  const Snapshot snapshot = db.snapshot();
  std::future<void> future = db.write_async(add_one);
  std::jthread([&] { EXPECT_THROW(db.close(), TimeoutError); }).join();
  ASSERT_EQ(future.wait_for(milliseconds(0)), std::future_status::ready);
  EXPECT_THROW(future.get(), ClosedError);
}

// Each future is settled, and exactly those without an error are in the file.

void close_at_random(const std::filesystem::path& path, const Options& options, bool by_destruction) {
  constexpr int kPosters = 4;
  constexpr int kWriters = 2;
  constexpr int kJobs = 2000;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const int close_after = std::uniform_int_distribution<int>(0, kPosters * kJobs)(random);

  auto db = std::make_unique<Database>(Database::open(path, options));
  db->execute("CREATE TABLE t (a)");
  std::atomic<int> posted = 0;
  std::atomic<bool> is_over = false;
  std::vector<std::vector<std::pair<int, WriteFuture<int>>>> futures(kPosters);
  std::vector<std::set<int>> written(kWriters);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kPosters; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kJobs && !is_over; ++i) {
          const int id = t * kJobs + i;
          try {
            futures[static_cast<std::size_t>(t)].emplace_back(id, db->write_async([id](Transaction& tx) {
              tx.execute("INSERT INTO t VALUES (?)", id);
              return id;
            }));
          } catch (const ClosedError&) {
            break;
          }
          ++posted;
        }
      });
    }
    for (int t = 0; t < kWriters; ++t) {
      threads.emplace_back([&, t] {
        for (int id = (t + 1) * 1'000'000; !is_over; ++id) {  // as many as it can
          try {
            db->write([id](Transaction& tx) { tx.execute("INSERT INTO t VALUES (?)", id); });
          } catch (const ClosedError&) {
            return;
          }
          written[static_cast<std::size_t>(t)].insert(id);
        }
      });
    }
    while (posted < close_after) std::this_thread::yield();
    if (by_destruction) {
      is_over = true;
      threads.clear();
      db.reset();
    } else {
      db->close();
    }
    is_over = true;
  }
  std::set<int> acknowledged;
  for (const auto& ids : written) acknowledged.insert(ids.begin(), ids.end());
  for (auto& of_thread : futures) {
    for (auto& [id, future] : of_thread) {
      ASSERT_EQ(static_cast<std::future<int>&>(future).wait_for(milliseconds(0)), std::future_status::ready);
      try {
        EXPECT_EQ(future.get(), id);
        EXPECT_TRUE(acknowledged.insert(id).second);
      } catch (const ClosedError&) {
      }
    }
  }
  db.reset();
  const auto rows = Database::open(path).query<int>("SELECT a FROM t ORDER BY a");
  EXPECT_TRUE(std::ranges::equal(rows, acknowledged)) << rows.size() << " rows, " << acknowledged.size() << " told";
}

TEST_F(AsyncWrite, IsToldTheTruthWhenTheDatabaseClosesAtAnyMoment) {
  const Options options{.durability = Durability::normal, .acquire_timeout = hours(1)};
  for (int round = 0; round < 4; ++round) {
    close_at_random(folder_ / ("round" + std::to_string(round) + ".db"), options, false);
  }
}

TEST_F(AsyncWrite, IsToldTheTruthWhenTheQueueIsFullAndTheDatabaseCloses) {
  const Options options{
      .durability = Durability::normal, .acquire_timeout = hours(1), .batch = {.jobs = 5}, .async_queue = 7};
  for (int round = 0; round < 3; ++round) {
    close_at_random(folder_ / ("round" + std::to_string(round) + ".db"), options, false);
  }
}

TEST_F(AsyncWrite, IsToldTheTruthWhenTheDatabaseHasNoTimeToClose) {
  // Those on their way are given up, those that run are not: it is all the same to the futures.
  const Options options{.durability = Durability::normal, .batch = {.jobs = 5}};
  for (int round = 0; round < 3; ++round) {
    close_at_random(folder_ / ("round" + std::to_string(round) + ".db"), options, true);
  }
}

}  // namespace

namespace detail {
namespace {

// The lane by itself, with a clock that stands still.
class PostedToLane : public ::testing::Test {
 protected:
  template <class Run>
  std::future<void> post(Run run, WriteOptions options = {}, CallSite site = kHere) {
    auto write = std::make_unique<PostedClosure<Run, void>>(std::move(run));
    std::future<void> future = write->future();
    auto job = std::make_unique<PostedJob>(std::move(write), options);
    job->site = site;
    lane_.post(std::move(job), clock_.now() + options.timeout.value_or(hours(1)));
    return future;
  }
  void hold() {
    Waiter waiter;
    waiter.site = kThere;
    lane_.acquire(waiter, clock_.now(), {});
  }
  void await_sleeping(int count) const {
    while (clock_.sleeping() != count) std::this_thread::yield();
  }

  testing::SteppedClock clock_;
  WriterLane lane_{{.open_writer =
                        [] {
                          return std::make_unique<Connection>(
                              ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0)});
                        },
                    .before = [] {},
                    .needs_care = [](Connection&) { return false; },
                    .care = [](Connection&) {},
                    .sampled = [](const WriteTrace&) {}},
                   {.posted = 3},
                   clock_};
};

TEST_F(PostedToLane, IsLetInByPriority) {
  std::vector<char> order;  // of the lane's holder
  hold();
  auto background = post([&](Transaction&) { order.push_back('b'); }, {.priority = Priority::background});
  auto normal = post([&](Transaction&) { order.push_back('n'); });
  auto interactive = post([&](Transaction&) { order.push_back('i'); }, {.priority = Priority::interactive});
  lane_.release();
  for (auto* future : {&background, &normal, &interactive}) future->get();
  EXPECT_EQ(order, (std::vector{'i', 'n', 'b'}));
}

TEST_F(PostedToLane, WaitsForRoomUpToItsTimeout) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);  // the lane's own thread
  bool is_refused = false;
  std::jthread poster([&] {
    EXPECT_THROW(static_cast<void>(post([](Transaction&) {}, {.timeout = milliseconds(30)})), TimeoutError);
    is_refused = true;
  });
  await_sleeping(2);
  clock_.advance(milliseconds(29));
  await_sleeping(2);
  clock_.advance(milliseconds(1));
  poster.join();
  EXPECT_TRUE(is_refused);
  lane_.release();
  for (auto& future : futures) future.get();
}

TEST_F(PostedToLane, GoesOnWhenRoomComes) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);
  std::jthread poster([&] { futures.push_back(post([](Transaction&) {}, {.timeout = milliseconds(30)})); });
  await_sleeping(2);
  lane_.release();
  poster.join();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
  EXPECT_EQ(futures.size(), 4U);
}

TEST_F(PostedToLane, HearsOfShuttingWhileItWaitsForRoom) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);
  std::jthread poster([&] { EXPECT_THROW(static_cast<void>(post([](Transaction&) {})), ClosedError); });
  await_sleeping(2);
  lane_.shut();
  poster.join();
  lane_.release();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
}

TEST_F(PostedToLane, IsNotMixedUpWithOthersThatWait) {
  // Shutting fails those whose callers wait, and keeps the order of the posted.
  std::vector<int> order;
  hold();
  auto first = post([&](Transaction&) { order.push_back(1); });
  std::jthread waiter([&] {
    Waiter guard;
    EXPECT_THROW(lane_.acquire(guard, clock_.now() + hours(1), {}), ClosedError);
  });
  while (lane_.waiting() != 2) std::this_thread::yield();
  auto second = post([&](Transaction&) { order.push_back(2); });
  lane_.shut();
  waiter.join();
  EXPECT_EQ(lane_.waiting(), 2U);
  lane_.release();
  first.get();
  second.get();
  EXPECT_EQ(order, (std::vector{1, 2}));
}

}  // namespace
}  // namespace detail
}  // namespace sqlane
