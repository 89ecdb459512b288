#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/async_writes.hpp"
#include "support/expect_error.hpp"
#include "support/open_files.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::AsyncWrite;
using testing::error_of;
using testing::kHere;
using testing::mentions;

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
}  // namespace sqlane
