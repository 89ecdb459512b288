#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::await_asleep;
using testing::kAtOnce;
using testing::kPatiently;
using testing::PooledThing;
using testing::ThingPool;

class PoolStatisticsTest : public testing::PoolFixture {};

TEST_F(PoolStatisticsTest, AreZeroInTheBeginning) {
  ThingPool pool = pool_of({.max = 3, .max_overflow = 2});
  const PoolStatistics now = pool.statistics();
  EXPECT_EQ(now.state, PoolState::active);
  EXPECT_EQ(now.limit, 3U);
  for (const std::size_t size : {now.total, now.idle, now.in_use, now.waiting}) EXPECT_EQ(size, 0U);
  for (const std::uint64_t count :
       {now.acquires, now.waits, now.timeouts, now.fallbacks, now.created, now.failed_creations, now.refused_creations,
        now.cleaned, now.validations, now.overstayed, now.interrupted, now.recovered}) {
    EXPECT_EQ(count, 0U);
  }
  for (const std::uint64_t count : now.closed) EXPECT_EQ(count, 0U);
  EXPECT_EQ(now.wait_times.count(), 0U);
  EXPECT_EQ(now.hold_times.count(), 0U);
  EXPECT_TRUE(pool.resources().empty());
  EXPECT_EQ(pool.load(), 0U);
}

TEST_F(PoolStatisticsTest, SayWhatThereIs) {
  ThingPool pool = pool_of({.max = 3, .max_overflow = 1});
  std::vector<ThingPool::Lease> leases;
  for (int i = 0; i < 4; ++i) leases.push_back(pool.acquire());
  leases.erase(leases.begin());
  const PoolStatistics now = pool.statistics();
  EXPECT_EQ(now.limit, 3U);
  EXPECT_EQ(now.total, 4U);
  EXPECT_EQ(now.idle, 1U);
  EXPECT_EQ(now.in_use, 3U);
  EXPECT_EQ(now.created, 4U);
  EXPECT_EQ(pool.load(), 3U);
}

TEST_F(PoolStatisticsTest, CountAcquires) {
  ThingPool pool = pool_of({.max = 2});
  for (int i = 0; i < 10; ++i) pool.acquire().give_back();
  const ThingPool::Lease first = pool.acquire();
  const ThingPool::Lease second = pool.acquire();
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
  EXPECT_EQ(pool.statistics().acquires, 12U);
  EXPECT_EQ(pool.statistics().timeouts, 1U);
  EXPECT_EQ(pool.statistics().waits, 0U);
}

TEST_F(PoolStatisticsTest, CountWhatWasHandedOverOnce) {
  ThingPool pool = pool_of({.max = 1, .patience = milliseconds(0)});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  EXPECT_EQ(pool.statistics().waiting, 1U);
  EXPECT_EQ(pool.load(), 2U);
  held.give_back();
  waiter.join();
  EXPECT_EQ(pool.statistics().acquires, 2U);
  EXPECT_EQ(pool.statistics().waits, 1U);
  EXPECT_EQ(pool.statistics().waiting, 0U);
}

TEST_F(PoolStatisticsTest, MeasureWaiting) {
  ThingPool pool = pool_of({.max = 1, .patience = milliseconds(10)});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(32));
  held.give_back();
  waiter.join();
  EXPECT_EQ(pool.statistics().wait_times.count(), 1U);
  EXPECT_EQ(pool.statistics().wait_times.max(), milliseconds(32));
  EXPECT_EQ(pool.statistics().waits, 1U);
}

TEST_F(PoolStatisticsTest, DoNotCountAWaitThatBroughtNothing) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_THROW(static_cast<void>(pool.acquire(kPatiently)), std::runtime_error); });
  await_asleep(clock_, 1);
  workshop_.failures_to_come = 1;
  held.retire();
  held.give_back();
  waiter.join();
  EXPECT_EQ(pool.statistics().waits, 0U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
}

TEST_F(PoolStatisticsTest, MeasureOneHoldIn64) {
  ThingPool pool = pool_of({.max = 1});
  for (int i = 0; i < 128; ++i) {
    const ThingPool::Lease lease = pool.acquire();
    clock_.advance(milliseconds(i + 1));
  }
  const Histogram holds = pool.statistics().hold_times;
  EXPECT_EQ(holds.count(), 2U);
  EXPECT_EQ(holds.sum(), static_cast<std::uint64_t>(std::chrono::nanoseconds(milliseconds(64 + 128)).count()));
}

TEST_F(PoolStatisticsTest, CountWhyEachWasClosed) {
  ThingPool pool = pool_of({.max = 1,
                            .max_overflow = 1,
                            .upkeep = {.idle_timeout = seconds(10),
                                       .max_lifetime = seconds(60),
                                       .lifetime_jitter = 0,
                                       .max_uses = 3,
                                       .max_errors = 1,
                                       .validate_on_release = ValidateOnRelease::yes,
                                       .maintenance = Maintenance::by_hand}},
                           {.is_valid = testing::is_good});
  pool.acquire().retire();                                 // broken
  pool.acquire()->is_good = false;                         // invalid
  pool.acquire().count_error();                            // errors
  for (int i = 0; i < 3; ++i) pool.acquire().give_back();  // uses
  {
    const ThingPool::Lease usual = pool.acquire();
    const ThingPool::Lease more = pool.acquire();  // overflow
    clock_.advance(seconds(60));
  }  // age
  pool.acquire().give_back();
  clock_.advance(seconds(10));
  pool.maintain_now();  // idle
  pool.acquire().give_back();
  pool.prune();  // shrinking
  pool.acquire().give_back();
  pool.close();  // pool_closed
  const PoolStatistics now = pool.statistics();
  for (std::size_t reason = 0; reason < kCloseReasons; ++reason) EXPECT_EQ(now.closed.at(reason), 1U) << reason;
  EXPECT_EQ(now.created, kCloseReasons);
  EXPECT_EQ(workshop_.alive, 0);
}

// resources()

TEST_F(PoolStatisticsTest, DescribeEachResource) {
  ThingPool pool = pool_of({.max = 3, .upkeep = {.idle_timeout = seconds(100), .maintenance = Maintenance::by_hand}});
  ThingPool::Lease first = pool.acquire();
  first.count_error();
  first.count_error();
  clock_.advance(seconds(1));
  ThingPool::Lease second = pool.acquire();
  clock_.advance(seconds(1));
  first.give_back();
  clock_.advance(seconds(3));
  const std::vector<ResourceReport> resources = pool.resources();
  ASSERT_EQ(resources.size(), 2U);
  EXPECT_EQ(resources.at(0).id, 1U);
  EXPECT_EQ(resources.at(0).state, ResourceState::idle);
  EXPECT_EQ(resources.at(0).age, seconds(5));
  EXPECT_EQ(resources.at(0).idle, seconds(3));
  EXPECT_EQ(resources.at(0).uses, 1U);
  EXPECT_EQ(resources.at(0).errors, 2U);
  EXPECT_EQ(resources.at(1).id, 2U);
  EXPECT_EQ(resources.at(1).state, ResourceState::in_use);
  EXPECT_EQ(resources.at(1).age, seconds(4));
  EXPECT_EQ(resources.at(1).idle, seconds(0));
  EXPECT_EQ(resources.at(1).uses, 1U);
  EXPECT_EQ(resources.at(1).errors, 0U);
}

TEST_F(PoolStatisticsTest, GiveEachResourceAnIdOfItsOwn) {
  ThingPool pool = pool_of({.max = 1});
  pool.acquire().retire();
  pool.acquire().give_back();
  pool.acquire().give_back();
  ASSERT_EQ(pool.resources().size(), 1U);
  EXPECT_EQ(pool.resources().at(0).id, 2U);
  EXPECT_EQ(pool.resources().at(0).uses, 2U);
}

TEST_F(PoolStatisticsTest, CountNoUseOfWhatNobodyHasUsed) {
  clock_.advance(seconds(60));
  ThingPool pool =
      pool_of({.max = 2, .upkeep = {.min_idle = 1, .warm_up = WarmUp::at_start, .maintenance = Maintenance::by_hand}});
  clock_.advance(seconds(2));
  ASSERT_EQ(pool.resources().size(), 1U);
  EXPECT_EQ(pool.resources().at(0).uses, 0U);
  EXPECT_EQ(pool.resources().at(0).idle, seconds(2));
  pool.acquire().give_back();
  EXPECT_EQ(pool.resources().at(0).uses, 1U);
}

TEST_F(PoolStatisticsTest, MeasureIdlenessFromTheLastUseWhereNoOptionNeedsIt) {
  ThingPool pool = pool_of({.max = 1});
  pool.acquire().give_back();
  clock_.advance(seconds(9));
  pool.acquire().give_back();
  clock_.advance(seconds(2));
  EXPECT_EQ(pool.resources().at(0).idle, seconds(2));
}

}  // namespace
}  // namespace sqlane
