#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "support/expect_error.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::mentions;

using Keys = std::set<std::string>;

// One file for each key, in a folder of its own. Nobody waits for anything.
class CacheOfDatabases : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path_of(std::string_view key) const {
    return folder / (std::string(key) + ".db");
  }

  [[nodiscard]] DatabaseCacheOptions with_room_for(std::size_t max_open) {
    return {.options_for =
                [this](std::string_view key) {
                  ++asked;
                  return Options{.path = path_of(key),
                                 .readers = 1,
                                 .durability = Durability::normal,
                                 .acquire_timeout = 0ms,
                                 .page_cache = 64U << 10U};
                },
            .max_open = max_open,
            .acquire_timeout = 0ms};
  }

  // As the system sees it.
  [[nodiscard]] Keys open_keys() const {
    Keys keys;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const std::filesystem::path file = std::filesystem::read_symlink(entry.path(), gone);
      if (file.parent_path() == folder.path() && file.extension() == ".db") keys.insert(file.stem());
    }
    return keys;
  }

  static void use(DatabaseCache& cache, std::string_view key) { static_cast<void>(cache.get(key)); }

  testing::TemporaryFolder folder;
  std::size_t files_before = testing::count_open_files();
  int asked = 0;
};

// Expects that a child of this process comes to its end, and all that it expects itself.
void in_child(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    ::alarm(30);  // seconds; the kernel ends a child that hangs
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "in the child: " << error.what();
    }
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

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

TEST_F(CacheOfDatabases, RefusesOptionsThatMakeNoSense) {
  EXPECT_TRUE(mentions(error_of<UsageError>([] { const DatabaseCache cache({}); }), "options_for"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { const DatabaseCache cache(with_room_for(0)); }), "max_open"));
  DatabaseCacheOptions options = with_room_for(1);
  options.acquire_timeout = -1ms;
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { const DatabaseCache cache(options); }), "acquire_timeout"));
}

TEST_F(CacheOfDatabases, OpensNothingBeforeSomebodyAsks) {
  const DatabaseCache cache(with_room_for(2));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(cache.stats().open, 0U);
}

TEST_F(CacheOfDatabases, FindsWhatIsOpen) {
  DatabaseCache cache(with_room_for(2));
  const auto first = cache.get("a");
  EXPECT_EQ(cache.get("a"), first);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(first->options().path, path_of("a"));
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 1U);
  EXPECT_EQ(stats.in_use, 1U);
  EXPECT_EQ(stats.opened, 1U);
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.evicted, 0U);
}

TEST_F(CacheOfDatabases, KeepsOpenWhatNobodyHas) {
  DatabaseCache cache(with_room_for(2));
  use(cache, "a");
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_EQ(open_keys(), Keys{"a"});
  use(cache, "a");
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(cache.stats().hits, 1U);
}

TEST_F(CacheOfDatabases, ClosesWhatWasUnusedForLongestToMakeRoom) {
  DatabaseCache cache(with_room_for(3));
  use(cache, "a");
  use(cache, "b");
  use(cache, "c");
  use(cache, "a");
  use(cache, "d");
  EXPECT_EQ(open_keys(), (Keys{"a", "c", "d"}));
  use(cache, "e");
  EXPECT_EQ(open_keys(), (Keys{"a", "d", "e"}));
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 3U);
  EXPECT_EQ(stats.opened, 5U);
  EXPECT_EQ(stats.evicted, 2U);
}

TEST_F(CacheOfDatabases, CountsAUseFromItsEnd) {
  DatabaseCache cache(with_room_for(2));
  auto first = cache.get("a");
  use(cache, "b");
  first.reset();
  use(cache, "c");
  EXPECT_EQ(open_keys(), (Keys{"a", "c"}));
}

TEST_F(CacheOfDatabases, DoesNotCloseWhatSomebodyHas) {
  DatabaseCache cache(with_room_for(2));
  const auto held = cache.get("a");
  for (const char* key : {"b", "c", "d"}) use(cache, key);
  EXPECT_EQ(open_keys(), (Keys{"a", "d"}));
  EXPECT_EQ(held->query_one<int>("SELECT 1"), 1);
  EXPECT_EQ(cache.get("a"), held);
}

TEST_F(CacheOfDatabases, HasADatabaseInUseUntilTheLastPointerIsDropped) {
  DatabaseCache cache(with_room_for(1));
  auto first = cache.get("a");
  auto second = cache.get("a");
  auto copy = second;
  first.reset();
  EXPECT_EQ(cache.stats().in_use, 1U);
  second.reset();
  EXPECT_EQ(cache.stats().in_use, 1U);
  EXPECT_THROW(use(cache, "b"), TimeoutError);
  copy.reset();
  EXPECT_EQ(cache.stats().in_use, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
}

TEST_F(CacheOfDatabases, NamesWhatIsInUseWhenThereIsNoRoomInTime) {
  DatabaseCache cache(with_room_for(2));
  const auto a = cache.get("a", {.file = "a.cpp", .line = 7, .function = "f"});
  const auto b = cache.get("b");
  const auto error = error_of<TimeoutError>([&] { use(cache, "c"); });
  EXPECT_TRUE(error.is_retryable());
  EXPECT_TRUE(mentions(error, "\"c\"")) << error.what();
  EXPECT_TRUE(mentions(error, "2 of 2 are in use")) << error.what();
  EXPECT_TRUE(mentions(error, "\"a\" at a.cpp:7 (f)")) << error.what();
  EXPECT_TRUE(mentions(error, "\"b\" at ")) << error.what();
  EXPECT_FALSE(mentions(error, "more")) << error.what();
  const DatabaseCacheStatistics stats = cache.stats();
  EXPECT_EQ(stats.open, 2U);
  EXPECT_EQ(stats.waiting, 0U);
  EXPECT_EQ(stats.timeouts, 1U);
}

TEST_F(CacheOfDatabases, NamesTheOldestUsesWhereThereAreMany) {
  DatabaseCache cache(with_room_for(7));
  std::vector<std::shared_ptr<Database>> held;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) held.push_back(cache.get(key));
  const auto error = error_of<TimeoutError>([&] { use(cache, "x"); });
  EXPECT_TRUE(mentions(error, "\"a\"")) << error.what();
  EXPECT_TRUE(mentions(error, "\"e\"")) << error.what();
  EXPECT_FALSE(mentions(error, "\"f\"")) << error.what();
  EXPECT_TRUE(mentions(error, ", and 2 more")) << error.what();
}

// Errors

TEST_F(CacheOfDatabases, ClosesNothingForAKeyThatIsRefused) {
  DatabaseCacheOptions options = with_room_for(1);
  options.options_for = [known = options.options_for](std::string_view key) {
    if (key == "unknown") throw std::invalid_argument("no such tenant");
    return known(key);
  };
  DatabaseCache cache(options);
  use(cache, "a");
  EXPECT_THROW(use(cache, "unknown"), std::invalid_argument);
  EXPECT_EQ(open_keys(), Keys{"a"});
  const auto held = cache.get("a");
  EXPECT_THROW(use(cache, "unknown"), std::invalid_argument);  // not a TimeoutError
  EXPECT_EQ(cache.stats().open, 1U);
}

TEST_F(CacheOfDatabases, HasRoomAgainAfterAnOpeningFailed) {
  DatabaseCache cache(with_room_for(1));
  EXPECT_THROW(use(cache, "missing/a"), OpenError);
  EXPECT_EQ(cache.stats().open, 0U);
  use(cache, "b");
  EXPECT_THROW(use(cache, "missing/a"), OpenError);
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_NO_THROW(use(cache, "b"));
  EXPECT_EQ(cache.stats().opened, 2U);
}

TEST_F(CacheOfDatabases, PreparesADatabaseBeforeAnybodyGetsIt) {
  DatabaseCacheOptions options = with_room_for(1);
  std::vector<std::string> prepared;
  options.prepare = [&](std::string_view key, Database& db) {
    prepared.emplace_back(key);
    db.execute("CREATE TABLE IF NOT EXISTS note (title TEXT)");
  };
  DatabaseCache cache(options);
  for (const char* const key : {"a", "a", "b"}) {
    const std::shared_ptr<Database> db = cache.get(key);
    db->execute("INSERT INTO note VALUES ('x')");
  }
  EXPECT_EQ(cache.get("a")->query_one<int>("SELECT count(*) FROM note"), 2);
  EXPECT_EQ(prepared, (std::vector<std::string>{"a", "b", "a"}));
}

TEST_F(CacheOfDatabases, ClosesADatabaseThatCouldNotBePrepared) {
  DatabaseCacheOptions options = with_room_for(1);
  int tries = 0;
  options.prepare = [&](std::string_view, Database&) {
    if (++tries == 1) throw std::runtime_error("not now");
  };
  DatabaseCache cache(options);
  EXPECT_THROW(use(cache, "a"), std::runtime_error);
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_EQ(cache.stats().open, 0U);
  EXPECT_EQ(cache.stats().opened, 0U);
  EXPECT_NO_THROW(use(cache, "a"));
}

TEST_F(CacheOfDatabases, RefusesToWaitForTheThreadThatOpens) {
  std::unique_ptr<DatabaseCache> cache;
  DatabaseCacheOptions options = with_room_for(3);
  options.options_for = [&, plain = options.options_for](std::string_view key) {
    if (key == "first") use(*cache, "first");
    return plain(key);
  };
  options.prepare = [&](std::string_view key, Database&) {
    if (key == "second") use(*cache, "second");
    if (key == "third") use(*cache, "other");
    if (key == "fourth") cache->close();
  };
  cache = std::make_unique<DatabaseCache>(options);
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "first"); }), "this thread itself"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "second"); }), "this thread itself"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use(*cache, "fourth"); }), "this thread itself"));
  EXPECT_EQ(cache->stats().open, 0U);
  EXPECT_NO_THROW(use(*cache, "third"));
  EXPECT_EQ(open_keys(), (Keys{"third", "other"}));
}

TEST_F(CacheOfDatabases, OpensNothingWhenItIsClosedWhileTheOptionsAreAsked) {
  std::unique_ptr<DatabaseCache> cache;
  DatabaseCacheOptions options = with_room_for(1);
  options.options_for = [&, plain = options.options_for](std::string_view key) {
    cache->close();
    return plain(key);
  };
  cache = std::make_unique<DatabaseCache>(options);
  EXPECT_THROW(use(*cache, "a"), ClosedError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(cache->stats().open, 0U);
}

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

TEST_F(CacheOfDatabases, LeavesAChildOfForkNothingToUse) {
  auto cache = std::make_unique<DatabaseCache>(with_room_for(2));
  auto held = cache->get("a");
  held->execute("CREATE TABLE t (a)");
  use(*cache, "b");
  in_child([&] {
    EXPECT_THROW(use(*cache, "a"), UsageError);
    EXPECT_THROW(use(*cache, "c"), UsageError);
    EXPECT_THROW(static_cast<void>(cache->stats()), UsageError);
    EXPECT_THROW(cache->close_idle(), UsageError);
    EXPECT_THROW(cache->close(), UsageError);
    held.reset();
    cache.reset();
    DatabaseCache own(with_room_for(2));
    EXPECT_NO_THROW(own.get("child")->execute("CREATE TABLE t (a)"));
  });
  held->execute("INSERT INTO t VALUES (1)");
  EXPECT_TRUE(std::filesystem::exists(path_of("a").string() + "-wal"));
  EXPECT_EQ(cache->stats().in_use, 1U);
}

TEST_F(CacheOfDatabases, LeavesAChildOfForkWithoutThoseWhoWait) {
  std::latch is_opening(1);
  std::latch may_open(1);
  DatabaseCacheOptions options = with_room_for(2);
  options.acquire_timeout = 1h;
  options.prepare = [&](std::string_view key, Database&) {
    if (key != "b") return;
    is_opening.count_down();
    may_open.wait();
  };
  auto cache = std::make_unique<DatabaseCache>(options);
  auto held = cache->get("a");
  std::jthread opener([&] { use(*cache, "b"); });
  is_opening.wait();
  std::jthread for_opening([&] { use(*cache, "b"); });
  std::jthread for_room([&] { use(*cache, "c"); });
  while (cache->stats().waiting != 2) std::this_thread::yield();
  in_child([&] {
    held.reset();
    cache.reset();
  });
  may_open.count_down();
}

// Keeps whoever asks it for the time after hold(), until let_go().
class HeldClock final : public detail::Clock {
 public:
  time_point now() override {
    if (is_held_) {
      is_asked_.count_down();
      may_go_.wait();
    }
    return {};
  }
  void wait_until(detail::Condition& condition, detail::MutexLock& lock, time_point) override {
    condition.wait(lock.native());
  }
  void hold() { is_held_ = true; }
  void await_asked() { is_asked_.wait(); }
  void let_go() { may_go_.count_down(); }

 private:
  std::atomic<bool> is_held_ = false;
  std::latch is_asked_{1};
  std::latch may_go_{1};
};

TEST_F(CacheOfDatabases, LeavesAChildOfForkWithoutTheOneWhoHasItsLock) {
  HeldClock clock;
  auto cache = std::make_unique<DatabaseCache>(with_room_for(2), clock);
  auto held = cache->get("a");
  use(*cache, "b");
  clock.hold();
  std::jthread closer([&] { cache->close_idle(); });  // asks for the time under the lock
  clock.await_asked();
  in_child([&] {
    held.reset();
    cache.reset();
  });
  clock.let_go();
  closer.join();
}

// Many files

std::size_t count_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

// SQLANE_TEST_FILES says how many. One in ten is written to, since each of those is synced several times.
TEST_F(CacheOfDatabases, ServesManyFilesWithAFewOpen) {
  constexpr std::size_t kOpen = 64;
  constexpr std::size_t kWritten = 10;
  const char* const wanted = std::getenv("SQLANE_TEST_FILES");
  const std::size_t files = wanted == nullptr ? 1000 : std::stoul(wanted);
  const std::size_t threads_before = count_threads();
  const auto key_of = [](std::size_t number) { return "tenant" + std::to_string(number); };

  {
    Database db = Database::open(path_of("new"));
    db.execute("CREATE TABLE t (a INTEGER)");
  }
  for (std::size_t i = 0; i < files; ++i) std::filesystem::copy_file(path_of("new"), path_of(key_of(i)));

  DatabaseCache cache(with_room_for(kOpen));
  std::size_t most_files = 0;
  std::size_t most_threads = 0;
  for (std::size_t i = 0; i < files; ++i) {
    const auto db = cache.get(key_of(i));
    if (i % kWritten == 0) db->execute("INSERT INTO t VALUES (?)", i);
    ASSERT_EQ(db->query_one<int>("SELECT count(*) FROM t"), i % kWritten == 0 ? 1 : 0);
    if (i % kOpen != 0 && i + 1 != files) continue;
    most_files = std::max(most_files, testing::count_open_files());
    most_threads = std::max(most_threads, count_threads());
    ASSERT_EQ(open_keys().size(), std::min(i + 1, kOpen));
  }
  for (std::size_t i = 0; i < files; i += kWritten) {
    ASSERT_EQ(cache.get(key_of(i))->query_one<std::size_t>("SELECT a FROM t"), i);
  }
  EXPECT_EQ(cache.stats().open, std::min(files, kOpen));
  EXPECT_LE(most_threads, threads_before + 1);  // that of maintenance
  cache.close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  std::printf("%zu files: descriptors %zu, at most %zu, then %zu; threads %zu, at most %zu, then %zu\n", files,
              files_before, most_files, testing::count_open_files(), threads_before, most_threads, count_threads());
}

}  // namespace
}  // namespace sqlane
