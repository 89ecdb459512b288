#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;

// Each call succeeds or hears that the database was closed; nothing else, and nobody waits for ever.
void close_under_load(const Options& options) {
  constexpr int kThreads = 8;
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  for (int round = 0; round < 10; ++round) {
    const std::filesystem::path path = folder / ("round" + std::to_string(round) + ".db");
    std::atomic<int> acknowledged = 0;
    {
      Database db = Database::open(path, options);
      db.execute("CREATE TABLE t (a)");
      std::latch running(kThreads);
      std::vector<std::jthread> threads;
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          bool is_counted = false;
          try {
            while (true) {
              if (t % 2 == 0) {
                db.write([](Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); });
                ++acknowledged;
              } else {
                static_cast<void>(db.query_one<int>("SELECT count(*) FROM t"));
              }
              if (!std::exchange(is_counted, true)) running.count_down();
            }
          } catch (const ClosedError&) {
          } catch (const std::exception& error) {
            ADD_FAILURE() << error.what();
          }
          if (!is_counted) running.count_down();
        });
      }
      running.wait();
      db.close();
      EXPECT_THROW(db.execute("INSERT INTO t VALUES (2)"), ClosedError);
      EXPECT_NO_THROW(db.close());
    }
    Database again = Database::open(path);
    EXPECT_EQ(again.query_one<int>("SELECT count(*) FROM t"), acknowledged);
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
}

TEST(Shutdown, LetsEachCallSucceedOrHearOfIt) { close_under_load({.readers = 2, .durability = Durability::normal}); }

TEST(Shutdown, LetsACheckpointThatRunsFinish) {
  close_under_load({.readers = 2, .durability = Durability::normal, .checkpoint_pages = 1});
}

TEST(Shutdown, TellsThoseWhoWaitForTheLaneOrAReader) {
  // main                       writers             readers
  // holds lane and reader      wait                wait
  // closes from a thread ----> ClosedError         ClosedError
  // lets go: close returns
  constexpr int kWaiters = 6;
  const testing::TemporaryFolder folder;
  Database db = Database::open(folder / "a.db", {.readers = 1, .acquire_timeout = std::chrono::minutes(2)});
  db.execute("CREATE TABLE t (a)");
  std::atomic<int> told = 0;
  std::jthread closer;
  {
    const Snapshot snapshot = db.snapshot();
    Transaction tx = db.begin();
    tx.execute("INSERT INTO t VALUES (1)");
    std::latch asked(kWaiters);
    std::vector<std::jthread> waiters;
    for (int i = 0; i < kWaiters; ++i) {
      waiters.emplace_back([&, i] {
        asked.count_down();
        try {
          if (i % 2 == 0) {
            db.execute("INSERT INTO t VALUES (2)");
          } else {
            static_cast<void>(db.query_one<int>("SELECT count(*) FROM t"));
          }
          ADD_FAILURE() << "the call succeeded";
        } catch (const ClosedError&) {
          ++told;
        }
      });
    }
    asked.wait();
    closer = std::jthread([&] { EXPECT_NO_THROW(db.close()); });
    waiters.clear();
    EXPECT_EQ(told, kWaiters);
    tx.commit();  // what had begun may end
  }
  closer.join();
  EXPECT_EQ(Database::open(folder / "a.db").query_one<int>("SELECT count(*) FROM t"), 1);
}

TEST(Shutdown, NamesWhoStillHoldsAReader) {
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  Database db = Database::open(folder / "a.db", {.acquire_timeout = milliseconds(0)});
  {
    const Snapshot snapshot = db.snapshot({"report.cpp", 3, "print"});
    std::string message;
    std::jthread([&] { message = testing::error_of<TimeoutError>([&] { db.close(); }).what(); }).join();
    EXPECT_TRUE(testing::mentions(message, "report.cpp:3 (print)")) << message;
  }
  EXPECT_NO_THROW(db.close());
  EXPECT_EQ(testing::count_open_files(), open_files);
}

TEST(Shutdown, NamesWhoStillHoldsTheLane) {
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  Database db = Database::open(folder / "a.db", {.acquire_timeout = milliseconds(0), .checkpoint_pages = 1});
  db.execute("CREATE TABLE t (a)");
  {
    Transaction tx = db.begin(Behavior::immediate, {"report.cpp", 3, "print"});
    tx.execute("INSERT INTO t VALUES (1)");
    std::string message;
    std::jthread([&] { message = testing::error_of<TimeoutError>([&] { db.close(); }).what(); }).join();
    EXPECT_TRUE(testing::mentions(message, "report.cpp:3 (print)")) << message;
    tx.commit();
  }
  EXPECT_NO_THROW(db.close());
  EXPECT_EQ(testing::count_open_files(), open_files);
}

TEST(Shutdown, IsRefusedInsideAWrite) {
  const testing::TemporaryFolder folder;
  Database db = Database::open(folder / "a.db");
  db.write([&](Transaction& tx) {
    tx.execute("CREATE TABLE t (a)");
    EXPECT_THROW(db.close(), UsageError);
  });
  EXPECT_EQ(Database::open(folder / "a.db").query_one<int>("SELECT count(*) FROM t"), 0);
}

TEST(Shutdown, ChangesNothingWhenItIsRefused) {
  const testing::TemporaryFolder folder;
  Database db = Database::open(folder / "a.db");
  db.write([&](Transaction&) { EXPECT_THROW(db.close(), UsageError); });
  EXPECT_NO_THROW(db.execute("CREATE TABLE t (a)"));
}

TEST(Shutdown, IsRefusedInsideARead) {
  const testing::TemporaryFolder folder;
  Database db = Database::open(folder / "a.db");
  db.read([&](const Snapshot&) { EXPECT_THROW(db.close(), UsageError); });
  EXPECT_NO_THROW(db.close());
}

TEST(Shutdown, LeavesGuardsThatOutliveTheDatabaseUsable) {
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  {
    auto db = std::make_unique<Database>(Database::open(folder / "a.db"));
    db->execute("CREATE TABLE t (a)");
    Transaction tx = db->begin();
    const Snapshot snapshot = db->snapshot();
    tx.execute("INSERT INTO t VALUES (1)");
    std::jthread([&] { db.reset(); }).join();
    tx.execute("INSERT INTO t VALUES (2)");
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM t"), 0);
    tx.commit();
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM t"), 0);
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_EQ(Database::open(folder / "a.db").query_one<int>("SELECT count(*) FROM t"), 2);
}

// The writer goes last, so that it can copy the log into the file.
TEST(Shutdown, LeavesNoLogBehindWhenASnapshotEndsAfterTheLastWrite) {
  const testing::TemporaryFolder folder;
  {
    auto db = std::make_unique<Database>(Database::open(folder / "a.db"));
    const Snapshot snapshot = db->snapshot();
    Transaction tx = db->begin();
    tx.execute("CREATE TABLE t (a)");
    db.reset();
    tx.commit();
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.db-wal"));
}

TEST(Shutdown, LetsGuardsEndOnDifferentThreadsAfterTheDatabase) {
  constexpr int kRounds = 30;
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  for (int round = 0; round < kRounds; ++round) {
    auto db = std::make_unique<Database>(Database::open(folder / "a.db", {.durability = Durability::normal}));
    constexpr int kGuards = 4;
    std::latch held(kGuards + 1);
    std::latch gone(1);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kGuards; ++i) {
      threads.emplace_back([&] {
        const Snapshot snapshot = db->snapshot();
        held.count_down();
        gone.wait();
      });
    }
    threads.emplace_back([&] {
      Transaction tx = db->begin();
      tx.execute("CREATE TABLE IF NOT EXISTS t (a)");
      tx.execute("INSERT INTO t VALUES (1)");
      held.count_down();
      gone.wait();
      tx.commit();
    });
    held.wait();
    db.reset();
    gone.count_down();
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_EQ(Database::open(folder / "a.db").query_one<int>("SELECT count(*) FROM t"), kRounds);
}

TEST(Shutdown, OfNamedMemoryDatabasesComesInAnyOrder) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 60;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        for (int round = 0; round < kRounds; ++round) {
          Database db = Database::in_memory("shared");
          db.execute("CREATE TABLE IF NOT EXISTS t (a)");
          db.execute("INSERT INTO t VALUES (?)", t);
          EXPECT_GE(db.query_one<int>("SELECT count(*) FROM t WHERE a = ?", t), 1);
          if ((round + t) % 2 == 0) {
            db.close();
            EXPECT_THROW(db.execute("INSERT INTO t VALUES (1)"), ClosedError);
          }
        }
      });
    }
  }
  // The last one took it all along.
  EXPECT_EQ(Database::in_memory("shared").query_one<int>("SELECT count(*) FROM sqlite_master"), 0);
}

TEST(Shutdown, OfOneNamedMemoryDatabaseLeavesTheOthersWorking) {
  Database first = Database::in_memory("pair");
  Database second = Database::in_memory("pair");
  first.execute("CREATE TABLE t (a)");
  std::jthread([&] { first.close(); }).join();
  EXPECT_THROW(first.execute("INSERT INTO t VALUES (1)"), ClosedError);
  EXPECT_NO_THROW(second.execute("INSERT INTO t VALUES (1)"));
  Database third = Database::in_memory("pair");
  EXPECT_EQ(third.query_one<int>("SELECT count(*) FROM t"), 1);
}

}  // namespace
}  // namespace sqlane
