#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::await_asleep;
using testing::kAtOnce;
using testing::kPatiently;
using testing::PooledThing;
using testing::ThingPool;

// Sizes that follow demand, and the thread that does what nobody asks for.

class PoolSize : public testing::PoolFixture {
 protected:
  [[nodiscard]] ThingPool adapting(std::size_t max, AdaptiveSize size, std::size_t min_idle = 0) {
    return pool_of(
        {.max = max, .upkeep = {.min_idle = min_idle, .adaptive_size = size, .maintenance = Maintenance::by_hand}});
  }

  void maintain(ThingPool& pool, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      clock_.advance(milliseconds(100));
      pool.maintain_now();
    }
  }
};

TEST_F(PoolSize, IsTheMostWithoutAdapting) {
  ThingPool pool = pool_of({.max = 4, .upkeep = {.maintenance = Maintenance::by_hand}});
  EXPECT_EQ(pool.statistics().limit, 4U);
  maintain(pool, 10);
  EXPECT_EQ(pool.statistics().limit, 4U);
}

TEST_F(PoolSize, BeginsWithTheLeast) {
  ThingPool pool = adapting(4, {.least = 2});
  EXPECT_EQ(pool.statistics().limit, 2U);
  const ThingPool::Lease first = pool.acquire();
  const ThingPool::Lease second = pool.acquire();
  EXPECT_FALSE(pool.try_acquire());
}

TEST_F(PoolSize, IsNeverBelowWhatIsKeptReady) {
  ThingPool pool = adapting(4, {.least = 1, .rounds = 1}, 3);
  EXPECT_EQ(pool.statistics().limit, 3U);
  maintain(pool, 5);
  EXPECT_EQ(pool.statistics().limit, 3U);
  EXPECT_EQ(pool.statistics().idle, 3U);
}

TEST_F(PoolSize, GrowsWhileAllAreInUse) {
  ThingPool pool = adapting(3, {.least = 1, .rounds = 2});
  std::vector<ThingPool::Lease> leases;
  leases.push_back(pool.acquire());
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 1U);
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 2U);
  leases.push_back(pool.acquire(kAtOnce));
  maintain(pool, 2);
  EXPECT_EQ(pool.statistics().limit, 3U);
  leases.push_back(pool.acquire(kAtOnce));
  maintain(pool, 10);
  EXPECT_EQ(pool.statistics().limit, 3U);
  EXPECT_EQ(pool.resources().size(), 3U);
}

TEST_F(PoolSize, GrowsForThoseThatGaveUpWaiting) {
  ThingPool pool = adapting(3, {.least = 1, .grow_above = 1, .rounds = 1});
  const ThingPool::Lease held = pool.acquire();
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 1U);
  EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 2U);
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 2U);
}

TEST_F(PoolSize, GrowsForThoseThatHaveWaited) {
  ThingPool pool = adapting(3, {.least = 1, .grow_above = 1, .rounds = 1});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  held.give_back();
  waiter.join();
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 2U);
}

TEST_F(PoolSize, GrowsForThoseThatWaitAndGivesThemTheNewPlace) {
  ThingPool pool = adapting(2, {.least = 1, .grow_above = 1, .rounds = 2});
  const ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  await_asleep(clock_, 1);
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().limit, 1U);
  pool.maintain_now();
  waiter.join();
}

TEST_F(PoolSize, GrowsForManyShortUses) {
  // Between two rounds it was always in use, though not when maintenance looked.
  ThingPool pool = adapting(2, {.least = 1, .rounds = 1});
  for (int i = 0; i < 64; ++i) {
    const ThingPool::Lease lease = pool.acquire();
    clock_.advance(milliseconds(10));
  }
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().limit, 2U);
}

TEST_F(PoolSize, LooksAtTheTimeSinceTheLastRoundOnly) {
  ThingPool pool = adapting(2, {.least = 1, .rounds = 1});
  clock_.advance(std::chrono::hours(1));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().limit, 1U);
  for (int i = 0; i < 64; ++i) {
    const ThingPool::Lease lease = pool.acquire();
    clock_.advance(milliseconds(10));
  }
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().limit, 2U);
  clock_.advance(milliseconds(640));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().limit, 1U);
}

TEST_F(PoolSize, ShrinksWhenLittleIsUsed) {
  ThingPool pool = adapting(3, {.least = 1, .rounds = 2});
  std::vector<ThingPool::Lease> leases;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(pool.acquire(kAtOnce));
    maintain(pool, 2);
  }
  leases.clear();
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 3U);
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().limit, 2U);
  maintain(pool, 1);
  EXPECT_EQ(pool.statistics().total, 2U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::shrinking), 1U);
  maintain(pool, 10);
  EXPECT_EQ(pool.statistics().limit, 1U);
  EXPECT_EQ(pool.statistics().total, 1U);
}

TEST_F(PoolSize, ClosesWhatIsTooManyWhenItComesBack) {
  ThingPool pool = adapting(3, {.least = 1, .grow_above = 0.9, .shrink_below = 0.4, .rounds = 1});
  std::vector<ThingPool::Lease> leases;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(pool.acquire(kAtOnce));
    maintain(pool, 1);
  }
  leases.erase(leases.begin(), leases.begin() + 2);  // a third of the places is in use: the last
  maintain(pool, 2);
  EXPECT_EQ(pool.statistics().limit, 2U);
  EXPECT_EQ(leases.at(0)->number, 3);
  leases.clear();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::shrinking), 1U);
  EXPECT_EQ(pool.statistics().idle, 2U);
}

TEST_F(PoolSize, LendsOverflowBeyondTheSizeOfTheMoment) {
  ThingPool pool =
      pool_of({.max = 3,
               .max_overflow = 1,
               .upkeep = {.adaptive_size = AdaptiveSize{.least = 1}, .maintenance = Maintenance::by_hand}});
  const ThingPool::Lease usual = pool.acquire();
  ThingPool::Lease overflow = pool.acquire();
  EXPECT_FALSE(pool.try_acquire());
  pool.maintain_now();
  overflow.give_back();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::overflow), 1U);
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolSize, GrowsForAThreadThatHasAllThatThereIsNow) {
  ThingPool pool = adapting(3, {.least = 1, .rounds = 1});
  const ThingPool::Lease held = pool.acquire();
  std::thread maintainer([&] {
    while (pool.statistics().waiting == 0) std::this_thread::yield();
    pool.maintain_now();
  });
  const ThingPool::Lease second = pool.acquire(kPatiently);
  maintainer.join();
  EXPECT_EQ(pool.statistics().limit, 2U);
}

TEST_F(PoolSize, StaysWhileDemandIsBetweenTheThresholds) {
  ThingPool pool = adapting(4, {.least = 2, .grow_above = 0.5, .shrink_below = 0.4, .rounds = 1});
  const ThingPool::Lease held = pool.acquire();
  maintain(pool, 10);
  EXPECT_EQ(pool.statistics().limit, 2U);
}

// By itself

class PoolMaintenance : public testing::PoolFixture {
 protected:
  static constexpr milliseconds kOften{1};

  // Maintenance has done it by itself, at this pool's clock.
  static void await(const std::function<bool()>& is_done) {
    while (!is_done()) std::this_thread::yield();
  }
};

TEST_F(PoolMaintenance, KeepsResourcesReadyInTheBackground) {
  ThingPool pool = pool_of({.max = 2, .upkeep = {.min_idle = 2, .maintenance_interval = kOften}});
  await([&] { return pool.statistics().idle == 2; });
  pool.acquire().retire();
  await([&] { return pool.statistics().idle == 2; });
}

TEST_F(PoolMaintenance, ComesInTheBackgroundForEachOptionThatNeedsIt) {
  const std::vector<std::pair<CloseReason, Upkeep>> cases = {
      {CloseReason::idle, {.idle_timeout = milliseconds(5), .maintenance_interval = kOften}},
      {CloseReason::age, {.max_lifetime = milliseconds(5), .maintenance_interval = kOften}},
      {CloseReason::invalid, {.validation_interval = milliseconds(5), .maintenance_interval = kOften}},
  };
  for (const auto& [reason, upkeep] : cases) {
    ThingPool pool = pool_of({.max = 1, .upkeep = upkeep}, {.is_valid = [](PooledThing&) { return false; }});
    pool.acquire().give_back();
    clock_.advance(milliseconds(5));
    await([&, expected = reason] { return pool.statistics().closed_for(expected) == 1; });
  }
}

TEST_F(PoolMaintenance, ReportsInTheBackground) {
  std::atomic<bool> is_reported = false;
  ThingPool pool = pool_of({.upkeep = {.leak_threshold = milliseconds(5),
                                       .on_leak = [&](const LeaseReport&) { is_reported = true; },
                                       .maintenance_interval = kOften}});
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(5));
  await([&] { return is_reported.load(); });
}

TEST_F(PoolMaintenance, AdaptsTheSizeInTheBackground) {
  ThingPool pool =
      pool_of({.max = 3, .upkeep = {.adaptive_size = AdaptiveSize{.least = 1}, .maintenance_interval = kOften}});
  const ThingPool::Lease lease = pool.acquire();
  await([&] { return pool.statistics().limit == 2; });
}

TEST_F(PoolMaintenance, DoesNothingInTheBackgroundWhereItIsDoneByHand) {
  // One thread serves all pools, and this one's turn would come before the other's.
  ThingPool by_hand = pool_of(
      {.max = 1, .upkeep = {.min_idle = 1, .maintenance = Maintenance::by_hand, .maintenance_interval = kOften}});
  std::atomic<int> rounds = 0;
  ThingPool other =
      pool_of({.max = 1, .upkeep = {.min_idle = 1, .maintenance_interval = kOften}}, {.warm_up = [&](PooledThing&) {
                ++rounds;
                throw std::runtime_error("cold");
              }});
  await([&] { return rounds >= 5; });
  EXPECT_EQ(by_hand.statistics().created, 0U);
  by_hand.maintain_now();
  EXPECT_EQ(by_hand.statistics().created, 1U);
}

TEST_F(PoolMaintenance, NeverComesAfterAnIntervalTooLongToBeCounted) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.min_idle = 1, .maintenance_interval = milliseconds::max()}});
  std::atomic<int> rounds = 0;
  ThingPool other =
      pool_of({.max = 1, .upkeep = {.min_idle = 1, .maintenance_interval = kOften}}, {.warm_up = [&](PooledThing&) {
                ++rounds;
                throw std::runtime_error("cold");
              }});
  await([&] { return rounds >= 3; });
  EXPECT_EQ(pool.statistics().created, 0U);
}

TEST_F(PoolMaintenance, EndsWithThePool) {
  std::atomic<int> warmed = 0;
  for (int round = 0; round < 20; ++round) {
    testing::Workshop workshop;
    ThingPool pool(workshop.make(), {.max = 1, .upkeep = {.min_idle = 1, .maintenance_interval = kOften}},
                   {.warm_up = [&](PooledThing&) { ++warmed; }}, &clock_);
    await([&] { return workshop.made > 0; });
  }
  EXPECT_EQ(warmed, 20);
}

}  // namespace
}  // namespace sqlane
