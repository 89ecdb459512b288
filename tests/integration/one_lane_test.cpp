#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"
#include "support/working_folder.hpp"

// All who open a file in one process share its lane, whatever path they take.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::error_of;
using testing::mentions;
using testing::WorkingFolder;

// Meanwhile relative paths begin in this folder.
class OneLane : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path path() const { return folder_ / "a.db"; }

  static Database open(const fs::path& path, Durability durability = Durability::normal) {
    Database db = Database::open(
        path, {.durability = durability, .acquire_timeout = std::chrono::hours(1), .busy_timeout = milliseconds(0)});
    db.execute("CREATE TABLE IF NOT EXISTS t (a)");
    return db;
  }
  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static int count(const Database& db) { return db.query_one<int>("SELECT count(*) FROM t"); }

  // A write through `second` waits while a guard of `first` lives, which both
  // see; it never meets SQLite's lock, for which there is no patience.
  static void expect_one_lane(Database& first, Database& second) {
    // main                      writer
    // has the lane of first
    //                           writes through second: waits
    // commits                   has written
    constexpr CallSite kGuard{"notes.cpp", 12, "save_note"};
    const int before = count(first);
    Transaction tx = first.begin(Behavior::immediate, kGuard);
    add_one(tx);
    ASSERT_TRUE(second.lane_holder());
    EXPECT_EQ(second.lane_holder()->site.to_string(), kGuard.to_string());
    std::jthread writer([&] { EXPECT_NO_THROW(second.write(add_one)); });
    while (first.lane_holder()->waiting != 1) std::this_thread::yield();
    tx.commit();
    writer.join();
    EXPECT_EQ(count(first), before + 2);
    EXPECT_EQ(count(second), before + 2);
  }

  // 2 is FULL, 1 is NORMAL. https://sqlite.org/pragma.html#pragma_synchronous
  static int synchronous(Database& db) {
    return db.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA synchronous"); });
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(OneLane, IsSharedByThoseWhoTakeTheSamePath) {
  Database first = open(path());
  Database second = open(path());
  expect_one_lane(first, second);
  expect_one_lane(second, first);
}

TEST_F(OneLane, IsSharedThroughARelativePath) {
  const WorkingFolder here(folder_.path());
  Database first = open(path());
  Database second = open("a.db");
  Database third = open("./../" + folder_.path().filename().string() + "/a.db");
  expect_one_lane(first, second);
  expect_one_lane(third, first);
}

TEST_F(OneLane, IsSharedThroughALinkedFolder) {
  fs::create_directory(folder_ / "real");
  fs::create_directory_symlink(folder_ / "real", folder_ / "linked");
  Database first = open(folder_ / "real" / "a.db");
  Database second = open(folder_ / "linked" / "a.db");
  expect_one_lane(first, second);
}

TEST_F(OneLane, IsNotSharedThroughAHardLink) {
  Database first = open(path());
  fs::create_hard_link(path(), folder_ / "b.db");
  EXPECT_THROW(static_cast<void>(open(folder_ / "b.db")), OpenError);
  EXPECT_FALSE(fs::exists(folder_ / "b.db-wal"));
  EXPECT_NO_THROW(first.write(add_one));
}

TEST_F(OneLane, IsNotSharedByOtherFiles) {
  Database first = open(path());
  Database second = open(folder_ / "b.db");
  const Transaction tx = first.begin();
  EXPECT_FALSE(second.lane_holder());
  EXPECT_NO_THROW(second.write(add_one));
}

TEST_F(OneLane, RefusesAWriteInsideAWriteThroughTheOtherOne) {
  Database first = open(path());
  Database second = open(path());
  first.write(
      [&](Transaction& tx) {
        add_one(tx);
        const auto write = [&] { second.write(add_one, {"index.cpp", 7, "rebuild"}); };
        const std::string message = error_of<UsageError>(write).what();
        EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
        EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
      },
      {"notes.cpp", 12, "save_note"});
  EXPECT_EQ(count(second), 1);
}

TEST_F(OneLane, ServesAsynchronousWritesOfBoth) {
  Database first = open(path());
  Database second = open(path());
  std::vector<WriteFuture<void>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back((i % 2 == 0 ? first : second).write_async(add_one));
  first.close();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
  EXPECT_EQ(count(second), 100);
}

// Durability

TEST_F(OneLane, IsAsDurableAsTheLastOneAskedFor) {
  Database first = open(path(), Durability::normal);
  EXPECT_EQ(synchronous(first), 1);
  Database second = open(path(), Durability::full);
  EXPECT_EQ(synchronous(first), 2);
  EXPECT_EQ(synchronous(second), 2);
}

TEST_F(OneLane, IsAsDurableAsTheFirstOneAskedFor) {
  Database first = open(path(), Durability::full);
  Database second = open(path(), Durability::normal);
  EXPECT_EQ(synchronous(first), 2);
  EXPECT_EQ(synchronous(second), 2);
}

TEST_F(OneLane, StaysDurableWhenTheOneWhoAskedForItIsClosed) {
  Database first = open(path(), Durability::normal);
  open(path(), Durability::full).close();
  EXPECT_EQ(synchronous(first), 2);
}

TEST_F(OneLane, WaitsForAGuardBeforeItBecomesMoreDurable) {
  Database first = open(path(), Durability::normal);
  std::jthread opener;
  {
    Transaction tx = first.begin();
    opener = std::jthread([&] { EXPECT_NO_THROW(open(path(), Durability::full)); });
    while (first.lane_holder()->waiting != 1) std::this_thread::yield();
    EXPECT_EQ(tx.query_one<int>("PRAGMA synchronous"), 1);
    tx.commit();
  }
  opener.join();
  EXPECT_EQ(synchronous(first), 2);
}

TEST_F(OneLane, StaysWithTheOthersWhenBecomingMoreDurableFails) {
  Database first = Database::open(path(), {.durability = Durability::normal, .acquire_timeout = milliseconds(0)});
  {
    Transaction tx = first.begin();
    std::jthread([&] { EXPECT_THROW(static_cast<void>(open(path(), Durability::full)), TimeoutError); }).join();
    tx.commit();
  }
  EXPECT_NO_THROW(first.execute("CREATE TABLE t (a)"));
  first.close();
  EXPECT_FALSE(fs::exists(path().string() + "-wal"));
}

// Closing

TEST_F(OneLane, GoesOnWhenOneOfTwoIsClosed) {
  for (const bool closes_first : {true, false}) {
    Database first = open(path());
    Database second = open(path());
    Database& closed = closes_first ? first : second;
    Database& other = closes_first ? second : first;
    closed.close();
    EXPECT_THROW(closed.write(add_one), ClosedError);
    EXPECT_THROW(static_cast<void>(closed.lane_holder()), ClosedError);
    EXPECT_NO_THROW(closed.close());
    EXPECT_NO_THROW(other.write(add_one));
    EXPECT_TRUE(fs::exists(path().string() + "-wal"));
  }
}

TEST_F(OneLane, ClosesTheFileWithTheLastOne) {
  const std::size_t open_files = testing::count_open_files();
  {
    Database first = open(path());
    Database second = open(path());
    second.write(add_one);
    first.close();
    second.close();
    EXPECT_FALSE(fs::exists(path().string() + "-wal"));
    EXPECT_EQ(testing::count_open_files(), open_files);
  }
  {
    auto first = std::make_unique<Database>(open(path()));
    auto second = std::make_unique<Database>(open(path()));
    second->write(add_one);
    second.reset();
    EXPECT_TRUE(fs::exists(path().string() + "-wal"));
    first.reset();
    EXPECT_FALSE(fs::exists(path().string() + "-wal"));
    EXPECT_EQ(testing::count_open_files(), open_files);
  }
}

TEST_F(OneLane, CanBeOpenedAnewWithOtherOptionsOnceAllAreClosed) {
  {
    Database first = open(path(), Durability::full);
    Database second = open(path(), Durability::normal);
    EXPECT_EQ(second.options().durability, Durability::full);
  }
  Database again = open(path(), Durability::normal);
  EXPECT_EQ(again.options().durability, Durability::normal);
  EXPECT_EQ(synchronous(again), 1);
}

TEST_F(OneLane, IsAnotherOneOnceTheFileWasMadeAnew) {
  Database first = open(path());
  first.write(add_one);
  for (const char* const suffix : {"", "-wal", "-shm"}) fs::remove(path().string() + suffix);
  Database second = open(path());
  EXPECT_EQ(count(second), 0);
  {
    const Transaction tx = second.begin();
    EXPECT_FALSE(first.lane_holder());
  }
  EXPECT_THROW(first.write(add_one), IoError);  // nobody finds that file any more
  EXPECT_NO_THROW(second.write(add_one));
  EXPECT_EQ(count(second), 1);
}

TEST_F(OneLane, LetsAnotherProgramInBetween) {
  Database first = open(path());
  Database second = open(path());
  first.close();
  testing::ForeignConnection(path()).run("INSERT INTO t VALUES (1)");
  second.write(add_one);
  EXPECT_EQ(count(second), 2);
}

TEST_F(OneLane, OfANamedMemoryDatabaseRefusesAWriteInsideAWrite) {
  Database first = Database::in_memory("pair");
  Database second = Database::in_memory("pair");
  first.execute("CREATE TABLE t (a)");
  first.write([&](Transaction&) { EXPECT_THROW(second.write(add_one), UsageError); });
}

}  // namespace
}  // namespace sqlane
