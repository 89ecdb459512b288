#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::mentions;

constexpr auto kTimeout = 5000ms;

// Threads that ask a cache whose clock stands still.
class CacheAmongThreads : public ::testing::Test {
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
                                 .acquire_timeout = 1h,
                                 .page_cache = 64U << 10U};
                },
            .max_open = max_open,
            .acquire_timeout = kTimeout};
  }
  void make_cache(DatabaseCacheOptions options) { cache = std::make_unique<DatabaseCache>(std::move(options), clock); }

  // Until so many threads wait in get().
  void await_waiting(std::size_t count) const {
    while (cache->stats().waiting != count) std::this_thread::yield();
  }
  void await_asked(int count) const {
    while (asked != count) std::this_thread::yield();
  }
  void use(std::string_view key) const { static_cast<void>(cache->get(key)); }

  testing::TemporaryFolder folder;
  std::size_t files_before = testing::count_open_files();
  testing::SteppedClock clock;
  std::atomic<int> asked = 0;  // for options, so once for each opening
  std::unique_ptr<DatabaseCache> cache;
};

// Room

TEST_F(CacheAmongThreads, HandsRoomToAWaiterWhenAPointerIsDropped) {
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::jthread waiter([&] { cache->get("b")->execute("CREATE TABLE t (a)"); });
  await_waiting(1);
  EXPECT_EQ(cache->stats().open, 1U);
  EXPECT_FALSE(std::filesystem::exists(path_of("b")));
  held.reset();
  EXPECT_EQ(cache->stats().evicted, 1U);  // decided at once, so nobody comes in between
  waiter.join();
  EXPECT_EQ(cache->stats().waiting, 0U);
  EXPECT_EQ(cache->stats().opened, 2U);
}

TEST_F(CacheAmongThreads, HandsRoomToAWaiterWhenAnOpeningFails) {
  // main                       opener                     waiter
  //                            options_for, prepare
  //                                                       waits
  // ---- may fail ---------->  throws
  //                                                       opens
  std::latch is_opening(1);
  std::latch may_fail(1);
  DatabaseCacheOptions options = with_room_for(1);
  options.prepare = [&](std::string_view key, Database&) {
    if (key != "a") return;
    is_opening.count_down();
    may_fail.wait();
    throw std::runtime_error("not now");
  };
  make_cache(options);
  std::jthread opener([&] { EXPECT_THROW(use("a"), std::runtime_error); });
  is_opening.wait();
  std::jthread waiter([&] { EXPECT_NO_THROW(use("b")); });
  await_waiting(1);
  may_fail.count_down();
  opener.join();
  waiter.join();
  EXPECT_EQ(cache->stats().open, 1U);
  EXPECT_EQ(cache->stats().evicted, 0U);
}

TEST_F(CacheAmongThreads, ServesThoseWhoWaitInTheOrderOfTheirAsking) {
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::mutex mutex;
  std::string order;
  std::vector<std::jthread> waiters;
  for (const char* key : {"e", "b", "d", "c"}) {
    waiters.emplace_back([&, key] {
      const auto db = cache->get(key);
      const std::lock_guard lock(mutex);
      order += key;
    });
    await_waiting(waiters.size());
  }
  held.reset();
  waiters.clear();
  EXPECT_EQ(order, "ebdc");
}

TEST_F(CacheAmongThreads, LetsNobodyOvertakeThoseWhoWait) {
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::latch may_drop(1);
  std::jthread waiter([&] {
    const auto db = cache->get("b");
    may_drop.wait();
  });
  await_waiting(1);
  held.reset();
  std::jthread newcomer([&] { use("a"); });  // had it a moment ago
  await_waiting(1);
  may_drop.count_down();
  newcomer.join();
  waiter.join();
  EXPECT_EQ(cache->stats().opened, 3U);
}

TEST_F(CacheAmongThreads, TimesOutAtTheDeadline) {
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::jthread waiter([&] {
    EXPECT_TRUE(mentions(error_of<TimeoutError>([&] { use("b"); }), "\"a\" at "));
    // That of the next call counts from its own beginning.
    EXPECT_NO_THROW(use("b"));
  });
  await_waiting(1);
  clock.advance(kTimeout - 1ms);
  EXPECT_EQ(cache->stats().timeouts, 0U);
  await_waiting(1);
  clock.advance(1ms);
  while (cache->stats().timeouts == 0) std::this_thread::yield();
  await_waiting(1);
  held.reset();
  waiter.join();
  EXPECT_EQ(cache->stats().timeouts, 1U);
  EXPECT_EQ(cache->stats().open, 1U);
}

TEST_F(CacheAmongThreads, HasARoomForOthersAfterSomebodyTimedOut) {
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::jthread waiter([&] { EXPECT_THROW(use("b"), TimeoutError); });
  await_waiting(1);
  clock.advance(kTimeout);
  waiter.join();
  held.reset();
  EXPECT_EQ(cache->stats().evicted, 0U);  // nobody waits any more
  EXPECT_NO_THROW(use("c"));
}

TEST_F(CacheAmongThreads, KeepsAWaitersPlaceWhenAnotherOneOfItsKeyGivesUp) {
  // main               first               second                third
  // has a
  //                    wants x, in line
  // 1 ms                                   waits for first
  // 1 ms                                                         wants z, in line
  // 4998 ms            TimeoutError        in line, before third
  // drops a                                has x
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  std::mutex mutex;
  std::string order;
  const auto get = [&](const char* key) {
    const auto db = cache->get(key);
    const std::lock_guard lock(mutex);
    order += key;
  };
  std::jthread first([&] { EXPECT_THROW(use("x"), TimeoutError); });
  await_waiting(1);
  clock.advance(1ms);
  std::jthread second([&] { get("x"); });
  await_waiting(2);
  clock.advance(1ms);
  std::jthread third([&] { get("z"); });
  await_waiting(3);
  await_asked(3);
  clock.advance(kTimeout - 2ms);
  first.join();
  await_asked(4);
  await_waiting(2);
  held.reset();
  second.join();
  third.join();
  EXPECT_EQ(order, "xz");
}

// Opening

// A cache in which preparing the database a waits to be let on.
class CacheThatOpens : public CacheAmongThreads {
 protected:
  void make_blocking_cache(std::size_t max_open, std::function<void()> then = {}) {
    DatabaseCacheOptions options = with_room_for(max_open);
    options.prepare = [this, then = std::move(then)](std::string_view key, Database&) {
      if (key != "a") return;
      is_opening.release();
      may_open.acquire();
      if (then) then();
    };
    make_cache(std::move(options));
  }

  std::counting_semaphore<> is_opening{0};
  std::counting_semaphore<> may_open{0};
};

TEST_F(CacheThatOpens, OpensOnceForAllWhoAskAtTheSameTime) {
  constexpr std::size_t kThreads = 6;
  make_blocking_cache(4);
  std::mutex mutex;
  std::vector<std::shared_ptr<Database>> all;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      auto database = cache->get("a");
      const std::lock_guard lock(mutex);
      all.push_back(std::move(database));
    });
  }
  is_opening.acquire();
  await_waiting(kThreads - 1);
  EXPECT_EQ(cache->stats().open, 1U);
  EXPECT_EQ(cache->stats().in_use, 0U);
  may_open.release();
  threads.clear();
  for (const auto& one : all) EXPECT_EQ(one, all.front());
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(cache->stats().opened, 1U);
  EXPECT_EQ(cache->stats().hits, kThreads - 1);
  EXPECT_EQ(cache->stats().in_use, 1U);
}

TEST_F(CacheThatOpens, DoesNotKeepOthersWaiting) {
  make_blocking_cache(2);
  std::jthread opener([&] { use("a"); });
  is_opening.acquire();
  EXPECT_NO_THROW(use("b"));
  EXPECT_NO_THROW(use("c"));  // in the place of b
  EXPECT_EQ(cache->stats().open, 2U);
  may_open.release();
}

TEST_F(CacheThatOpens, LetsEachTryWhoWaitedForAnOpeningThatFailed) {
  constexpr int kThreads = 3;
  make_blocking_cache(1, [] { throw std::runtime_error("not now"); });
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] { EXPECT_THROW(use("a"), std::runtime_error); });
  }
  for (std::size_t left = kThreads; left > 0; --left) {
    is_opening.acquire();
    await_waiting(left - 1);
    may_open.release();
  }
  threads.clear();
  EXPECT_EQ(asked, kThreads);
  EXPECT_EQ(cache->stats().open, 0U);
}

TEST_F(CacheThatOpens, TimesOutForThoseWhoWaitForIt) {
  make_blocking_cache(1);
  std::jthread opener([&] { static_cast<void>(cache->get("a", {.file = "opener.cpp", .line = 7, .function = "f"})); });
  is_opening.acquire();
  std::jthread waiter([&] {
    const auto error = error_of<TimeoutError>([&] { use("a"); });
    EXPECT_TRUE(error.is_retryable());
    EXPECT_TRUE(mentions(error, "opening the database \"a\" at opener.cpp:7 (f) for 5000 ms")) << error.what();
  });
  await_waiting(1);
  clock.advance(kTimeout);
  waiter.join();
  EXPECT_EQ(cache->stats().timeouts, 1U);
  may_open.release();
  opener.join();
  EXPECT_NO_THROW(use("a"));
}

// Closing to make room, which lasts as long as somebody's guard

class CacheThatCloses : public CacheAmongThreads {
 protected:
  // Opens a and closes it again in favour of b, which `closer` gets, and keeps
  // until may_drop, unless the cache is closed first.
  void begin_closing() {
    make_cache(with_room_for(1));
    auto held = cache->get("a");
    std::latch is_there(1);
    straggler = std::jthread([&, database = std::move(held)]() mutable {
      const Snapshot snapshot = database->snapshot();
      database.reset();
      is_there.count_down();
      may_close.wait();
    });
    is_there.wait();
    closer = std::jthread([&] {
      try {
        const auto b = cache->get("b");
        may_drop.wait();
      } catch (const ClosedError&) {
        is_refused = true;
      }
    });
    while (cache->stats().evicted == 0) std::this_thread::yield();
  }

  std::latch may_close{1};
  std::latch may_drop{1};
  std::atomic<bool> is_refused = false;
  std::jthread straggler;
  std::jthread closer;
};

TEST_F(CacheThatCloses, OpensTheNextOneOnlyAfterwards) {
  begin_closing();
  EXPECT_FALSE(std::filesystem::exists(path_of("b")));
  EXPECT_EQ(cache->stats().open, 1U);
  may_close.count_down();
  may_drop.count_down();
  closer.join();
  EXPECT_TRUE(std::filesystem::exists(path_of("b")));
  EXPECT_EQ(cache->stats().open, 1U);
}

TEST_F(CacheThatCloses, OpensTheSameOneAnewAfterwards) {
  begin_closing();
  std::jthread waiter([&] { cache->get("a")->execute("CREATE TABLE t (a)"); });
  await_waiting(1);
  EXPECT_EQ(asked, 2);  // it waits for the closing, not for room
  may_close.count_down();
  await_asked(3);
  await_waiting(1);
  may_drop.count_down();
  waiter.join();
  closer.join();
  EXPECT_EQ(cache->stats().opened, 3U);
  EXPECT_EQ(cache->stats().failed_closings, 0U);
}

TEST_F(CacheThatCloses, TimesOutForThoseWhoWantTheSameOne) {
  begin_closing();
  std::jthread waiter([&] {
    const auto error = error_of<TimeoutError>([&] { use("a"); });
    EXPECT_TRUE(mentions(error, "closing the database \"a\"")) << error.what();
  });
  await_waiting(1);
  clock.advance(kTimeout);
  waiter.join();
  may_close.count_down();
  may_drop.count_down();
}

TEST_F(CacheThatCloses, IsWaitedForWhenTheCacheIsClosed) {
  begin_closing();
  std::jthread end([&] { cache->close(); });
  while (clock.sleeping() != 1) std::this_thread::yield();
  EXPECT_THROW(use("b"), ClosedError);
  may_close.count_down();
  end.join();
  EXPECT_EQ(cache->stats().open, 0U);
  closer.join();
  EXPECT_TRUE(is_refused);
  straggler.join();
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(CacheAmongThreads, WaitsAtItsCloseForWhatAnotherThreadCloses) {
  // main                   straggler                      closer
  //                        has a guard of a, no pointer
  //                                                       close_idle() waits for the guard
  // close() waits for that
  //                        ends
  make_cache(with_room_for(1));
  auto held = cache->get("a");
  const Database& a = *held;  // there until it is closed
  std::latch is_there(1);
  std::latch may_close(1);
  std::jthread straggler([&, database = std::move(held)]() mutable {
    const Snapshot snapshot = database->snapshot();
    database.reset();
    is_there.count_down();
    may_close.wait();
  });
  is_there.wait();
  std::jthread closer([&] { cache->close_idle(); });
  while (a.is_open()) std::this_thread::yield();
  std::jthread end([&] {
    cache->close();
    EXPECT_EQ(cache->stats().open, 0U);
  });
  while (clock.sleeping() != 1) std::this_thread::yield();
  EXPECT_EQ(cache->stats().open, 1U);
  may_close.count_down();
}

// Closing the cache

TEST_F(CacheAmongThreads, FailsThoseWhoWaitForRoomWhenItIsClosed) {
  make_cache(with_room_for(1));
  const auto held = cache->get("a");
  std::jthread waiter([&] { EXPECT_THROW(use("b"), ClosedError); });
  await_waiting(1);
  cache->close();
  waiter.join();
  EXPECT_EQ(cache->stats().waiting, 0U);
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(CacheThatOpens, IsWaitedForWhenTheCacheIsClosed) {
  make_blocking_cache(2);
  std::jthread opener([&] { EXPECT_THROW(use("a"), ClosedError); });
  is_opening.acquire();
  std::jthread waiter([&] { EXPECT_THROW(use("a"), ClosedError); });
  await_waiting(1);
  std::jthread end([&] {
    EXPECT_NO_THROW(cache->close());
    EXPECT_EQ(testing::count_open_files(), files_before);
    EXPECT_EQ(cache->stats().open, 0U);
  });
  waiter.join();  // hears of it at once
  while (clock.sleeping() != 1) std::this_thread::yield();
  may_open.release();
}

TEST_F(CacheThatOpens, IsWaitedForNoLongerThanTheTimeoutWhenTheCacheIsClosed) {
  make_blocking_cache(2);
  use("b");
  std::jthread opener([&] { EXPECT_THROW(use("a"), ClosedError); });
  is_opening.acquire();
  std::jthread end([&] {
    EXPECT_TRUE(mentions(error_of<TimeoutError>([&] { cache->close(); }), "\"a\""));
    EXPECT_EQ(cache->stats().open, 1U);  // b is closed
  });
  while (clock.sleeping() != 1) std::this_thread::yield();
  clock.advance(kTimeout);
  end.join();
  may_open.release();
  opener.join();
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_EQ(cache->stats().open, 0U);
}

TEST_F(CacheAmongThreads, ClosesWhatSomebodyDropsMeanwhile) {
  // main                       reader
  //                            reads
  // close() waits for it
  //                            ends, and drops the last pointer
  make_cache(with_room_for(2));
  std::latch reads(1);
  std::latch may_end(1);
  std::jthread reader([&] {
    const auto db = cache->get("a");
    db->read([&](const Snapshot&) {
      reads.count_down();
      may_end.wait();
    });
  });
  reads.wait();
  std::jthread end([&] { cache->close(); });
  while (true) {
    try {
      use("b");
      std::this_thread::yield();
    } catch (const ClosedError&) {
      break;
    }
  }
  may_end.count_down();
  end.join();
  reader.join();
  EXPECT_EQ(cache->stats().open, 0U);
  EXPECT_EQ(testing::count_open_files(), files_before);
}

// Everything at once

class BusyCache : public CacheAmongThreads {
 protected:
  static constexpr int kThreads = 8;
  static constexpr int kGets = 400;  // of each thread
  static constexpr int kKeys = 64;
  static constexpr std::size_t kOpen = 8;

  const unsigned seed = std::random_device()();
};

TEST_F(BusyCache, NeverHasMoreOpenThanItMayAndLosesNothing) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  DatabaseCacheOptions options = with_room_for(kOpen);
  options.acquire_timeout = 1h;
  options.prepare = [](std::string_view, Database& db) { db.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER)"); };
  cache = std::make_unique<DatabaseCache>(options);
  std::atomic<int> written = 0;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(seed + t);
      for (int i = 0; i < kGets; ++i) {
        const auto db = cache->get("key" + std::to_string(random() % kKeys));
        const auto copy = random() % 4 == 0 ? cache->get(db->options().path.stem().string()) : nullptr;
        if (random() % 8 == 0) {
          db->execute("INSERT INTO t VALUES (1)");
          ++written;
        } else {
          EXPECT_GE(db->query_one<int>("SELECT count(*) FROM t"), 0);
        }
        if (random() % 64 == 0) cache->close_idle();
        const DatabaseCacheStatistics stats = cache->stats();
        EXPECT_LE(stats.open, kOpen);
        EXPECT_LE(stats.in_use, stats.open);
        EXPECT_GE(stats.in_use, 1U);
      }
    });
  }
  threads.clear();
  const DatabaseCacheStatistics stats = cache->stats();
  EXPECT_EQ(stats.in_use, 0U);
  EXPECT_EQ(stats.waiting, 0U);
  EXPECT_EQ(stats.opened, static_cast<std::uint64_t>(asked));
  EXPECT_GE(stats.hits + stats.opened, std::uint64_t{kThreads} * kGets);
  EXPECT_EQ(stats.failed_closings, 0U);
  cache->close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  int found = 0;
  for (int key = 0; key < kKeys; ++key) {
    const std::filesystem::path path = path_of("key" + std::to_string(key));
    if (std::filesystem::exists(path)) found += Database::open(path).query_one<int>("SELECT count(*) FROM t");
  }
  EXPECT_EQ(found, written);
}

TEST_F(BusyCache, CanBeClosedAtAnyMoment) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (unsigned round = 0; round < 20; ++round) {
    DatabaseCacheOptions options = with_room_for(2);
    options.acquire_timeout = 1h;
    cache = std::make_unique<DatabaseCache>(options);
    std::latch at_work(kThreads);
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(seed + round * kThreads + t);
        bool has_arrived = false;
        try {
          while (true) {
            const auto db = cache->get("key" + std::to_string(random() % 4));
            if (!std::exchange(has_arrived, true)) at_work.count_down();
            EXPECT_EQ(db->query_one<int>("SELECT 1"), 1);
          }
        } catch (const ClosedError&) {
        }
      });
    }
    at_work.wait();
    cache->close();
    threads.clear();
    EXPECT_EQ(cache->stats().open, 0U);
    EXPECT_EQ(cache->stats().waiting, 0U);
    ASSERT_EQ(testing::count_open_files(), files_before);
  }
}

}  // namespace
}  // namespace sqlane
