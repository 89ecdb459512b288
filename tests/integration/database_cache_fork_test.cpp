#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <thread>

#include "base/clock.hpp"
#include "support/cache_of_databases.hpp"
#include "support/forked_child.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::CacheOfDatabases;
using testing::in_child;

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

}  // namespace
}  // namespace sqlane
