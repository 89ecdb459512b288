#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "pool/pool_core.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::await_asleep;
using testing::Gate;
using testing::kPatiently;
using testing::PooledThing;
using testing::ThingPool;

class PoolValidation : public testing::PoolFixture {
 protected:
  [[nodiscard]] ThingPool validating(std::size_t max, Upkeep upkeep) {
    upkeep.maintenance = Maintenance::by_hand;
    return pool_of({.max = max, .patience = milliseconds(0), .upkeep = std::move(upkeep)},
                   {.is_valid = [this](PooledThing& thing) {
                     asked_.push_back(thing.number);
                     return thing.is_good.load();
                   }});
  }

  std::vector<int> asked_;
};

// When it is acquired

TEST_F(PoolValidation, IsNotAskedForUnlessAnOptionSaysSo) {
  ThingPool pool = validating(1, {});
  for (int i = 0; i < 3; ++i) {
    pool.acquire()->is_good = false;
    clock_.advance(hours(1));
    pool.maintain_now();
  }
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_EQ(pool.statistics().validations, 0U);
}

TEST_F(PoolValidation, ComesBeforeEachUseWhereThatIsAskedFor) {
  ThingPool pool = validating(1, {.validate_on_acquire = ValidateOnAcquire::always});
  pool.acquire().give_back();
  EXPECT_TRUE(asked_.empty());  // it is new
  pool.acquire()->is_good = false;
  EXPECT_EQ(asked_, std::vector{1});
  EXPECT_EQ(pool.acquire()->number, 2);
  EXPECT_EQ(asked_, (std::vector{1, 1}));
  EXPECT_EQ(pool.statistics().validations, 2U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
  EXPECT_EQ(pool.statistics().acquires, 3U);
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolValidation, ComesBeforeUseAfterHavingBeenIdleForLong) {
  ThingPool pool = validating(
      1, {.validate_on_acquire = ValidateOnAcquire::if_idle_longer_than, .validation_idle = milliseconds(100)});
  pool.acquire().give_back();
  for (int i = 0; i < 3; ++i) {
    clock_.advance(milliseconds(100));
    pool.acquire().give_back();
  }
  EXPECT_TRUE(asked_.empty());
  clock_.advance(milliseconds(101));
  pool.acquire().give_back();
  EXPECT_EQ(asked_, std::vector{1});
}

TEST_F(PoolValidation, LooksOnUntilOneIsUsable) {
  ThingPool pool = validating(3, {.validate_on_acquire = ValidateOnAcquire::always});
  {
    std::vector<ThingPool::Lease> leases;
    for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire());
    leases.at(2)->is_good = false;
    leases.at(0)->is_good = false;
  }
  EXPECT_EQ(pool.acquire()->number, 2);
  EXPECT_EQ(asked_, (std::vector{3, 1, 2}));
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolValidation, ComesBeforeUseByOneThatWaited) {
  ThingPool pool = validating(1, {.validate_on_acquire = ValidateOnAcquire::always});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  await_asleep(clock_, 1);
  held->is_good = false;
  held.give_back();
  waiter.join();
  EXPECT_EQ(pool.statistics().acquires, 2U);
  EXPECT_EQ(pool.statistics().waits, 1U);
}

TEST_F(PoolValidation, WakesOneThatWaitsWhenItFindsSomethingUnusable) {
  // first                         second
  // acquire, validates
  // ---- validating ------------> acquire, waits
  // it is not valid
  // ---- closed ----------------> makes one
  Gate validating;
  ThingPool pool = pool_of({.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}},
                           {.is_valid = [&](PooledThing& thing) {
                             if (thing.number == 1) validating.pass();
                             return thing.number > 1;
                           }});
  pool.acquire().give_back();
  std::jthread first([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  validating.await_arrival();
  std::jthread second([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  await_asleep(clock_, 1);
  validating.open();
  first.join();
  second.join();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
}

TEST_F(PoolValidation, TakesAnExceptionForNo) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}},
                           {.is_valid = [](PooledThing&) -> bool { throw std::runtime_error("gone"); }});
  pool.acquire().give_back();
  EXPECT_EQ(pool.acquire()->number, 2);
}

// When it comes back

TEST_F(PoolValidation, ComesAfterEachUseWhereThatIsAskedFor) {
  ThingPool pool = validating(1, {.validate_on_release = ValidateOnRelease::yes});
  pool.acquire().give_back();
  pool.acquire().give_back();
  EXPECT_EQ(asked_, (std::vector{1, 1}));
  EXPECT_EQ(pool.statistics().idle, 1U);
  pool.acquire()->is_good = false;
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().validations, 3U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
}

TEST_F(PoolValidation, LeavesItIdleFromItsReturnOn) {
  ThingPool pool = validating(1, {.idle_timeout = milliseconds(100), .validate_on_release = ValidateOnRelease::yes});
  ThingPool::Lease lease = pool.acquire();
  clock_.advance(hours(1));
  lease.give_back();
  clock_.advance(milliseconds(99));
  pool.maintain_now();
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolValidation, IsNotAskedOfWhatCouldNotBeCleaned) {
  int asked = 0;
  ThingPool pool = pool_of({.max = 1, .upkeep = {.validate_on_release = ValidateOnRelease::yes}},
                           {.is_valid =
                                [&](PooledThing&) {
                                  ++asked;
                                  return true;
                                },
                            .clean = [](PooledThing&) { return Cleaning::broken; }});
  pool.acquire().give_back();
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(pool.statistics().validations, 0U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
}

// While it is idle

TEST_F(PoolValidation, ComesFromTimeToTimeWhileItIsIdle) {
  ThingPool pool = validating(2, {.validation_interval = milliseconds(100)});
  pool.acquire().give_back();
  clock_.advance(milliseconds(99));
  pool.maintain_now();
  EXPECT_TRUE(asked_.empty());
  clock_.advance(milliseconds(1));
  pool.maintain_now();
  pool.maintain_now();
  EXPECT_EQ(asked_, std::vector{1});
  clock_.advance(milliseconds(100));
  pool.maintain_now();
  EXPECT_EQ(asked_, (std::vector{1, 1}));
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(pool.statistics().validations, 2U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
}

TEST_F(PoolValidation, ClosesWhatIsNotValidWhileItIsIdle) {
  ThingPool pool = validating(2, {.validation_interval = milliseconds(100)});
  {
    const ThingPool::Lease first = pool.acquire();
    const ThingPool::Lease second = pool.acquire();
    first->is_good = false;
  }
  clock_.advance(milliseconds(100));
  pool.maintain_now();
  EXPECT_EQ(asked_, (std::vector{1, 2}));
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
  EXPECT_EQ(pool.statistics().total, 1U);
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolValidation, LeavesAloneWhatIsUsedNowOrWasALittleAgo) {
  ThingPool pool = validating(2, {.validation_interval = milliseconds(100)});
  ThingPool::Lease lease = pool.acquire();
  clock_.advance(hours(1));
  pool.maintain_now();
  lease.give_back();
  clock_.advance(milliseconds(99));
  pool.maintain_now();
  EXPECT_TRUE(asked_.empty());
}

TEST_F(PoolValidation, DoesNotMakeItLessIdle) {
  ThingPool pool = validating(2, {.idle_timeout = milliseconds(250), .validation_interval = milliseconds(100)});
  pool.acquire().give_back();
  for (int i = 0; i < 2; ++i) {
    clock_.advance(milliseconds(100));
    pool.maintain_now();
  }
  EXPECT_EQ(asked_.size(), 2U);
  clock_.advance(milliseconds(50));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::idle), 1U);
}

TEST_F(PoolValidation, IsWaitedForByOneThatHoldsTheRest) {
  // The one that is being validated is nobody's, so the waiting will end.
  Gate validating;
  ThingPool pool =
      pool_of({.max = 2, .upkeep = {.validation_interval = milliseconds(1), .maintenance = Maintenance::by_hand}},
              {.is_valid = [&](PooledThing&) {
                validating.pass();
                return true;
              }});
  ThingPool::Lease own = pool.acquire();
  pool.acquire().give_back();
  clock_.advance(milliseconds(1));
  std::jthread maintenance([&] { pool.maintain_now(); });
  validating.await_arrival();
  EXPECT_EQ(pool.base().core().leases().size(), 1U);
  std::jthread opener([&] {
    await_asleep(clock_, 1);
    validating.open();
  });
  EXPECT_EQ(pool.acquire(kPatiently)->number, 2);
}

TEST_F(PoolValidation, GivesItToOneThatCameMeanwhile) {
  // maintenance                   waiter
  // validates the one
  // ---- validating ------------> acquire, waits
  // valid <------- waiting ------
  //                               has it
  Gate validating;
  ThingPool pool =
      pool_of({.max = 1, .upkeep = {.validation_interval = milliseconds(1), .maintenance = Maintenance::by_hand}},
              {.is_valid = [&](PooledThing&) {
                validating.pass();
                return true;
              }});
  pool.acquire().give_back();
  clock_.advance(milliseconds(1));
  std::jthread maintenance([&] { pool.maintain_now(); });
  validating.await_arrival();
  EXPECT_FALSE(pool.try_acquire());
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  await_asleep(clock_, 1);
  validating.open();
}

}  // namespace
}  // namespace sqlane
