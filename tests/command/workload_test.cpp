#include "cli/workload.hpp"

#include <gtest/gtest.h>
#include <sqlane/error.hpp>
#include <vector>

#include "support/files.hpp"
#include "support/foreign_process.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;
using sqlane::testing::ForeignProcess;
using sqlane::testing::TemporaryFolder;

// Another process writes whenever the watching sleeps; time is what was slept.
class WatchTest : public ::testing::Test {
 protected:
  WatchTest() {
    writer.open();
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA wal_autocheckpoint = 0");
    run("CREATE TABLE t (x)");
    run("INSERT INTO t VALUES (0)");
  }

  void run(const std::string& sql) { ASSERT_EQ(writer.run(sql).front(), '0') << sql; }

  std::vector<Workload> watch(WatchOptions options, const std::function<void()>& on_sleep) {
    std::vector<Workload> seen;
    auto now = std::chrono::steady_clock::time_point{};
    const Pace pace{.now = [&] { return now; },
                    .sleep =
                        [&](std::chrono::nanoseconds duration) {
                          now += duration;
                          on_sleep();
                          return true;
                        }};
    options.path = folder / "test.db";
    watch_workload(options, pace, [&](const Workload& workload) { seen.push_back(workload); });
    return seen;
  }

  TemporaryFolder folder;
  ForeignProcess writer{folder / "test.db"};
};

TEST_F(WatchTest, CountsWhatIsCommittedMeanwhile) {
  int sleeps = 0;
  const auto seen = watch({.path = {}, .interval = 1s, .count = 2}, [&] {
    if (++sleeps <= 3) run("INSERT INTO t VALUES (1)");
  });
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].last.log.commits, 3U);  // and not the two from before
  EXPECT_DOUBLE_EQ(seen[0].last.per_second(seen[0].last.log.commits), 3.0);
  EXPECT_DOUBLE_EQ(seen[0].last.frames_per_commit(), 1.0);
  EXPECT_EQ(seen[0].last.log.bytes, 3U * (4096 + 24));
  EXPECT_EQ(seen[1].last.log.commits, 0U);
  EXPECT_EQ(seen[1].total.commits, 3U);
  EXPECT_EQ(seen[1].commits_per_second, (std::deque<double>{3, 0}));
  EXPECT_EQ(seen[1].last.elapsed, 2s);
}

TEST_F(WatchTest, SeesCheckpointsAndTheLogStartingOver) {
  int sleeps = 0;
  const auto seen = watch({.path = {}, .interval = 1s, .count = 1}, [&] {
    switch (++sleeps) {
      case 1: run("INSERT INTO t VALUES (1)"); break;
      case 2: run("PRAGMA wal_checkpoint"); break;     // seen by the index
      case 3: run("INSERT INTO t VALUES (2)"); break;  // the log starts over
      case 4:                                          // a checkpoint and a new beginning between two looks
        run("PRAGMA wal_checkpoint");
        run("INSERT INTO t VALUES (3)");
        break;
      default: break;
    }
  });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].last.log.commits, 3U);
  EXPECT_EQ(seen[0].last.log.restarts, 2U);
  EXPECT_EQ(seen[0].last.checkpoints, 2U);
  EXPECT_EQ(seen[0].last.log_frames, 1U);
  EXPECT_EQ(seen[0].last.checkpointed_frames, 0U);
}

TEST_F(WatchTest, SeesTheDatabaseGrowBeforeItsFileDoes) {
  const auto seen =
      watch({.path = {}, .interval = 100ms, .count = 1}, [&] { run("INSERT INTO t VALUES (zeroblob(40960))"); });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_GE(seen[0].last.growth, 40960);
  EXPECT_EQ(seen[0].last.database_bytes % 4096, 0U);
}

TEST_F(WatchTest, LooksAtTablesAgainAfterAWhileOfCommits) {
  const auto seen = watch({.path = {}, .interval = 3s, .count = 3}, [&] { run("INSERT INTO t VALUES (1)"); });
  ASSERT_EQ(seen.size(), 3U);
  const auto rows = [](const Workload& workload) {
    for (const StoredObject& object : workload.tables->objects) {
      if (object.name == "t") return *object.rows;
    }
    return std::uint64_t{0};
  };
  EXPECT_EQ(rows(seen[0]), 1U);                                                        // from before
  EXPECT_EQ(rows(seen[1]), 1U + seen[0].last.log.commits + seen[1].last.log.commits);  // after five seconds
  EXPECT_EQ(rows(seen[2]), rows(seen[1]));
}

TEST_F(WatchTest, StillSeesTheLogOfADatabaseThatAProcessKeepsToItself) {
  run("PRAGMA locking_mode = EXCLUSIVE");
  run("INSERT INTO t VALUES (1)");
  const auto seen = watch({.path = {}, .interval = 100ms, .count = 1}, [&] { run("INSERT INTO t VALUES (1)"); });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].last.log.commits, 1U);
  EXPECT_FALSE(seen[0].tables_note.empty());
}

TEST_F(WatchTest, EndsWhenTheFileIsGone) {
  EXPECT_THROW(watch({.path = {}, .interval = 1s, .count = 2}, [&] { std::filesystem::remove(folder / "test.db"); }),
               OpenError);
}

TEST_F(WatchTest, EndsWhenItIsToldTo) {
  int shown = 0;
  const Pace pace{.now = [] { return std::chrono::steady_clock::time_point{}; },
                  .sleep = [](std::chrono::nanoseconds) { return false; }};
  watch_workload({.path = folder / "test.db"}, pace, [&](const Workload&) { ++shown; });
  EXPECT_EQ(shown, 0);
}

TEST_F(WatchTest, RefusesWhatIsNoDatabase) {
  const Pace pace{.now = [] { return std::chrono::steady_clock::time_point{}; },
                  .sleep = [](std::chrono::nanoseconds) { return false; }};
  EXPECT_THROW(watch_workload({.path = folder / "missing.db"}, pace, [](const Workload&) {}), OpenError);
}

TEST(StepOfWatching, IsShorterTheFasterTheLogGrows) {
  EXPECT_EQ(next_step(100ms, 0), 100ms);
  EXPECT_EQ(next_step(10ms, 0), 20ms);
  EXPECT_EQ(next_step(10ms, 200), 10ms);
  EXPECT_EQ(next_step(10ms, 400), 5ms);
  EXPECT_EQ(next_step(100ms, 1'000'000), 10ms);
  EXPECT_EQ(next_step(2ms, 1'000'000), 2ms);
}

}  // namespace
}  // namespace sqlane::cli
