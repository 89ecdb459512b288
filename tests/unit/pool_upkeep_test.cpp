#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::await_asleep;
using testing::Gate;
using testing::is_good;
using testing::kAtOnce;
using testing::kPatiently;
using testing::PooledThing;
using testing::ThingHooks;
using testing::ThingPool;

class PoolUpkeep : public testing::PoolFixture {
 protected:
  // With maintenance by hand, so that nothing happens behind the test's back.
  [[nodiscard]] ThingPool keeping(std::size_t max, Upkeep upkeep, ThingHooks hooks = {}) {
    upkeep.maintenance = Maintenance::by_hand;
    return pool_of({.max = max, .upkeep = std::move(upkeep)}, std::move(hooks));
  }

  // So many are made and idle.
  static void fill(ThingPool& pool, int count) {
    std::vector<ThingPool::Lease> leases;
    for (int i = 0; i < count; ++i) leases.push_back(pool.acquire(kAtOnce));
  }
};

// min_idle

TEST_F(PoolUpkeep, MakesAndWarmsUpWhatIsKeptReadyAtTheStart) {
  std::vector<int> warm;
  const ThingPool pool = keeping(4, {.min_idle = 2, .warm_up = WarmUp::at_start},
                                 {.warm_up = [&](PooledThing& thing) { warm.push_back(thing.number); }});
  EXPECT_EQ(warm, (std::vector{1, 2}));
  EXPECT_EQ(pool.statistics().idle, 2U);
  EXPECT_EQ(pool.statistics().created, 2U);
  EXPECT_EQ(pool.statistics().acquires, 0U);
}

TEST_F(PoolUpkeep, LeavesMakingToMaintenanceWhereItIsLazy) {
  std::vector<int> warm;
  ThingPool pool = keeping(4, {.min_idle = 2, .warm_up = WarmUp::lazy},
                           {.warm_up = [&](PooledThing& thing) { warm.push_back(thing.number); }});
  EXPECT_EQ(workshop_.made, 0);
  const ThingPool::Lease asked = pool.acquire();
  EXPECT_TRUE(warm.empty());
  pool.maintain_now();
  EXPECT_EQ(warm, (std::vector{2, 3}));
  EXPECT_EQ(pool.statistics().idle, 2U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
}

TEST_F(PoolUpkeep, LeavesNothingBehindWhenMakingFailsAtTheStart) {
  auto token = std::make_shared<int>();
  std::vector<CloseReason> closed;
  const auto make = [&]() -> std::unique_ptr<PooledThing> {
    if (workshop_.made == 2) throw std::runtime_error("no more things");
    return workshop_.make()();
  };
  const auto open = [&, token] {
    const ThingPool pool(make, {.max = 3, .upkeep = {.min_idle = 3, .warm_up = WarmUp::at_start}},
                         {.closed = [&closed, token](CloseReason reason) { closed.push_back(reason); }}, &clock_);
  };
  EXPECT_STREQ(testing::error_of<std::runtime_error>(open).what(), "no more things");
  EXPECT_EQ(workshop_.made, 2);
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(closed, (std::vector{CloseReason::pool_closed, CloseReason::pool_closed}));
  EXPECT_EQ(token.use_count(), 2);  // the test's own, and that of `open`
}

TEST_F(PoolUpkeep, LeavesNothingBehindWhenWarmingUpFailsAtTheStart) {
  std::vector<CloseReason> closed;
  EXPECT_THROW(static_cast<void>(keeping(3, {.min_idle = 2, .warm_up = WarmUp::at_start},
                                         {.warm_up =
                                              [](PooledThing& thing) {
                                                if (thing.number == 2) throw std::runtime_error("cold");
                                              },
                                          .closed = [&](CloseReason reason) { closed.push_back(reason); }})),
               std::runtime_error);
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(closed, (std::vector{CloseReason::invalid, CloseReason::pool_closed}));
}

TEST_F(PoolUpkeep, MakesAgainWhatIsMissing) {
  ThingPool pool = keeping(3, {.min_idle = 2});
  pool.maintain_now();
  const ThingPool::Lease first = pool.acquire();
  EXPECT_EQ(pool.statistics().idle, 1U);
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().idle, 2U);
  const ThingPool::Lease second = pool.acquire();
  pool.maintain_now();  // never more than the most
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(workshop_.made, 3);
}

TEST_F(PoolUpkeep, KeepsNoneReadyBeyondTheMost) {
  ThingPool pool =
      pool_of({.max = 2, .max_overflow = 2, .upkeep = {.min_idle = 2, .maintenance = Maintenance::by_hand}});
  const ThingPool::Lease first = pool.acquire();
  const ThingPool::Lease second = pool.acquire();
  pool.maintain_now();
  EXPECT_EQ(workshop_.made, 2);
}

TEST_F(PoolUpkeep, TriesAgainInTheNextRoundWhenMakingFails) {
  ThingPool pool = keeping(3, {.min_idle = 2});
  pool.acquire().give_back();
  workshop_.failures_to_come = 1;
  EXPECT_NO_THROW(pool.maintain_now());
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(pool.statistics().failed_creations, 1U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().idle, 2U);
}

TEST_F(PoolUpkeep, KeepsNothingThatCannotBeWarmedUp) {
  bool is_cold = true;
  ThingPool pool = keeping(3, {.min_idle = 1}, {.warm_up = [&](PooledThing&) {
                             if (std::exchange(is_cold, false)) throw std::runtime_error("cold");
                           }});
  EXPECT_NO_THROW(pool.maintain_now());
  EXPECT_EQ(pool.statistics().total, 0U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
  pool.maintain_now();
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolUpkeep, DoesNotTryToMakeWhatTheBreakerRefuses) {
  ThingPool pool = keeping(3, {.min_idle = 1, .breaker = Breaker{.failures = 1, .open_for = milliseconds(50)}});
  workshop_.failures_to_come = 1;
  pool.maintain_now();
  pool.maintain_now();
  EXPECT_EQ(workshop_.made, 0);
  EXPECT_EQ(pool.statistics().refused_creations, 1U);
  EXPECT_EQ(pool.statistics().failed_creations, 1U);
  clock_.advance(milliseconds(50));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().idle, 1U);
}

TEST_F(PoolUpkeep, GivesWhatMaintenanceMadeToOneThatWaitsForIt) {
  Gate warming;
  ThingPool pool = keeping(1, {.min_idle = 1}, {.warm_up = [&](PooledThing&) { warming.pass(); }});
  std::jthread maintenance([&] { pool.maintain_now(); });
  warming.await_arrival();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  await_asleep(clock_, 1);
  warming.open();
  maintenance.join();
  waiter.join();
}

// idle_timeout

TEST_F(PoolUpkeep, ClosesWhatWasIdleForLong) {
  ThingPool pool = keeping(3, {.idle_timeout = milliseconds(100)});
  fill(pool, 2);
  clock_.advance(milliseconds(60));
  pool.acquire().give_back();  // this thread's last: the second
  clock_.advance(milliseconds(39));
  pool.maintain_now();
  EXPECT_EQ(workshop_.alive, 2);
  clock_.advance(milliseconds(1));
  pool.maintain_now();
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::idle), 1U);
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolUpkeep, LeavesThoseThatAreKeptReadyIdleForEver) {
  ThingPool pool = keeping(4, {.min_idle = 2, .idle_timeout = milliseconds(100)});
  fill(pool, 4);
  clock_.advance(hours(1));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().idle, 2U);
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().idle, 2U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::idle), 2U);
  EXPECT_EQ(workshop_.made, 4);
}

TEST_F(PoolUpkeep, CountsAsIdleFromTheMakingOnWhatNobodyHasUsed) {
  ThingPool pool = keeping(1, {.min_idle = 1, .idle_timeout = milliseconds(100)});
  clock_.advance(hours(1));
  pool.maintain_now();
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(hours(1));
  pool.maintain_now();  // in use, not idle
  EXPECT_EQ(lease->number, 1);
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolUpkeep, ClosesNothingThatIsIdleWithoutATimeout) {
  ThingPool pool = keeping(2, {});
  fill(pool, 2);
  clock_.advance(hours(1));
  pool.maintain_now();
  EXPECT_EQ(workshop_.alive, 2);
}

// max_lifetime

TEST_F(PoolUpkeep, ReplacesWhatIsTooOldWhenItIsAcquired) {
  ThingPool pool = keeping(1, {.max_lifetime = milliseconds(1000), .lifetime_jitter = 0});
  pool.acquire().give_back();
  clock_.advance(milliseconds(999));
  EXPECT_EQ(pool.acquire()->number, 1);
  clock_.advance(milliseconds(1));
  EXPECT_EQ(pool.acquire()->number, 2);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::age), 1U);
  EXPECT_EQ(pool.statistics().acquires, 3U);
  clock_.advance(milliseconds(999));
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolUpkeep, ReplacesWhatIsTooOldWhileItIsIdle) {
  ThingPool pool = keeping(2, {.min_idle = 1, .max_lifetime = milliseconds(1000), .lifetime_jitter = 0});
  pool.maintain_now();
  clock_.advance(milliseconds(999));
  pool.maintain_now();
  EXPECT_EQ(workshop_.made, 1);
  clock_.advance(milliseconds(1));
  pool.maintain_now();
  EXPECT_EQ(workshop_.made, 2);
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::age), 1U);
}

TEST_F(PoolUpkeep, ClosesWhatBecameTooOldInUseWhenItComesBack) {
  ThingPool pool = keeping(1, {.max_lifetime = milliseconds(1000), .lifetime_jitter = 0});
  ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(1000));
  pool.maintain_now();
  EXPECT_EQ(lease->number, 1);
  EXPECT_EQ(workshop_.alive, 1);
  lease.give_back();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::age), 1U);
}

TEST_F(PoolUpkeep, LeavesInUseWhatIsNotTooOld) {
  ThingPool pool = keeping(1, {.max_lifetime = milliseconds(1000), .lifetime_jitter = 0});
  ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(999));
  pool.maintain_now();
  lease.give_back();
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolUpkeep, SpreadsTheEndsOfLife) {
  constexpr int kThings = 60;
  ThingPool pool = keeping(kThings, {.max_lifetime = milliseconds(1000), .lifetime_jitter = 0.2});
  fill(pool, kThings);
  const auto closed_after = [&](milliseconds step) {
    clock_.advance(step);
    pool.maintain_now();
    return pool.statistics().closed_for(CloseReason::age);
  };
  EXPECT_EQ(closed_after(milliseconds(799)), 0U);
  const auto half_way = closed_after(milliseconds(101));
  EXPECT_GT(half_way, 5U);
  EXPECT_LT(half_way, kThings - 5U);
  EXPECT_EQ(closed_after(milliseconds(100)), std::uint64_t{kThings});
}

// max_uses, max_errors

TEST_F(PoolUpkeep, ReplacesAfterExactlySoManyUses) {
  ThingPool pool = keeping(1, {.max_uses = 3});
  std::vector<int> numbers;
  for (int i = 0; i < 8; ++i) numbers.push_back(pool.acquire()->number);
  EXPECT_EQ(numbers, (std::vector{1, 1, 1, 2, 2, 2, 3, 3}));
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::uses), 2U);
}

TEST_F(PoolUpkeep, CountsTheUsesOfWhatMaintenanceMade) {
  ThingPool pool = keeping(1, {.min_idle = 1, .max_uses = 2});
  pool.maintain_now();
  std::vector<int> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(pool.acquire()->number);
  EXPECT_EQ(numbers, (std::vector{1, 1, 2, 2}));
}

TEST_F(PoolUpkeep, CountsTheUsesOfWhatIsValidatedBeforeEach) {
  ThingPool pool = keeping(1, {.max_uses = 2, .validate_on_acquire = ValidateOnAcquire::always});
  std::vector<int> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(pool.acquire()->number);
  EXPECT_EQ(numbers, (std::vector{1, 1, 2, 2}));
}

TEST_F(PoolUpkeep, CountsTheUsesOfThoseThatWereHandedIt) {
  ThingPool pool = pool_of({.max = 1, .patience = milliseconds(0), .upkeep = {.max_uses = 2}});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  await_asleep(clock_, 1);
  held.give_back();
  waiter.join();
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolUpkeep, ReplacesAfterEveryUseWhereThatIsAskedFor) {
  ThingPool pool = keeping(1, {.max_uses = 1});
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(pool.acquire()->number, i);
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolUpkeep, ReplacesAfterSoManyErrors) {
  ThingPool pool = keeping(1, {.max_errors = 3});
  for (const int errors : {2, 1}) {
    ThingPool::Lease lease = pool.acquire();
    EXPECT_EQ(lease->number, 1);
    for (int i = 0; i < errors; ++i) lease.count_error();
  }
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::errors), 1U);
  for (int i = 0; i < 2; ++i) {  // the next begins anew
    ThingPool::Lease lease = pool.acquire();
    EXPECT_EQ(lease->number, 2);
    lease.count_error();
  }
  EXPECT_EQ(pool.resources().at(0).errors, 2U);
}

TEST_F(PoolUpkeep, CountsErrorsAndUsesWithoutALimit) {
  ThingPool pool = keeping(1, {});
  for (int i = 0; i < 100; ++i) pool.acquire().count_error();
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_EQ(pool.resources().at(0).errors, 100U);
  EXPECT_EQ(pool.resources().at(0).uses, 100U);
}

// prune()

TEST_F(PoolUpkeep, PrunesWhatIsIdle) {
  ThingPool pool = keeping(5, {.min_idle = 1});
  fill(pool, 4);
  const ThingPool::Lease held = pool.acquire();
  EXPECT_EQ(pool.prune(), 2U);
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(workshop_.alive, 2);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::shrinking), 2U);
  EXPECT_EQ(pool.prune(), 0U);
  EXPECT_EQ(held->number, 4);
  EXPECT_EQ(pool.statistics().acquires, 5U);
}

TEST_F(PoolUpkeep, PrunesEverythingIdleWhereNoneIsKeptReady) {
  ThingPool pool = keeping(3, {});
  fill(pool, 3);
  EXPECT_EQ(pool.prune(), 3U);
  EXPECT_EQ(pool.statistics().total, 0U);
  EXPECT_EQ(pool.acquire()->number, 4);
}

}  // namespace
}  // namespace sqlane
