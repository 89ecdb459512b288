#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;

// Counters of one moment, none of which ever falls.
std::vector<std::uint64_t> counters_of(const DatabaseStatistics& now) {
  std::vector<std::uint64_t> counters{
      now.readers.created,         now.readers.waits,       now.readers.timeouts, now.readers.cleaned,
      now.readers.validations,     now.lane.commits,        now.lane.jobs,        now.lane.guards,
      now.statements.hits,         now.statements.prepared, now.errors,           now.checkpoints,
      now.lane.batch_sizes.count()};
  counters.insert(counters.end(), now.readers.closed.begin(), now.readers.closed.end());
  return counters;
}

// Looks again and again, until it is told to end.
class Observer {
 public:
  Observer(const Database& db, std::size_t most_readers)
      : thread_([this, &db, most_readers] {
          std::vector<std::uint64_t> before = counters_of(db.stats());
          do {
            const DatabaseStatistics now = db.stats();
            EXPECT_LE(now.readers.total, most_readers);
            EXPECT_LE(now.readers.idle + now.readers.in_use, now.readers.total);
            const std::vector<std::uint64_t> counters = counters_of(now);
            for (std::size_t i = 0; i < counters.size(); ++i) EXPECT_GE(counters[i], before[i]) << "counter " << i;
            before = counters;
            const std::vector<ResourceReport> connections = db.connections();
            EXPECT_LE(connections.size(), most_readers + 1);
            EXPECT_FALSE(connections.empty());
            if (is_asking_for_health_) static_cast<void>(db.health());
            ++looks_;
          } while (!is_over_);
        }) {}
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  ~Observer() { is_over_ = true; }

  void ask_for_health() { is_asking_for_health_ = true; }
  [[nodiscard]] int looks() const { return looks_; }

 private:
  std::atomic<bool> is_over_ = false;
  std::atomic<bool> is_asking_for_health_ = false;
  std::atomic<int> looks_ = 0;
  std::jthread thread_;
};

class StatisticsUnderLoad : public ::testing::Test {
 protected:
  static constexpr int kThreads = 6;
  static constexpr int kOperations = 300;

  // Half of the threads write, the others read.
  void load(Database& db) {
    std::latch start(kThreads);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        for (int i = 0; i < kOperations; ++i) {
          if (t % 2 == 0) {
            db.execute("INSERT INTO note VALUES (NULL)");
          } else {
            static_cast<void>(db.query_one<int>("SELECT count(*) FROM note"));
          }
        }
      });
    }
  }

  testing::TemporaryFolder folder;
};

constexpr std::uint64_t kWritesOfAll = 3 * 300;
constexpr std::uint64_t kReads = 3 * 300;

TEST_F(StatisticsUnderLoad, AddUpToWhatWasDone) {
  Database db = Database::open(folder / "app.db", {.readers = 2,
                                                   .overflow_readers = 1,
                                                   .durability = Durability::normal,
                                                   .acquire_timeout = 1h,
                                                   .checkpoint_pages = 20});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  const DatabaseStatistics before = db.stats();
  {
    const Observer observer(db, 3);
    load(db);
    while (observer.looks() == 0) std::this_thread::yield();
  }
  const DatabaseStatistics after = db.stats();
  EXPECT_EQ(after.lane.jobs - before.lane.jobs, kWritesOfAll);
  EXPECT_LE(after.lane.commits - before.lane.commits, kWritesOfAll);
  EXPECT_EQ(after.lane.batch_sizes.sum() - before.lane.batch_sizes.sum(), kWritesOfAll);
  EXPECT_EQ(after.lane.batch_sizes.count(), after.lane.commits);
  EXPECT_EQ(after.readers.acquires, kReads);
  EXPECT_EQ(after.statements.hits + after.statements.prepared - before.statements.hits - before.statements.prepared,
            kWritesOfAll + kReads);
  EXPECT_EQ(after.readers.wait_times.count(), after.readers.waits);
  EXPECT_EQ(after.readers.created, after.readers.total + after.readers.closed_for(CloseReason::overflow));
  EXPECT_GT(after.checkpoints, 0U);
  EXPECT_EQ(after.errors, 0U);
  EXPECT_EQ(after.lane.waiting, 0U);
  EXPECT_EQ(after.readers.waiting, 0U);
  EXPECT_EQ(after.readers.in_use, 0U);
}

// Connections come and go all the time, and what they counted stays.
TEST_F(StatisticsUnderLoad, OutliveTheirConnections) {
  Database db = Database::open(folder / "app.db", {.readers = 2,
                                                   .upkeep = {.max_uses = 3, .maintenance = Maintenance::by_hand},
                                                   .durability = Durability::normal,
                                                   .acquire_timeout = 1h});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  const StatementStatistics before = db.stats().statements;
  {
    const Observer observer(db, 2);
    load(db);
  }
  const DatabaseStatistics after = db.stats();
  EXPECT_EQ(after.readers.acquires, kReads);
  EXPECT_EQ(after.statements.hits + after.statements.prepared - before.hits - before.prepared, kWritesOfAll + kReads);
  std::uint64_t uses = 3 * after.readers.closed_for(CloseReason::uses);
  const std::vector<ResourceReport> connections = db.connections();
  for (std::size_t i = 1; i < connections.size(); ++i) uses += connections[i].uses;
  EXPECT_EQ(uses, kReads);
}

TEST_F(StatisticsUnderLoad, StayRightWhileTheHealthIsAskedFor) {
  Database db =
      Database::open(folder / "app.db",
                     {.readers = 2, .durability = Durability::normal, .acquire_timeout = 1h, .health_interval = 1ms});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  {
    Observer observer(db, 2);
    observer.ask_for_health();
    load(db);
  }
  const DatabaseStatistics after = db.stats();
  EXPECT_EQ(after.lane.jobs, kWritesOfAll + 1);
  EXPECT_GE(after.readers.acquires, kReads);
  EXPECT_EQ(after.lane.guards, 0U);
  EXPECT_TRUE(db.health().is_healthy());
}

}  // namespace
}  // namespace sqlane
