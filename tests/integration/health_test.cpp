#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/maintenance.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::mentions;
using testing::TemporaryFolder;

// The one reason for what a database is.
std::string reason_of(const Health& health) {
  EXPECT_EQ(health.reasons.size(), 1U);
  return health.reasons.empty() ? "" : health.reasons[0];
}

class HealthOfADatabase : public ::testing::Test {
 protected:
  void open(Options options) {
    options.readers = 1;
    options.durability = Durability::normal;
    db.reset();  // all of one file share their options
    db.emplace(Database::open(path, options));
    db->execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT)");
  }
  void move_away() const { std::filesystem::rename(path, moved); }
  void move_back() const { std::filesystem::rename(moved, path); }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  std::filesystem::path moved = folder / "moved.db";
  std::optional<Database> db;
};

TEST_F(HealthOfADatabase, IsGoodWhereNothingIsWrong) {
  open({});
  const Health health = db->health();
  EXPECT_EQ(health.verdict, Verdict::healthy);
  EXPECT_TRUE(health.is_healthy());
  EXPECT_TRUE(health.reasons.empty());
  EXPECT_EQ(health.last_error, "");
  EXPECT_NE(health.since, Health::Clock::time_point());
  EXPECT_LE(health.since, Health::Clock::now());
  EXPECT_EQ(db->health().since, health.since);
  EXPECT_EQ(db->stats().errors, 0U);
}

TEST_F(HealthOfADatabase, IsGoodWhereItsOwnThreadReadsAndWrites) {
  open({});
  db->write([&](Transaction&) { EXPECT_TRUE(db->health().is_healthy()); });
  db->read([&](const Snapshot&) { EXPECT_TRUE(db->health().is_healthy()); });
  const Transaction tx = db->begin();
  const Snapshot snapshot = db->snapshot();
  EXPECT_TRUE(db->health().is_healthy()) << "all readers are in use, but nobody waits for one";
}

// this thread                 reader
// holds the only reader
//                             waits
// asks: degraded
// lets it go
//                             reads
TEST_F(HealthOfADatabase, IsDegradedWhileCallsWaitForAReader) {
  open({.acquire_timeout = 1h});
  std::optional<std::jthread> reader;
  {
    const Snapshot held = db->snapshot();
    reader.emplace([&] { static_cast<void>(db->query<int>("SELECT id FROM note")); });
    while (db->stats().readers.waiting == 0) std::this_thread::yield();
    const Health health = db->health();
    EXPECT_EQ(health.verdict, Verdict::degraded);
    EXPECT_EQ(reason_of(health), "all 1 readers are in use, and 1 calls wait");
    EXPECT_EQ(health.last_error, "");
  }
  reader.reset();
  EXPECT_TRUE(db->health().is_healthy());
}

TEST_F(HealthOfADatabase, IsDegradedWhileTheLaneIsHeldForLongerThanOthersWaitForIt) {
  open({.acquire_timeout = 1ms});
  {
    const Transaction tx = db->begin(Behavior::immediate, {"import.cpp", 7, "import"});
    Health health = db->health();
    while (health.is_healthy()) health = db->health();
    EXPECT_EQ(health.verdict, Verdict::degraded);
    EXPECT_TRUE(mentions(reason_of(health), "held by import.cpp:7 (import) for ")) << reason_of(health);
  }
  EXPECT_TRUE(db->health().is_healthy());
  open({.acquire_timeout = 1h});
  const Transaction tx = db->begin();
  EXPECT_TRUE(db->health().is_healthy()) << "whoever waits for it has time";
}

TEST_F(HealthOfADatabase, IsDegradedWhileALargeLogCannotStartOver) {
  open({.checkpoint_pages = 1});
  const auto write = [&](int times) {
    for (int i = 0; i < times; ++i) db->execute("INSERT INTO note (text) VALUES (hex(zeroblob(2000)))");
  };
  {
    const Snapshot snapshot = db->snapshot();
    write(50);
    const Health health = db->health();
    EXPECT_EQ(health.verdict, Verdict::degraded);
    EXPECT_TRUE(mentions(reason_of(health), "write-ahead log")) << reason_of(health);
  }
  write(10);
  EXPECT_TRUE(db->health().is_healthy()) << "it has started over";
}

TEST_F(HealthOfADatabase, IsBadWhileItsFileIsGone) {
  open({});
  const Health before = db->health();
  move_away();
  const Health gone = db->health();
  EXPECT_EQ(gone.verdict, Verdict::unhealthy);
  ASSERT_FALSE(gone.reasons.empty());
  EXPECT_EQ(gone.reasons[0], "its files are no longer those that were opened");
  EXPECT_TRUE(mentions(gone.last_error, "was moved or deleted")) << gone.last_error;
  EXPECT_GE(gone.since, before.since);
  EXPECT_GE(gone.last_error_at, gone.since);
  const Health still = db->health();
  EXPECT_EQ(still.since, gone.since);
  EXPECT_GE(still.last_error_at, gone.last_error_at);
  move_back();
  const Health after = db->health();
  EXPECT_EQ(after.verdict, Verdict::healthy);
  EXPECT_TRUE(after.reasons.empty());
  EXPECT_EQ(after.last_error, still.last_error) << "of the newest check that failed";
  EXPECT_EQ(after.last_error_at, still.last_error_at);
  EXPECT_GE(after.since, still.last_error_at);
}

TEST_F(HealthOfADatabase, IsBadWhereAnotherFileHasTakenItsPlace) {
  open({});
  move_away();
  std::filesystem::copy_file(moved, path);
  EXPECT_EQ(db->health().verdict, Verdict::unhealthy);
  std::filesystem::remove(path);
  EXPECT_EQ(db->health().verdict, Verdict::unhealthy);
}

// Readers that cannot be opened are no news then.
TEST_F(HealthOfADatabase, SaysOnceThatItsFileIsGone) {
  open({});
  move_away();
  EXPECT_EQ(db->health().reasons.size(), 1U);
  EXPECT_EQ(db->stats().readers.failed_creations, 0U);
}

TEST_F(HealthOfADatabase, CannotBeAskedOnceItIsClosed) {
  open({});
  db->close();
  EXPECT_THROW(static_cast<void>(db->health()), ClosedError);
}

TEST_F(HealthOfADatabase, IsOneForAllWhoShareTheFile) {
  open({});
  const Health health = db->health();
  const Database other = Database::open(path);
  EXPECT_EQ(other.health().since, health.since);
  db->close();
  EXPECT_TRUE(other.health().is_healthy());
}

TEST(HealthOfAMemoryDatabase, IsThatOfItsLane) {
  Database db = Database::in_memory({.acquire_timeout = 1ms});
  EXPECT_TRUE(db.health().is_healthy());
  const Transaction held = db.begin(Behavior::immediate, {"report.cpp", 12, "write_report"});
  while (db.health().is_healthy()) std::this_thread::yield();
  EXPECT_EQ(db.health().verdict, Verdict::degraded);
  EXPECT_TRUE(mentions(reason_of(db.health()), "report.cpp:12 (write_report)"));
}

// In the background

// A listener that hands on what it hears, one after the other.
struct Ear {
  std::promise<Health> bad;
  std::promise<Health> good;
  std::thread::id thread{};
  std::atomic<int> heard = 0;

  void hear(const Health& health) {
    thread = std::this_thread::get_id();
    const int number = ++heard;
    if (number == 1) bad.set_value(health);
    if (number == 2) good.set_value(health);
  }
};

TEST_F(HealthOfADatabase, IsToldWhenItChangesWithoutBeingAskedFor) {
  Ear ear;
  open({.health_interval = 1ms, .on_health_change = [&](const Health& health) { ear.hear(health); }});
  testing::await_maintenance();
  EXPECT_EQ(ear.heard, 0) << "it is good, as it was";
  move_away();
  const Health bad = ear.bad.get_future().get();
  EXPECT_EQ(bad.verdict, Verdict::unhealthy);
  EXPECT_FALSE(bad.reasons.empty());
  EXPECT_NE(ear.thread, std::this_thread::get_id());
  EXPECT_EQ(db->health().since, bad.since) << "the checks in the background count as well";
  move_back();
  const Health good = ear.good.get_future().get();
  EXPECT_EQ(good.verdict, Verdict::healthy);
  EXPECT_EQ(good.last_error, db->health().last_error);
  testing::await_maintenance();
  EXPECT_EQ(ear.heard, 2);
}

TEST_F(HealthOfADatabase, IsToldOfBeingAskedForAsWell) {
  Ear ear;
  open({.on_health_change = [&](const Health& health) { ear.hear(health); }});
  move_away();
  const Health asked = db->health();
  ASSERT_EQ(ear.heard, 1);
  EXPECT_EQ(ear.bad.get_future().get().since, asked.since);
}

TEST_F(HealthOfADatabase, CanBeAskedForByWhoIsTold) {
  std::vector<Verdict> asked;
  open({.on_health_change = [&](const Health&) { asked.push_back(db->health().verdict); }});
  move_away();
  static_cast<void>(db->health());
  EXPECT_EQ(asked, std::vector{Verdict::unhealthy});
}

TEST_F(HealthOfADatabase, IsNotToldOfADatabaseThatWasClosed) {
  Ear ear;
  open({.health_interval = 1ms, .on_health_change = [&](const Health& health) { ear.hear(health); }});
  db->close();
  testing::await_maintenance();
  EXPECT_EQ(ear.heard, 0);
}

// Its checks end before the database does.
TEST_F(HealthOfADatabase, IsCheckedUpToTheEnd) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> is_gone = false;
    open({.health_interval = 1ms, .on_health_change = [&](const Health&) { EXPECT_FALSE(is_gone); }});
    if (round % 2 == 0) static_cast<void>(db->health());
    db.reset();
    is_gone = true;
  }
}

}  // namespace
}  // namespace sqlane
