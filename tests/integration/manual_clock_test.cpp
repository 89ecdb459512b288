#include "sqlane/testing/manual_clock.hpp"

#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/signal.hpp"
#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"
#include "support/queued_writes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::ManualClock;
using testing::mentions;
using testing::QueuedWrites;
using testing::TemporaryFolder;

constexpr const char* kEndless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";

// One statement of it calls SQLite's progress handler for certain.
constexpr int kManyRows = 10'000;

class TimeOfADatabase : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(Options options = {}) {
    options.readers = 1;
    options.upkeep.maintenance = Maintenance::by_hand;
    return Database::open(folder / "app.db", clock.into(std::move(options)));
  }

  static std::uint64_t reader_of(const Database& db) {
    static_cast<void>(db.query_one<int>("SELECT 1"));
    return db.connections().back().id;
  }

  TemporaryFolder folder;
  ManualClock clock;
};

// Runs on a thread of its own and keeps what it throws.
template <class Expected>
class Failing {
 public:
  template <class Action>
  explicit Failing(Action action)
      : thread_([this, action = std::move(action)] { error_.emplace(error_of<Expected>(action)); }) {}

  [[nodiscard]] const Expected& error() {
    if (thread_.joinable()) thread_.join();
    return *error_;
  }

 private:
  std::optional<Expected> error_;
  std::jthread thread_;
};

TEST(ManualClockTest, StandsStillUntilItIsAdvanced) {
  ManualClock clock;
  const ManualClock::time_point begin = clock.now();
  EXPECT_EQ(clock.now(), begin);
  clock.advance(3ms);
  EXPECT_EQ(clock.now() - begin, 3ms);
  clock.advance(0ms);
  EXPECT_EQ(clock.now() - begin, 3ms);
  EXPECT_EQ(clock.sleeping(), 0);
}

TEST(ManualClockTest, DoesNotGoBack) {
  ManualClock clock;
  EXPECT_THROW(clock.advance(-1ns), UsageError);
}

TEST(ManualClockTest, LeavesTheOtherOptionsAsTheyAre) {
  const ManualClock clock;
  const Options options = clock.into({.readers = 3, .acquire_timeout = 7ms});
  EXPECT_EQ(options.readers, 3U);
  EXPECT_EQ(options.acquire_timeout, 7ms);
  EXPECT_NE(options.clock, nullptr);
}

// Everybody waits by one clock, whatever they wait for.
TEST(ManualClockTest, WakesAllWhoseTimeHasCome) {
  ManualClock clock;
  Pool<int> first([] { return std::make_unique<int>(1); }, {.max = 1}, {}, clock.for_pool());
  Pool<int> second([] { return std::make_unique<int>(2); }, {.max = 1}, {}, clock.for_pool());
  const Pool<int>::Lease taken[] = {first.acquire(), second.acquire()};
  Failing<TimeoutError> one([&] { static_cast<void>(first.acquire({.timeout = 1h})); });
  Failing<TimeoutError> other([&] { static_cast<void>(second.acquire({.timeout = 2h})); });
  clock.await_sleeping(2);
  clock.advance(2h);
  EXPECT_TRUE(mentions(one.error(), "a resource"));
  EXPECT_TRUE(mentions(other.error(), "a resource"));
}

// A sleeper's mutex goes with it, while somebody may be advancing the clock.
TEST(ManualClockTest, MayBeAdvancedWhileSleepersLeave) {
  for (int round = 0; round < 200; ++round) {
    testing::SteppedClock clock;
    auto signal = std::make_unique<detail::Signal>();
    std::latch begin(2);
    std::jthread sleeper([&] {
      while (!signal->await(clock, detail::Clock::time_point::max(), 0)) {
      }
      signal.reset();
    });
    clock.await_sleeping(1);
    std::jthread giver([&, given = signal.get()] {
      begin.arrive_and_wait();
      given->give();
    });
    begin.arrive_and_wait();
    clock.advance(1ms);
  }
}

// Waiting

TEST_F(TimeOfADatabase, EndsTheWaitForTheLaneWithIt) {
  Database db = open({.acquire_timeout = 5s});
  const Transaction holder = db.begin();
  Failing<TimeoutError> waiter([&] { db.execute("CREATE TABLE note (id)"); });
  clock.await_sleeping(1);
  clock.advance(5s - 1ns);
  clock.advance(1ns);
  EXPECT_TRUE(mentions(waiter.error(), "for 5000 ms"));
}

TEST_F(TimeOfADatabase, LetsAWaitForTheLaneGoOnUntilThen) {
  Database db = open({.acquire_timeout = 5s});
  std::optional<std::jthread> waiter;
  {
    const Transaction holder = db.begin();
    waiter.emplace([&] { db.execute("CREATE TABLE note (id)"); });
    clock.await_sleeping(1);
    clock.advance(5s - 1ns);
    clock.await_sleeping(1);
  }
  waiter->join();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(TimeOfADatabase, EndsTheWaitForAReaderWithIt) {
  const Database db = open({.acquire_timeout = 5s});
  std::optional<Failing<TimeoutError>> waiter;
  db.read([&](const Snapshot& snapshot) {
    static_cast<void>(snapshot.query_one<int>("SELECT 1"));
    waiter.emplace([&] { static_cast<void>(db.query_one<int>("SELECT 1")); });
    clock.await_sleeping(1);
    clock.advance(5s);
    EXPECT_TRUE(mentions(waiter->error(), "5000 ms"));
  });
  EXPECT_EQ(db.query_one<int>("SELECT 7"), 7);
}

TEST_F(TimeOfADatabase, EndsTheWaitOfCloseWithIt) {
  Database db = open({.acquire_timeout = 5s});
  const Transaction guard = db.begin();
  Failing<TimeoutError> closer([&] { db.close(); });
  clock.await_sleeping(1);
  clock.advance(5s);
  EXPECT_TRUE(mentions(closer.error(), "still in use"));
}

// What runs for too long

TEST_F(TimeOfADatabase, EndsAStatementWithIt) {
  const Database db = open();
  db.read({.statement_timeout = 100ms}, [&](const Snapshot& snapshot) {
    Rows<int> rows = snapshot.query<int>(runtime_sql(kEndless));
    auto row = rows.begin();
    const auto go_on = [&] {
      for (int i = 0; i < kManyRows; ++i) ++row;
    };
    clock.advance(100ms - 1ns);
    EXPECT_NO_THROW(go_on());
    clock.advance(1ns);
    EXPECT_THROW(go_on(), TimeoutError);
  });
}

TEST_F(TimeOfADatabase, EndsAStatementThatWritesWithIt) {
  Database db = open();
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  Failing<TimeoutError> writer([&] {
    db.write({.statement_timeout = 100ms}, [&](Transaction& tx) {
      clock.advance(1h);  // between statements, nothing runs for too long
      tx.execute("INSERT INTO note VALUES (1)");
      Rows<int> rows = tx.query<int>(runtime_sql(kEndless));
      auto row = rows.begin();
      clock.advance(100ms);
      for (int i = 0; i < kManyRows; ++i) ++row;
    });
  });
  EXPECT_TRUE(mentions(writer.error(), "100 ms"));
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
}

TEST_F(TimeOfADatabase, TellsOfASlowWriteWithIt) {
  std::latch is_told(1);
  std::chrono::nanoseconds held{};
  Database db = open({.on_slow_write = {.threshold = 100ms, .callback = [&](const LaneHolder& holder) {
                                          held = holder.held;
                                          is_told.count_down();
                                        }}});
  const Transaction slow = db.begin();
  clock.await_sleeping(1);  // the watchdog
  clock.advance(100ms - 1ns);
  EXPECT_FALSE(is_told.try_wait());
  clock.advance(1ns);
  is_told.wait();
  EXPECT_EQ(held, 100ms);
}

// What grows old

TEST_F(TimeOfADatabase, ReplacesAReaderAtTheEndOfItsLife) {
  const Database db = open({.upkeep = {.max_lifetime = 1min, .lifetime_jitter = 0}});
  const std::uint64_t first = reader_of(db);
  clock.advance(1min - 1ns);
  db.maintain_now();
  EXPECT_EQ(reader_of(db), first);
  clock.advance(1ns);
  db.maintain_now();
  EXPECT_EQ(db.stats().readers.closed_for(CloseReason::age), 1U);
  EXPECT_NE(reader_of(db), first);
}

TEST_F(TimeOfADatabase, ClosesAReaderThatIsIdleForSoLong) {
  const Database db = open({.upkeep = {.idle_timeout = 1min}});
  const std::uint64_t first = reader_of(db);
  clock.advance(1min - 1ns);
  db.maintain_now();
  EXPECT_EQ(reader_of(db), first);  // which makes it young again
  clock.advance(1min - 1ns);
  db.maintain_now();
  EXPECT_EQ(db.stats().readers.idle, 1U);
  clock.advance(1ns);
  db.maintain_now();
  EXPECT_EQ(db.stats().readers.closed_for(CloseReason::idle), 1U);
  EXPECT_EQ(db.stats().readers.idle, 0U);
}

TEST_F(TimeOfADatabase, MeasuresTheAgeOfConnectionsByIt) {
  const Database db = open();
  static_cast<void>(reader_of(db));
  clock.advance(3h);
  for (const ResourceReport& report : db.connections()) EXPECT_EQ(report.age, 3h);
}

// What must not wait for it

TEST_F(TimeOfADatabase, DoesNotKeepACommitWaitingForCompany) {
  Database db = open({.durability = Durability::full, .acquire_timeout = 1h});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  QueuedWrites writes(db);
  for (int i = 0; i < 3; ++i) writes.add([&] { db.execute("INSERT INTO note DEFAULT VALUES"); });
  writes.run();
  db.execute("INSERT INTO note DEFAULT VALUES");  // after three that shared a COMMIT, more of them are likely
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 4);
}

TEST_F(TimeOfADatabase, DoesNotKeepACheckpointWaitingForReaders) {
  Database db = open({.checkpoint_pages = 1});
  db.execute("CREATE TABLE note (body BLOB)");
  std::latch is_reading(1);
  std::latch is_written(1);
  std::jthread reader([&] {
    const Snapshot snapshot = db.snapshot();
    is_reading.count_down();
    is_written.wait();
  });
  is_reading.wait();
  for (int i = 0; i < 20; ++i) db.execute("INSERT INTO note VALUES (zeroblob(20000))");
  is_written.count_down();
  EXPECT_GT(db.stats().wal_bytes, 20U * 20'000U) << "nothing had to wait for the reader";
}

// Whose clock it is

TEST_F(TimeOfADatabase, IsThatOfTheFirstDatabaseOfAFile) {
  const Database first = open();
  const Database second = Database::open(folder / "app.db");
  static_cast<void>(reader_of(second));
  clock.advance(3h);
  EXPECT_EQ(second.connections().back().age, 3h);
}

TEST(ManualClockTest, StandsStillForADatabaseThatOutlivesIt) {
  std::optional<ManualClock> clock(std::in_place);
  Database db = Database::in_memory(clock->into());
  clock->advance(2h);
  clock.reset();
  db.execute("CREATE TABLE note (id)");
  EXPECT_EQ(db.connections().front().age, 2h);
}

}  // namespace
}  // namespace sqlane
