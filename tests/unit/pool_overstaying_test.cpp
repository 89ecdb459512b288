#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pool/pool_core.hpp"
#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::error_of;
using testing::Gate;
using testing::kAtOnce;
using testing::kHere;
using testing::kThere;
using testing::mentions;
using testing::PooledThing;
using testing::ThingHooks;
using testing::ThingPool;

class PoolOverstaying : public testing::PoolFixture {
 protected:
  [[nodiscard]] ThingPool reporting(std::size_t max, Overstaying overstaying, ThingHooks hooks = {}) {
    return pool_of({.max = max,
                    .max_overflow = 1,
                    .upkeep = {.leak_threshold = milliseconds(100),
                               .overstaying = overstaying,
                               .on_leak = [this](const LeaseReport& leak) { leaks_.push_back(leak); },
                               .maintenance = Maintenance::by_hand}},
                   std::move(hooks));
  }

  std::vector<LeaseReport> leaks_;
};

TEST_F(PoolOverstaying, IsReportedOncePerLease) {
  ThingPool pool = reporting(1, Overstaying::reported, {.activity = [](PooledThing&) { return "SELECT 1"; }});
  ThingPool::Lease lease = pool.acquire(kHere);
  clock_.advance(milliseconds(99));
  pool.maintain_now();
  EXPECT_TRUE(leaks_.empty());
  clock_.advance(milliseconds(1));
  pool.maintain_now();
  ASSERT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(leaks_.at(0).site.to_string(), kHere.to_string());
  EXPECT_EQ(leaks_.at(0).held, milliseconds(100));
  EXPECT_EQ(leaks_.at(0).activity, "SELECT 1");

  clock_.advance(hours(1));
  pool.maintain_now();
  EXPECT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(pool.statistics().overstayed, 1U);
  EXPECT_EQ(pool.statistics().interrupted, 0U);
  EXPECT_EQ(lease->number, 1);
}

TEST_F(PoolOverstaying, IsReportedAgainForTheNextLease) {
  ThingPool pool = reporting(1, Overstaying::reported);
  for (std::size_t i = 1; i <= 3; ++i) {
    const ThingPool::Lease lease = pool.acquire(kThere);
    clock_.advance(milliseconds(100));
    pool.maintain_now();
    EXPECT_EQ(leaks_.size(), i);
  }
  EXPECT_EQ(pool.statistics().overstayed, 3U);
  EXPECT_EQ(leaks_.back().activity, "");
}

TEST_F(PoolOverstaying, IsReportedForEachThatDoes) {
  ThingPool pool = reporting(2, Overstaying::reported);
  const ThingPool::Lease first = pool.acquire(kHere);
  ThingPool::Lease second = pool.acquire();
  const ThingPool::Lease overflow = pool.acquire(kThere);
  second.give_back();
  clock_.advance(milliseconds(100));
  const ThingPool::Lease young = pool.acquire();
  pool.maintain_now();
  ASSERT_EQ(leaks_.size(), 2U);
  EXPECT_EQ(leaks_.at(0).site.line, kHere.line);
  EXPECT_EQ(leaks_.at(1).site.line, kThere.line);
}

TEST_F(PoolOverstaying, IsNotReportedOfWhatIsBack) {
  ThingPool pool = reporting(1, Overstaying::interrupted);
  pool.acquire().give_back();
  clock_.advance(hours(1));
  pool.maintain_now();
  EXPECT_TRUE(leaks_.empty());
  EXPECT_EQ(pool.statistics().interrupted, 0U);
}

TEST_F(PoolOverstaying, IsNotReportedWithoutAThreshold) {
  int leaks = 0;
  ThingPool pool = pool_of({.upkeep = {.overstaying = Overstaying::interrupted,
                                       .on_leak = [&](const LeaseReport&) { ++leaks; },
                                       .maintenance = Maintenance::by_hand}});
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(hours(100));
  pool.maintain_now();
  EXPECT_EQ(leaks, 0);
  EXPECT_EQ(pool.statistics().overstayed, 0U);
}

TEST_F(PoolOverstaying, IsCountedThoughNobodyListens) {
  ThingPool pool = pool_of({.upkeep = {.leak_threshold = milliseconds(1), .maintenance = Maintenance::by_hand}});
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(1));
  pool.maintain_now();
  EXPECT_EQ(pool.statistics().overstayed, 1U);
}

TEST_F(PoolOverstaying, IsReportedOfAnUnboundLease) {
  ThingPool pool = reporting(1, Overstaying::reported);
  ThingPool::Lease lease = pool.acquire();
  lease.unbind();
  clock_.advance(milliseconds(100));
  pool.maintain_now();
  EXPECT_EQ(leaks_.size(), 1U);
}

TEST_F(PoolOverstaying, MayUseThePoolWhereItIsReported) {
  int idle = -1;
  ThingPool* reporter = nullptr;
  ThingPool pool = pool_of({.max = 2,
                            .upkeep = {.leak_threshold = milliseconds(100),
                                       .on_leak =
                                           [&](const LeaseReport&) {
                                             reporter->acquire(kAtOnce).give_back();
                                             idle = static_cast<int>(reporter->statistics().idle);
                                           },
                                       .maintenance = Maintenance::by_hand}});
  reporter = &pool;
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(100));
  pool.maintain_now();
  EXPECT_EQ(idle, 1);
}

// Interrupting

TEST_F(PoolOverstaying, IsInterruptedWhereThatIsAskedFor) {
  std::vector<int> interrupted;
  ThingPool pool = reporting(2, Overstaying::interrupted,
                             {.interrupt = [&](PooledThing& thing) { interrupted.push_back(thing.number); }});
  ThingPool::Lease first = pool.acquire();
  clock_.advance(milliseconds(100));
  const ThingPool::Lease second = pool.acquire();
  pool.maintain_now();
  EXPECT_EQ(interrupted, std::vector{1});
  EXPECT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(pool.statistics().interrupted, 1U);
  EXPECT_EQ(first->number, 1);  // still its own
  pool.maintain_now();
  EXPECT_EQ(interrupted, std::vector{1});
}

TEST_F(PoolOverstaying, IsNotInterruptedWhereItIsOnlyReported) {
  int interrupted = 0;
  ThingPool pool = reporting(1, Overstaying::reported, {.interrupt = [&](PooledThing&) { ++interrupted; }});
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(100));
  pool.maintain_now();
  EXPECT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(interrupted, 0);
}

TEST_F(PoolOverstaying, IsInterruptedOnlyWhileItIsHeld) {
  // holder                        maintenance
  //                               interrupts
  // ends <------ interrupting ---
  // gives back, waits for that
  //                               has interrupted
  // has given back
  constexpr int kChances = 1000;  // to give back too early
  Gate interrupting;
  std::atomic<bool> is_given_back = false;
  bool was_late = false;
  ThingPool pool = reporting(1, Overstaying::interrupted, {.interrupt = [&](PooledThing&) {
                               interrupting.pass();
                               for (int i = 0; i < kChances; ++i) {
                                 std::this_thread::yield();
                                 was_late = was_late || is_given_back;
                               }
                             }});
  ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(100));
  std::jthread maintenance([&] { pool.maintain_now(); });
  interrupting.await_arrival();
  interrupting.open();
  lease.give_back();
  is_given_back = true;
  maintenance.join();
  EXPECT_FALSE(was_late);
}

// However it comes back, and once: nobody else is hit.
TEST_F(PoolOverstaying, IsTakenBackFromTheResourceWithTheLease) {
  int interrupted = 0;
  int resumed = 0;
  ThingPool pool =
      reporting(1, Overstaying::interrupted,
                {.interrupt = [&](PooledThing&) { ++interrupted; }, .resume = [&](PooledThing&) { ++resumed; }});
  {
    const ThingPool::Lease lease = pool.acquire();
    clock_.advance(milliseconds(100));
    pool.maintain_now();
    EXPECT_EQ(interrupted, 1);
    EXPECT_EQ(resumed, 0);
  }
  EXPECT_EQ(resumed, 1);
  pool.acquire().give_back();
  EXPECT_EQ(resumed, 1);
}

// Hooks that throw

TEST_F(PoolOverstaying, IsReportedThoughItsActivityIsUnknown) {
  ThingPool pool = reporting(1, Overstaying::reported,
                             {.activity = [](PooledThing&) -> std::string { throw std::runtime_error("cannot say"); }});
  const ThingPool::Lease lease = pool.acquire(kHere);
  clock_.advance(milliseconds(100));
  EXPECT_NO_THROW(pool.maintain_now());
  ASSERT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(leaks_.at(0).activity, "");
}

TEST_F(PoolOverstaying, GoesOnWhereInterruptingFails) {
  ThingPool pool =
      reporting(1, Overstaying::interrupted, {.interrupt = [](PooledThing&) { throw std::runtime_error("cannot"); }});
  const ThingPool::Lease lease = pool.acquire();
  clock_.advance(milliseconds(100));
  EXPECT_NO_THROW(pool.maintain_now());
  EXPECT_EQ(leaks_.size(), 1U);
  EXPECT_EQ(lease->number, 1);
}

// As others see it

TEST_F(PoolOverstaying, IsSeenAmongTheLeases) {
  ThingPool pool = pool_of({.max = 3});
  const ThingPool::Lease first = pool.acquire(kHere);
  pool.acquire().give_back();
  clock_.advance(milliseconds(5));
  const ThingPool::Lease second = pool.acquire(kThere);
  const std::vector<LeaseReport> leases = pool.base().core().leases();
  ASSERT_EQ(leases.size(), 2U);
  EXPECT_EQ(leases.at(0).site.line, kHere.line);
  EXPECT_EQ(leases.at(0).held, milliseconds(5));
  EXPECT_EQ(leases.at(1).site.line, kThere.line);
  EXPECT_EQ(leases.at(1).held, milliseconds(0));
}

TEST_F(PoolOverstaying, WouldBlockOneThatWaitsForAllOthers) {
  ThingPool pool = pool_of({.name = "a thing", .max = 3});
  EXPECT_NO_THROW(pool.base().core().expect_foreign_holders(kThere));
  ThingPool::Lease lease = pool.acquire(kHere);
  const auto error = error_of<UsageError>([&] { pool.base().core().expect_foreign_holders(kThere); });
  EXPECT_TRUE(mentions(error, "waiting at index.cpp:7 (rebuild) for the return of a thing")) << error.what();
  EXPECT_TRUE(mentions(error, "held by notes.cpp:12 (save_note)")) << error.what();
  std::jthread([&] { EXPECT_NO_THROW(pool.base().core().expect_foreign_holders(kThere)); }).join();
  lease.unbind();
  EXPECT_NO_THROW(pool.base().core().expect_foreign_holders(kThere));
}

}  // namespace
}  // namespace sqlane
