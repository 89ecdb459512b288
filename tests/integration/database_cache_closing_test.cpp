#include <latch>
#include <memory>
#include <thread>
#include <utility>

#include "support/cache_of_databases.hpp"
#include "support/expect_error.hpp"
#include "support/open_files.hpp"

namespace sqlane {
namespace {

using testing::CacheOfDatabases;
using testing::mentions;

// A snapshot of a database that outlives all pointers to it, on a thread of its own.
class Straggler {
 public:
  explicit Straggler(std::shared_ptr<Database> database) {
    thread_ = std::jthread([this, database = std::move(database)]() mutable {
      const Snapshot snapshot = database->snapshot();
      database.reset();
      is_there_.count_down();
      may_go_.wait();
    });
    is_there_.wait();
  }
  Straggler(const Straggler&) = delete;
  Straggler& operator=(const Straggler&) = delete;
  ~Straggler() { leave(); }

  void leave() {
    if (!thread_.joinable()) return;
    may_go_.count_down();
    thread_.join();
  }

 private:
  std::latch is_there_{1};
  std::latch may_go_{1};
  std::jthread thread_;
};

// Guards that outlive their pointer

TEST_F(CacheOfDatabases, LetsGoOfADatabaseThatAGuardKeepsOpen) {
  DatabaseCache cache(with_room_for(1));
  Straggler straggler(cache.get("a"));
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 1U);
  EXPECT_EQ(stats.failed_closings, 1U);
  EXPECT_TRUE(mentions(stats.last_failed_closing, "still in use")) << stats.last_failed_closing;
  EXPECT_EQ(open_keys(), (Keys{"a", "b"}));
  straggler.leave();
  EXPECT_EQ(open_keys(), Keys{"b"});
}

TEST_F(CacheOfDatabases, LetsGoOfADatabaseThatTheCallerItselfKeepsOpen) {
  DatabaseCache cache(with_room_for(1));
  {
    const Snapshot snapshot = cache.get("a")->snapshot();
    EXPECT_NO_THROW(use(cache, "b"));
    EXPECT_EQ(cache.stats().failed_closings, 1U);
    EXPECT_EQ(snapshot.query_one<int>("SELECT 1"), 1);
    EXPECT_NO_THROW(use(cache, "a"));
  }
  EXPECT_EQ(open_keys(), Keys{"a"});
  EXPECT_EQ(cache.stats().failed_closings, 1U);
}

// Closing what is idle

TEST_F(CacheOfDatabases, ClosesWhatNobodyHasWhenAsked) {
  DatabaseCache cache(with_room_for(3));
  const auto held = cache.get("a");
  use(cache, "b");
  use(cache, "c");
  cache.close_idle();
  EXPECT_EQ(open_keys(), Keys{"a"});
  EXPECT_EQ(held->query_one<int>("SELECT 1"), 1);
  EXPECT_EQ(cache.stats().open, 1U);
  EXPECT_EQ(cache.stats().evicted, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
}

TEST_F(CacheOfDatabases, ThrowsTheFirstErrorAfterClosingAllThatAreIdle) {
  DatabaseCache cache(with_room_for(3));
  Straggler straggler(cache.get("a"));
  use(cache, "b");
  EXPECT_THROW(cache.close_idle(), TimeoutError);
  EXPECT_EQ(open_keys(), Keys{"a"});
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_NO_THROW(cache.close_idle());
  straggler.leave();
  EXPECT_EQ(testing::count_open_files(), files_before);
}

// Closing

TEST_F(CacheOfDatabases, ClosesEverythingWhoeverHasIt) {
  DatabaseCache cache(with_room_for(3));
  const auto held = cache.get("a");
  use(cache, "b");
  cache.close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_THROW(held->execute("CREATE TABLE t (a)"), ClosedError);
  EXPECT_THROW(use(cache, "a"), ClosedError);
  EXPECT_THROW(use(cache, "x"), ClosedError);
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_EQ(asked, 2);
  EXPECT_NO_THROW(cache.close());
  EXPECT_NO_THROW(cache.close_idle());
}

TEST_F(CacheOfDatabases, TriesToCloseEachAndThenThrowsTheFirstError) {
  DatabaseCache cache(with_room_for(3));
  auto a = cache.get("a");
  const auto b = cache.get("b");
  {
    const Snapshot snapshot = a->snapshot();
    EXPECT_THROW(cache.close(), UsageError);
    EXPECT_EQ(open_keys(), Keys{"a"});
    EXPECT_EQ(cache.stats().open, 1U);
    EXPECT_EQ(cache.stats().in_use, 1U);
    EXPECT_THROW(use(cache, "a"), ClosedError);
    EXPECT_EQ(snapshot.query_one<int>("SELECT 1"), 1);
  }
  EXPECT_NO_THROW(cache.close());
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_EQ(cache.stats().open, 0U);
}

TEST_F(CacheOfDatabases, ClosesWithTheLastPointerWhatItCouldNotClose) {
  DatabaseCache cache(with_room_for(3));
  auto a = cache.get("a");
  {
    const Snapshot snapshot = a->snapshot();
    EXPECT_THROW(cache.close(), UsageError);
  }
  a.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_EQ(cache.stats().open, 0U);
}

TEST_F(CacheOfDatabases, ThrowsTheFirstErrorOfSeveral) {
  DatabaseCache cache(with_room_for(3));
  Straggler straggler(cache.get("b"));  // TimeoutError
  const Snapshot snapshot = cache.get("a")->snapshot();
  EXPECT_THROW(cache.close(), UsageError);
  EXPECT_EQ(cache.stats().failed_closings, 2U);
  EXPECT_TRUE(mentions(cache.stats().last_failed_closing, "still in use"));
}

TEST_F(CacheOfDatabases, LetsGoAtItsCloseOfWhatOnlyAGuardKeepsOpen) {
  DatabaseCache cache(with_room_for(3));
  {
    const Snapshot snapshot = cache.get("a")->snapshot();
    EXPECT_THROW(cache.close(), UsageError);
    EXPECT_EQ(cache.stats().open, 0U);
    EXPECT_NO_THROW(cache.close());
  }
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(CacheOfDatabases, ClosesWithItsEndWhatNobodyHas) {
  auto cache = std::make_unique<DatabaseCache>(with_room_for(3));
  auto held = cache->get("a");
  const auto copy = cache->get("a");
  use(*cache, "b");
  use(*cache, "c");
  cache.reset();
  EXPECT_EQ(open_keys(), Keys{"a"});
  held->execute("CREATE TABLE t (a)");
  held.reset();
  EXPECT_EQ(copy->query_one<int>("SELECT count(*) FROM t"), 0);
}

TEST_F(CacheOfDatabases, LeavesADatabaseToTheLastPointer) {
  auto cache = std::make_unique<DatabaseCache>(with_room_for(3));
  auto held = cache->get("a");
  auto other = cache->get("b");
  cache.reset();
  EXPECT_EQ(held->query_one<int>("SELECT 1"), 1);
  held.reset();
  EXPECT_EQ(open_keys(), Keys{"b"});
  other.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(CacheOfDatabases, OpensAnewWhatWasClosedThroughAPointer) {
  DatabaseCache cache(with_room_for(1));
  auto held = cache.get("a");
  held->close();
  EXPECT_THROW(cache.get("a")->execute("CREATE TABLE t (a)"), ClosedError);
  held.reset();
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_NO_THROW(cache.get("a")->execute("CREATE TABLE t (a)"));
  EXPECT_EQ(asked, 2);
}

// Dropping a pointer where it is least expected

TEST_F(CacheOfDatabases, MayLoseAPointerInACallbackOfItsDatabase) {
  DatabaseCache cache(with_room_for(1));
  auto held = cache.get("a");
  held->write([&](Transaction& tx) {
    tx.execute("CREATE TABLE t (a)");
    tx.on_commit([&]() noexcept { held.reset(); });
  });
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_EQ(cache.get("a")->query_one<int>("SELECT count(*) FROM t"), 0);
}

TEST_F(CacheOfDatabases, MayLoseItsLastPointerInACallbackOfItsDatabase) {
  auto cache = std::make_unique<DatabaseCache>(with_room_for(1));
  auto held = cache->get("a");
  cache.reset();
  held->write([&](Transaction& tx) {
    tx.execute("CREATE TABLE t (a)");
    tx.on_commit([&]() noexcept { held.reset(); });
  });
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(CacheOfDatabases, MayLoseItsLastPointerOnTheThreadOfAsynchronousWrites) {
  auto cache = std::make_unique<DatabaseCache>(with_room_for(1));
  std::shared_ptr<Database> held = cache->get("a");
  cache.reset();
  std::latch is_dropped(1);
  Database& database = *held;
  database
      .write_async([&](Transaction& tx) {
        tx.execute("CREATE TABLE t (a)");
        tx.on_commit([&]() noexcept {
          held.reset();
          is_dropped.count_down();
        });
      })
      .get();
  is_dropped.wait();
  EXPECT_EQ(Database::open(path_of("a")).query_one<int>("SELECT count(*) FROM t"), 0);
}

}  // namespace
}  // namespace sqlane
