#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::await_asleep;
using testing::error_of;
using testing::kAtOnce;
using testing::kHere;
using testing::kPatiently;
using testing::kThere;
using testing::mentions;
using testing::PooledThing;
using testing::ThingPool;

class PoolLease : public testing::PoolFixture {};

TEST_F(PoolLease, LastsUntilTheEndOfItsScope) {
  ThingPool pool = pool_of({.max = 1});
  {
    const ThingPool::Lease lease = pool.acquire();
    EXPECT_EQ(lease.get().number, 1);
    EXPECT_EQ((*lease).number, 1);
    EXPECT_EQ(lease->number, 1);
    EXPECT_EQ(pool.statistics().in_use, 1U);
  }
  EXPECT_EQ(pool.statistics().in_use, 0U);
  EXPECT_EQ(pool.statistics().idle, 1U);
}

TEST_F(PoolLease, IsGivenBackOnce) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease lease = pool.acquire();
  lease.give_back();
  EXPECT_THROW(static_cast<void>(lease.get()), UsageError);
  const ThingPool::Lease next = pool.acquire();
  lease.give_back();
  EXPECT_EQ(next->number, 1);
  EXPECT_EQ(pool.statistics().in_use, 1U);
}

TEST_F(PoolLease, DoesNothingOnceItIsOver) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.max_errors = 1}});
  ThingPool::Lease lease = pool.acquire();
  lease.give_back();
  lease.count_error();
  lease.retire();
  lease.unbind();
  pool.acquire().give_back();
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_EQ(pool.resources().at(0).errors, 0U);
}

TEST_F(PoolLease, GoesAlongWhenItIsMoved) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease lease = pool.acquire();
  {
    const ThingPool::Lease moved = std::move(lease);
    EXPECT_EQ(moved->number, 1);
    EXPECT_THROW(static_cast<void>(lease.get()), UsageError);  // NOLINT(bugprone-use-after-move)
    lease.give_back();
    EXPECT_EQ(pool.statistics().in_use, 1U);
  }
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolLease, IsGivenBackWhenAnotherIsMovedOntoIt) {
  ThingPool pool = pool_of({.max = 2});
  ThingPool::Lease first = pool.acquire();
  ThingPool::Lease second = pool.acquire();
  first = std::move(second);
  EXPECT_EQ(first->number, 2);
  EXPECT_EQ(pool.statistics().in_use, 1U);
  ThingPool::Lease& itself = first;
  first = std::move(itself);
  EXPECT_EQ(first->number, 2);
  EXPECT_EQ(pool.acquire()->number, 1);
}

TEST_F(PoolLease, MayBeGivenBackByAnotherThread) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease lease = pool.acquire();
  std::jthread([&] { lease.give_back(); }).join();
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(pool.statistics().recovered, 0U);
}

// A thread that seems to hold nothing does not look whether it waits for itself.
TEST_F(PoolLease, IsCountedForItsThreadAlone) {
  ThingPool pool = pool_of({.max = 1});
  std::thread([&] {
    std::optional<ThingPool::Lease> elsewhere;
    std::thread([&] {
      elsewhere.emplace(pool.acquire());
      elsewhere->unbind();
      elsewhere->unbind();
    }).join();
    elsewhere.reset();
    const ThingPool::Lease held = pool.acquire();
    EXPECT_THROW(static_cast<void>(pool.acquire(kPatiently)), UsageError);
  }).join();
}

TEST_F(PoolLease, ClosesWhatItRetired) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease lease = pool.acquire();
  lease.retire();
  EXPECT_EQ(lease->number, 1);
  EXPECT_EQ(workshop_.alive, 1);
  lease.give_back();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.acquire()->number, 2);  // the place is as new
}

TEST_F(PoolLease, ClosesAsBrokenWhatItRetiredOfTheOverflow) {
  ThingPool pool = pool_of({.max = 1, .max_overflow = 1});
  const ThingPool::Lease usual = pool.acquire();
  pool.acquire().retire();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::overflow), 0U);
}

// Cleaning

TEST_F(PoolLease, IsCleanedOnTheThreadThatGivesItBack) {
  std::vector<std::thread::id> cleaners;
  Cleaning outcome = Cleaning::nothing_to_do;
  ThingPool pool = pool_of({.max = 1}, {.clean = [&](PooledThing&) {
                             cleaners.push_back(std::this_thread::get_id());
                             return outcome;
                           }});
  pool.acquire().give_back();
  EXPECT_EQ(cleaners, std::vector{std::this_thread::get_id()});
  EXPECT_EQ(pool.statistics().cleaned, 0U);

  outcome = Cleaning::cleaned;
  pool.acquire().give_back();
  EXPECT_EQ(pool.statistics().cleaned, 1U);
  EXPECT_EQ(pool.statistics().idle, 1U);

  outcome = Cleaning::broken;
  pool.acquire().give_back();
  EXPECT_EQ(pool.statistics().cleaned, 2U);
  EXPECT_EQ(pool.statistics().idle, 0U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
  EXPECT_EQ(workshop_.made, 1);
}

// Threads that end

class PoolLeaseOfAnEndedThread : public testing::PoolFixture {
 protected:
  // What a thread acquired that has ended since.
  [[nodiscard]] static ThingPool::Lease left_behind_in(ThingPool& pool, CallSite site = CallSite::current()) {
    std::optional<ThingPool::Lease> lease;
    std::jthread([&] { lease.emplace(pool.acquire(site)); }).join();
    return *std::move(lease);
  }
};

TEST_F(PoolLeaseOfAnEndedThread, IsVoid) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease lost = left_behind_in(pool);
  EXPECT_THROW(static_cast<void>(lost.get()), UsageError);
  EXPECT_EQ(pool.statistics().recovered, 1U);
  EXPECT_EQ(pool.statistics().in_use, 0U);
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, LeavesThePlaceUsable) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.max_errors = 1}});
  ThingPool::Lease lost = left_behind_in(pool);
  ThingPool::Lease next = pool.acquire();
  EXPECT_EQ(next->number, 1);

  // The void one has nothing to do with it any more.
  lost.count_error();
  lost.retire();
  lost.unbind();
  lost.give_back();
  EXPECT_EQ(next->number, 1);
  EXPECT_EQ(pool.statistics().in_use, 1U);
  next.give_back();
  EXPECT_EQ(pool.acquire()->number, 1);
  EXPECT_EQ(pool.statistics().acquires, 3U);
}

TEST_F(PoolLeaseOfAnEndedThread, IsReported) {
  std::vector<LeaseReport> leaks;
  ThingPool pool = pool_of({.max = 1, .upkeep = {.on_leak = [&](const LeaseReport& leak) { leaks.push_back(leak); }}},
                           {.activity = [](PooledThing&) { return "SELECT 1"; }});
  {
    std::optional<ThingPool::Lease> lost;
    std::jthread([&] {
      lost.emplace(pool.acquire(kThere));
      clock_.advance(milliseconds(30));
    }).join();
  }
  ASSERT_EQ(leaks.size(), 1U);
  EXPECT_EQ(leaks.at(0).site.to_string(), kThere.to_string());
  EXPECT_EQ(leaks.at(0).held, milliseconds(30));
  EXPECT_EQ(leaks.at(0).activity, "SELECT 1");
  EXPECT_EQ(pool.statistics().recovered, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, IsCleaned) {
  Cleaning outcome = Cleaning::cleaned;
  ThingPool pool = pool_of({.max = 1}, {.clean = [&](PooledThing&) { return outcome; }});
  static_cast<void>(left_behind_in(pool));
  EXPECT_EQ(pool.statistics().cleaned, 1U);
  EXPECT_EQ(pool.statistics().idle, 1U);
  outcome = Cleaning::broken;
  static_cast<void>(left_behind_in(pool));
  EXPECT_EQ(pool.statistics().cleaned, 2U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolLeaseOfAnEndedThread, IsOneUseOnly) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.max_uses = 2}});
  static_cast<void>(left_behind_in(pool));
  EXPECT_EQ(pool.resources().at(0).uses, 1U);
  EXPECT_EQ(pool.acquire()->number, 1);
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(PoolLeaseOfAnEndedThread, GoesToOneThatWaits) {
  ThingPool pool = pool_of({.max = 1});
  std::optional<ThingPool::Lease> lost;
  std::jthread waiter;
  std::jthread([&] {
    lost.emplace(pool.acquire());
    waiter = std::jthread([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
    await_asleep(clock_, 1);
  }).join();
  waiter.join();
  EXPECT_EQ(pool.statistics().recovered, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, ComesBackFromAllPools) {
  ThingPool left = pool_of({.max = 3});
  ThingPool right = pool_of({.max = 3});
  std::vector<ThingPool::Lease> lost;
  std::jthread([&] {
    for (ThingPool* pool : {&left, &right, &left}) lost.push_back(pool->acquire());
  }).join();
  EXPECT_EQ(left.statistics().recovered, 2U);
  EXPECT_EQ(left.statistics().idle, 2U);
  EXPECT_EQ(right.statistics().recovered, 1U);
  EXPECT_EQ(right.statistics().idle, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, IsItsAloneAndNotThoseOfOthers) {
  ThingPool pool = pool_of({.max = 3});
  const ThingPool::Lease own = pool.acquire();
  const ThingPool::Lease lost = left_behind_in(pool);
  EXPECT_EQ(own->number, 1);
  EXPECT_EQ(pool.statistics().in_use, 1U);
  EXPECT_EQ(pool.statistics().recovered, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, IsClosedWhereItWasRetired) {
  ThingPool pool = pool_of({.max = 1});
  std::optional<ThingPool::Lease> lost;
  std::jthread([&] {
    lost.emplace(pool.acquire());
    lost->retire();
  }).join();
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolLeaseOfAnEndedThread, StaysLiveWhereItWasUnbound) {
  int leaks = 0;
  ThingPool pool = pool_of({.name = "a thing", .max = 1, .upkeep = {.on_leak = [&](const LeaseReport&) { ++leaks; }}});
  std::optional<ThingPool::Lease> lease;
  std::jthread([&] {
    lease.emplace(pool.acquire(kHere));
    lease->unbind();
  }).join();
  EXPECT_EQ((*lease)->number, 1);
  EXPECT_EQ(pool.statistics().in_use, 1U);
  EXPECT_EQ(pool.statistics().recovered, 0U);
  EXPECT_EQ(leaks, 0);
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce)); });
  EXPECT_TRUE(mentions(error, kHere.to_string())) << error.what();
  lease.reset();
  EXPECT_EQ(pool.statistics().idle, 1U);
}

TEST_F(PoolLeaseOfAnEndedThread, IsHeldAgainByWhoeverAcquiresItNext) {
  // unbind() is of one lease, not of the place.
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease unbound = pool.acquire();
  unbound.unbind();
  unbound.give_back();
  const ThingPool::Lease lost = left_behind_in(pool);
  EXPECT_EQ(pool.statistics().recovered, 1U);
}

}  // namespace
}  // namespace sqlane
