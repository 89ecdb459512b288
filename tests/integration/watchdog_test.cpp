#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lane/writer_lane.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/manual_clock.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::LaneQueue;
using testing::TemporaryFolder;

constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
constexpr CallSite kThere{"index.cpp", 7, "rebuild"};

// Slow writes

class SlowWrites : public ::testing::Test {
 protected:
  Database open(std::chrono::milliseconds threshold) {
    Database db = Database::open(
        folder / "app.db",
        {.acquire_timeout = 1h, .on_slow_write = {.threshold = threshold, .callback = [this](const LaneHolder& holder) {
                                                    const std::lock_guard lock(mutex);
                                                    reports.push_back(holder);
                                                  }}});
    return db;
  }
  [[nodiscard]] std::size_t count_reports(const CallSite& site) {
    const std::lock_guard lock(mutex);
    return static_cast<std::size_t>(std::count_if(reports.begin(), reports.end(), [&](const LaneHolder& holder) {
      return holder.site.to_string() == site.to_string();
    }));
  }

  void await_reports(const CallSite& site, std::size_t count) {
    while (count_reports(site) < count) std::this_thread::yield();
  }

  TemporaryFolder folder;
  std::mutex mutex;
  std::vector<LaneHolder> reports;
};

// the write                     the watchdog
// has the lane, blocks
//                               tells of it: lets it go on
// commits
TEST_F(SlowWrites, AreToldOfWhileTheyStillHoldTheLane) {
  Database db = open(1ms);
  db.write([&](Transaction&) { await_reports(kHere, 1); }, kHere);
  EXPECT_EQ(count_reports(kHere), 1U);
  EXPECT_GE(reports.front().held, 1ms);
  EXPECT_LE(reports.front().since + reports.front().held, std::chrono::steady_clock::now());
}

TEST_F(SlowWrites, AreToldOfWhenTheyAreGuards) {
  Database db = open(1ms);
  Transaction tx = db.begin({}, Behavior::immediate, kThere);
  await_reports(kThere, 1);
  tx.commit();
  EXPECT_EQ(count_reports(kThere), 1U);
}

TEST_F(SlowWrites, AreEachToldOfOnce) {
  Database db = open(1ms);
  for (int i = 0; i < 3; ++i) {
    const std::size_t told = static_cast<std::size_t>(i) + 1;
    db.write([&](Transaction&) { await_reports(kHere, told); }, kHere);
    EXPECT_EQ(count_reports(kHere), told);
  }
}

TEST_F(SlowWrites, AreToldOfOneByOneWhenTheyShareACommit) {
  Database db = open(1ms);
  LaneQueue queue(db);
  queue.add([&] { db.write([&](Transaction&) { await_reports(kHere, 1); }, kHere); });
  queue.add([&] { db.write([&](Transaction&) { await_reports(kThere, 1); }, kThere); });
  queue.run();
  EXPECT_EQ(count_reports(kHere), 1U);
  EXPECT_EQ(count_reports(kThere), 1U);
}

TEST_F(SlowWrites, AreNotThoseBelowTheThreshold) {
  for (const std::chrono::milliseconds threshold :
       {std::chrono::milliseconds(24h), std::chrono::milliseconds(24h * 365 * 100)}) {
    reports.clear();
    {
      Database db = open(threshold);
      for (int i = 0; i < 200; ++i) db.write([](Transaction&) {});
      Transaction tx = db.begin();
      tx.commit();
    }
    EXPECT_TRUE(reports.empty());
  }
}

TEST_F(SlowWrites, AreNoneWithTheLongestThresholdThatCanBeSaid) {
  {
    Database db = open(std::chrono::milliseconds::max());
    const Transaction tx = db.begin();
    for (int i = 0; i < 2000; ++i) std::this_thread::yield();
  }
  EXPECT_TRUE(reports.empty());
}

TEST_F(SlowWrites, AreNotToldOfOnceTheDatabaseIsClosed) {
  for (int i = 0; i < 20; ++i) {
    std::size_t told = 0;
    {
      Database db = open(1ms);
      db.write([&](Transaction&) { await_reports(kHere, static_cast<std::size_t>(i) + 1); }, kHere);
      db.close();
      const std::lock_guard lock(mutex);
      told = reports.size();
    }
    EXPECT_EQ(reports.size(), told);
  }
}

TEST_F(SlowWrites, AreStillWatchedWhenAGuardOutlivesItsDatabase) {
  std::unique_ptr<Transaction> tx;
  {
    Database db = open(1ms);
    tx.reset(new Transaction(db.begin({}, Behavior::immediate, kThere)));
  }
  await_reports(kThere, 1);
  tx.reset();
  EXPECT_EQ(count_reports(kThere), 1U);
}

}  // namespace

// With a clock that is moved by hand

namespace detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Counts how often somebody began to wait.
class CountingClock final : public Clock {
 public:
  time_point now() override { return clock_.now(); }
  void wait_until(Condition& condition, MutexLock& lock, time_point deadline) override {
    ++waits_;
    clock_.wait_until(condition, lock, deadline);
  }
  void advance(duration step) { clock_.advance(step); }
  [[nodiscard]] int waits() const { return waits_; }
  [[nodiscard]] int sleeping() const { return clock_.sleeping(); }

 private:
  std::atomic<int> waits_ = 0;
  testing::SteppedClock clock_;
};

class LaneWatch : public ::testing::Test {
 protected:
  static constexpr Clock::duration kThreshold = milliseconds(100);

  ~LaneWatch() override { stop(); }

  void start() {
    watcher_ = std::jthread([this] {
      while (const std::optional<LaneHolder> holder = lane_.await_slow_holder(kThreshold)) {
        const std::lock_guard lock(mutex_);
        reports_.push_back(*holder);
      }
    });
    await_watcher();
  }
  void stop() {
    lane_.stop_watching();
    if (watcher_.joinable()) watcher_.join();
  }
  // Time passes, and the watcher has looked what that means and waits again.
  void advance(Clock::duration step) {
    await_watcher();
    const int waits = clock_.waits();
    clock_.advance(step);
    while (clock_.waits() == waits) std::this_thread::yield();
    await_watcher();
  }
  void await_watcher() {
    while (clock_.sleeping() == 0) std::this_thread::yield();
  }
  [[nodiscard]] std::size_t reports() {
    const std::lock_guard lock(mutex_);
    return reports_.size();
  }

  Connection& acquire(CallSite site = kHere) {
    Waiter waiter;
    waiter.site = site;
    return lane_.acquire(waiter, clock_.now() + hours(1000), {});
  }

  CountingClock clock_;
  WriterLane lane_{{.open_writer =
                        [] {
                          return std::make_unique<Connection>(ConnectionSettings{
                              .database = ":memory:", .memory = MemoryStore::make(0), .statement_cache = 4});
                        },
                    .before = [] {},
                    .needs_care = [](Connection&) { return false; },
                    .care = [](Connection&) {},
                    .sampled = {}},
                   {},
                   clock_};
  std::mutex mutex_;
  std::vector<LaneHolder> reports_;
  std::jthread watcher_;
};

TEST_F(LaneWatch, ReportsAHoldExactlyAtTheThreshold) {
  clock_.advance(milliseconds(7));
  acquire();
  const Clock::time_point taken = clock_.now();
  start();
  advance(kThreshold - nanoseconds(1));
  EXPECT_EQ(reports(), 0U);
  advance(nanoseconds(1));
  ASSERT_EQ(reports(), 1U);
  EXPECT_EQ(reports_[0].held, kThreshold);
  EXPECT_EQ(reports_[0].since, taken);
  EXPECT_EQ(reports_[0].site.to_string(), kHere.to_string());
  EXPECT_EQ(reports_[0].sql, "");
  EXPECT_EQ(reports_[0].waiting, 0U);
  lane_.release();
}

TEST_F(LaneWatch, ReportsAHoldOnceHoweverLongItGoesOn) {
  acquire();
  start();
  for (int i = 0; i < 10; ++i) advance(kThreshold);
  EXPECT_EQ(reports(), 1U);
  lane_.release();
}

TEST_F(LaneWatch, ReportsTheNextHoldAnew) {
  acquire(kHere);
  start();
  advance(kThreshold);
  ASSERT_EQ(reports(), 1U);
  lane_.release();
  acquire(kThere);
  advance(kThreshold);
  ASSERT_EQ(reports(), 2U);
  EXPECT_EQ(reports_[1].site.to_string(), kThere.to_string());
  EXPECT_EQ(reports_[1].held, kThreshold);
  lane_.release();
}

TEST_F(LaneWatch, CountsEachHoldFromItsOwnBeginning) {
  acquire();
  start();
  advance(kThreshold - nanoseconds(1));
  lane_.release();
  acquire();
  advance(kThreshold - nanoseconds(1));
  EXPECT_EQ(reports(), 0U);
  lane_.release();
}

// watcher                     holder
// sleeps, with no deadline
//                             takes the lane: wakes it
// sleeps up to the threshold
TEST_F(LaneWatch, SleepsWhileTheLaneIsIdleAndIsWokenByTheNextHolder) {
  start();
  for (int i = 0; i < 10; ++i) advance(kThreshold);
  EXPECT_EQ(reports(), 0U);
  const int waits = clock_.waits();
  acquire();
  while (clock_.waits() == waits) std::this_thread::yield();
  EXPECT_EQ(reports(), 0U);
  advance(kThreshold);
  EXPECT_EQ(reports(), 1U);
  lane_.release();
}

TEST_F(LaneWatch, TellsWhatRunsAndHowManyWait) {
  Connection& writer = acquire();
  std::stop_source stop;
  std::vector<std::jthread> others;
  for (int i = 0; i < 2; ++i) {
    others.emplace_back([&] {
      acquire(kThere);
      lane_.release();
    });
  }
  while (lane_.waiting() != 2) std::this_thread::yield();
  constexpr SqlFor<Access::write> kSql =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT count(*) FROM n";
  std::jthread runner([&] {
    writer.set_limits({}, stop.get_token());
    Statement statement(writer, kSql.text());
    EXPECT_THROW(statement.step(), InterruptedError);
  });
  while (lane_.holder()->sql.empty()) std::this_thread::yield();
  clock_.advance(kThreshold);
  const std::optional<LaneHolder> holder = lane_.await_slow_holder(kThreshold);
  stop.request_stop();
  runner.join();
  lane_.release();
  others.clear();
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->sql, kSql.text().text);
  EXPECT_EQ(holder->waiting, 2U);
}

TEST_F(LaneWatch, EndsWithTheWatching) {
  for (const bool is_held : {false, true}) {
    if (is_held) acquire();
    std::jthread watching([&] {
      while (lane_.await_slow_holder(kThreshold)) {
      }
    });
    if (!is_held) await_watcher();
    lane_.stop_watching();
    watching.join();
    if (is_held) lane_.release();
  }
}

}  // namespace
}  // namespace detail

// Sampled traces

namespace {

class SampledWrites : public ::testing::Test {
 protected:
  Database open(std::size_t every, Durability durability = Durability::full) {
    Database db = Database::open(folder / "app.db",
                                 {.durability = durability,
                                  .acquire_timeout = 1h,
                                  .batch = {.run_time = 1h},
                                  .on_write_sample = {.every = every, .callback = [this](const WriteTrace& trace) {
                                                        const std::lock_guard lock(mutex);
                                                        traces.push_back(trace);
                                                        threads.push_back(std::this_thread::get_id());
                                                      }}});
    return db;
  }
  static void expect_possible(const WriteTrace& trace) {
    using Duration = WriteTrace::Duration;
    for (const Duration part : {trace.queue_wait, trace.lock_wait, trace.run, trace.commit, trace.sync}) {
      EXPECT_GE(part, Duration::zero());
    }
    EXPECT_LE(trace.sync, trace.commit);
    EXPECT_GE(trace.jobs, 1U);
  }

  TemporaryFolder folder;
  std::mutex mutex;
  std::vector<WriteTrace> traces;
  std::vector<std::thread::id> threads;
};

TEST_F(SampledWrites, AreTracedOneByOneWithTheirSite) {
  Database db = open(1);
  db.execute("CREATE TABLE note (title TEXT)");
  ASSERT_EQ(traces.size(), 1U);
  db.write(
      [&](Transaction& tx) {
        tx.execute("INSERT INTO note VALUES ('a')");
        EXPECT_EQ(traces.size(), 1U) << "told of before it was committed";
      },
      kHere);
  ASSERT_EQ(traces.size(), 2U);
  EXPECT_EQ(traces[1].site.to_string(), kHere.to_string());
  EXPECT_EQ(threads[1], std::this_thread::get_id());
  EXPECT_EQ(traces[1].jobs, 1U);
  for (const WriteTrace& trace : traces) expect_possible(trace);
}

TEST_F(SampledWrites, AreOneInSoMany) {
  Database db = open(10);
  for (int i = 0; i < 100; ++i) db.write([](Transaction&) {});
  EXPECT_EQ(traces.size(), 10U);
}

TEST_F(SampledWrites, CannotBeOneInNone) { EXPECT_THROW(open(0), UsageError); }

TEST_F(SampledWrites, AreNotThoseThatFailed) {
  Database db = open(1);
  const auto job = [](Transaction&) { throw std::runtime_error("undo this"); };
  EXPECT_THROW(db.write(job), std::runtime_error);
  EXPECT_THROW(db.execute("INSERT INTO nowhere VALUES (1)"), SchemaError);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(db.write({.stop = stop.get_token()}, [](Transaction&) {}), InterruptedError);
  EXPECT_TRUE(traces.empty());
  db.write([](Transaction&) {});
  EXPECT_EQ(traces.size(), 1U);
}

TEST_F(SampledWrites, TellHowLongTheyWaitedAndHowManySharedTheCommit) {
  Database db = open(1);
  db.execute("CREATE TABLE note (title TEXT)");
  traces.clear();
  LaneQueue queue(db);
  for (int i = 0; i < 3; ++i) {
    queue.add([&] { db.write([](Transaction& tx) { tx.execute("INSERT INTO note VALUES ('a')"); }, kThere); });
  }
  queue.run();
  ASSERT_EQ(traces.size(), 3U);
  for (const WriteTrace& trace : traces) {
    expect_possible(trace);
    EXPECT_EQ(trace.jobs, 3U);
    EXPECT_GT(trace.queue_wait, 0ns);
    EXPECT_GT(trace.run, 0ns);
    EXPECT_EQ(trace.site.to_string(), kThere.to_string());
  }
}

TEST_F(SampledWrites, DoNotCountThoseThatFailedAmongThoseWhoSharedTheCommit) {
  Database db = open(1);
  LaneQueue queue(db);
  for (int i = 0; i < 3; ++i) {
    queue.add([&, i] {
      const auto job = [&](Transaction&) {
        if (i == 1) throw std::runtime_error("undo this");
      };
      if (i == 1) {
        EXPECT_THROW(db.write(job), std::runtime_error);
      } else {
        db.write(job);
      }
    });
  }
  queue.run();
  ASSERT_EQ(traces.size(), 2U);
  for (const WriteTrace& trace : traces) EXPECT_EQ(trace.jobs, 2U);
}

// the write                       another connection
//                                 has the write lock
// BEGIN: waits for it
//                                 lets go
// has waited for the lock, not in the queue
TEST_F(SampledWrites, TellTheWaitForALockOfAnotherProcessApart) {
  Database db = open(1);
  testing::ForeignConnection other(folder / "app.db");
  other.run("BEGIN IMMEDIATE");
  std::chrono::steady_clock::time_point seen;
  std::jthread writer([&] { db.write([](Transaction&) {}, kHere); });
  testing::await_sql(db, "BEGIN IMMEDIATE");
  seen = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() == seen) std::this_thread::yield();
  const auto waited = std::chrono::steady_clock::now() - seen;
  other.run("ROLLBACK");
  writer.join();
  ASSERT_EQ(traces.size(), 1U);
  EXPECT_GE(traces[0].lock_wait, waited);
}

TEST_F(SampledWrites, WaitForTheDiskAtFullDurability) {
  Database db = open(1);
  db.execute("CREATE TABLE note (title TEXT)");
  for (int i = 0; i < 5; ++i) db.execute("INSERT INTO note VALUES ('a')");
  ASSERT_EQ(traces.size(), 6U);
  for (const WriteTrace& trace : traces) {
    expect_possible(trace);
    EXPECT_GT(trace.sync, 0ns);
  }
}

TEST_F(SampledWrites, DoNotWaitForTheDiskAtNormalDurability) {
  Database db = open(1, Durability::normal);
  db.execute("CREATE TABLE note (title TEXT)");
  traces.clear();  // the first commit of a log syncs its header
  for (int i = 0; i < 5; ++i) db.execute("INSERT INTO note VALUES ('a')");
  ASSERT_EQ(traces.size(), 5U);
  for (const WriteTrace& trace : traces) {
    expect_possible(trace);
    EXPECT_EQ(trace.sync, 0ns);
  }
}

TEST_F(SampledWrites, WaitForTheDiskThoughAMemoryDatabaseWasTracedBefore) {
  std::size_t traced = 0;
  Database memory =
      Database::in_memory({.on_write_sample = {.every = 1, .callback = [&](const WriteTrace&) { ++traced; }}});
  memory.execute("CREATE TABLE note (title TEXT)");
  ASSERT_EQ(traced, 1U);
  Database db = open(1);
  db.execute("CREATE TABLE note (title TEXT)");
  ASSERT_EQ(traces.size(), 1U);
  EXPECT_GT(traces[0].sync, 0ns);
}

TEST_F(SampledWrites, LeaveAMemoryDatabaseAsItIs) {
  Database memory = Database::in_memory({.on_write_sample = {.every = 1, .callback = [](const WriteTrace&) {}}});
  memory.execute("CREATE TABLE note (title TEXT)");
  for (int i = 0; i < 20; ++i) {
    const auto undone = [](Transaction& tx) {
      tx.execute(
          "INSERT INTO note SELECT 'undone' FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
          "i < 2000) SELECT i FROM n)");
      throw std::runtime_error("undo this");
    };
    EXPECT_THROW(memory.write(undone), std::runtime_error);
    memory.execute("INSERT INTO note VALUES ('kept')");
  }
  EXPECT_EQ(memory.query_one<int>("SELECT count(*) FROM note"), 20);
  EXPECT_EQ(memory.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace sqlane
