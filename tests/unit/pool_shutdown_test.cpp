#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
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
using testing::error_of;
using testing::Gate;
using testing::kAtOnce;
using testing::kHere;
using testing::kPatiently;
using testing::kThere;
using testing::mentions;
using testing::PooledThing;
using testing::ThingHooks;
using testing::ThingPool;

constexpr milliseconds kNow{0};

class PoolShutdown : public testing::PoolFixture {
 protected:
  // Its hooks hold on to `core_`, so that shows when the core is gone.
  [[nodiscard]] std::unique_ptr<ThingPool> watched(PoolOptions options, ThingHooks hooks = {}) {
    hooks.closed = [token = core_](CloseReason) { static_cast<void>(token); };
    return std::make_unique<ThingPool>(workshop_.make(), std::move(options), std::move(hooks), &clock_);
  }
  [[nodiscard]] bool is_core_gone() const { return core_.use_count() == 1; }

 private:
  std::shared_ptr<int> core_ = std::make_shared<int>();
};

// close()

TEST_F(PoolShutdown, ClosesWhatIsIdleAndRefusesToLend) {
  ThingPool pool = pool_of({.name = "a thing", .max = 2});
  {
    const ThingPool::Lease first = pool.acquire();
    const ThingPool::Lease second = pool.acquire();
  }
  pool.close();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.state(), PoolState::closed);
  EXPECT_FALSE(pool.is_healthy());
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::pool_closed), 2U);
  const auto error = error_of<ClosedError>([&] { static_cast<void>(pool.acquire()); });
  EXPECT_TRUE(mentions(error, "a thing is not lent any more: its pool has been closed")) << error.what();
  EXPECT_NO_THROW(pool.close());
  EXPECT_EQ(workshop_.made, 2);
}

TEST_F(PoolShutdown, TellsEachWaiterOnceThatItIsClosed) {
  constexpr int kWaiters = 5;
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease held = pool.acquire();
  std::atomic<int> told = 0;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&] {
      EXPECT_THROW(static_cast<void>(pool.acquire(kPatiently)), ClosedError);
      ++told;
    });
  }
  await_asleep(clock_, kWaiters);
  std::atomic<bool> is_returned = false;
  std::jthread closer([&] {
    pool.close(hours(1));
    EXPECT_TRUE(is_returned);
  });
  waiters.clear();  // joins
  EXPECT_EQ(told, kWaiters);
  is_returned = true;
  held.give_back();
  closer.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().idle, 0U);
  EXPECT_EQ(pool.statistics().waiting, 0U);
  EXPECT_EQ(pool.statistics().timeouts, 0U);
}

TEST_F(PoolShutdown, NamesTheHoldersWhenClosingTakesTooLong) {
  ThingPool pool = pool_of({.name = "a thing", .max = 2});
  ThingPool::Lease held = pool.acquire(kHere);
  clock_.advance(milliseconds(7));
  const auto error = error_of<TimeoutError>([&] { pool.close(kNow); });
  EXPECT_TRUE(mentions(error, "a thing is still in use: notes.cpp:12 (save_note) for 7 ms")) << error.what();

  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(held->number, 1);
  held.give_back();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::pool_closed), 1U);
  EXPECT_NO_THROW(pool.close(kNow));
}

TEST_F(PoolShutdown, WaitsForTheDeadlineOfClose) {
  int interrupted = 0;
  ThingPool pool = pool_of({.max = 1}, {.interrupt = [&](PooledThing&) { ++interrupted; }});
  const ThingPool::Lease held = pool.acquire();
  std::jthread closer([&] { EXPECT_THROW(pool.close(milliseconds(50)), TimeoutError); });
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(50));
  closer.join();
  EXPECT_EQ(interrupted, 0);
}

TEST_F(PoolShutdown, SaysPoolClosedOfWhateverComesBackLater) {
  ThingPool pool = pool_of({.max = 1, .max_overflow = 1, .upkeep = {.max_uses = 1}});
  ThingPool::Lease usual = pool.acquire();
  ThingPool::Lease more = pool.acquire();
  EXPECT_THROW(pool.close(kNow), TimeoutError);
  usual.give_back();
  more.give_back();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::pool_closed), 2U);
}

TEST_F(PoolShutdown, LeavesNothingToMaintenance) {
  ThingPool pool = pool_of({.max = 3, .upkeep = {.min_idle = 2, .maintenance = Maintenance::by_hand}});
  pool.close();
  pool.maintain_now();
  EXPECT_EQ(workshop_.made, 0);
  EXPECT_EQ(pool.prune(), 0U);
}

TEST_F(PoolShutdown, LeavesHoldersAloneOnceItIsClosed) {
  int leaks = 0;
  ThingPool pool = pool_of({.max = 1,
                            .upkeep = {.leak_threshold = milliseconds(1),
                                       .on_leak = [&](const LeaseReport&) { ++leaks; },
                                       .maintenance = Maintenance::by_hand}});
  const ThingPool::Lease held = pool.acquire();
  EXPECT_THROW(pool.close(kNow), TimeoutError);  // which has named it
  clock_.advance(hours(1));
  pool.maintain_now();
  EXPECT_EQ(leaks, 0);
}

// maintenance                 main
// takes it, validates
// ---- validating ----------> close(), waits
// valid
TEST_F(PoolShutdown, ClosesWhatMaintenanceWasValidating) {
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
  std::jthread closer([&] { EXPECT_NO_THROW(pool.close(hours(1))); });
  await_asleep(clock_, 1);
  validating.open();
  maintenance.join();
  closer.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().total, 0U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::pool_closed), 1U);
}

TEST_F(PoolShutdown, ClosesWhatMaintenanceWasMaking) {
  Gate warming;
  ThingPool pool = pool_of({.max = 3, .upkeep = {.min_idle = 2, .maintenance = Maintenance::by_hand}},
                           {.warm_up = [&](PooledThing&) { warming.pass(); }});
  std::jthread maintenance([&] { pool.maintain_now(); });
  warming.await_arrival();
  const auto error = error_of<TimeoutError>([&] { pool.close(kNow); });
  EXPECT_FALSE(mentions(error, " ms")) << error.what();  // nobody holds it
  warming.open();
  maintenance.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_NO_THROW(pool.close(kNow));
}

TEST_F(PoolShutdown, LendsWhatWasBeingMadeForSomebody) {
  Gate making;
  ThingPool pool(
      [&] {
        making.pass();
        return workshop_.make()();
      },
      {.max = 1}, {}, &clock_);
  std::jthread maker([&] { EXPECT_EQ(pool.acquire()->number, 1); });
  making.await_arrival();
  EXPECT_THROW(pool.close(kNow), TimeoutError);
  making.open();
  maker.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_NO_THROW(pool.close(kNow));
}

TEST_F(PoolShutdown, NamesNobodyForWhatIsBeingClosed) {
  Gate closing;
  int interrupted = 0;
  ThingPool pool = pool_of({.max = 1, .upkeep = {.max_uses = 1}}, {.interrupt = [&](PooledThing&) { ++interrupted; },
                                                                   .close = [&](PooledThing&) { closing.pass(); }});
  std::jthread holder([&] { pool.acquire(kHere).give_back(); });
  closing.await_arrival();
  EXPECT_TRUE(pool.drain(kNow).empty());
  const auto error = error_of<TimeoutError>([&] { pool.close(kNow); });
  EXPECT_FALSE(mentions(error, kHere.to_string())) << error.what();
  EXPECT_EQ(interrupted, 0);
  closing.open();
}

// drain()

TEST_F(PoolShutdown, DrainsOnceNobodyHoldsAnything) {
  ThingPool pool = pool_of({.name = "a thing", .max = 2});
  pool.acquire().give_back();
  EXPECT_TRUE(pool.drain(kNow).empty());
  EXPECT_EQ(pool.state(), PoolState::draining);
  EXPECT_FALSE(pool.is_healthy());
  EXPECT_EQ(workshop_.alive, 0);
  const auto error = error_of<ClosedError>([&] { static_cast<void>(pool.acquire()); });
  EXPECT_TRUE(mentions(error, "a thing is not lent any more: its pool is being drained")) << error.what();
  pool.close();
  EXPECT_EQ(pool.state(), PoolState::closed);
  EXPECT_TRUE(pool.drain(kNow).empty());
  EXPECT_EQ(pool.state(), PoolState::closed);
}

TEST_F(PoolShutdown, LetsHoldersFinishWhileItDrains) {
  int interrupted = 0;
  ThingPool pool = pool_of({.max = 1}, {.interrupt = [&](PooledThing&) { ++interrupted; }});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_THROW(static_cast<void>(pool.acquire(kPatiently)), ClosedError); });
  await_asleep(clock_, 1);
  std::jthread drainer([&] { EXPECT_TRUE(pool.drain(milliseconds(100)).empty()); });
  waiter.join();
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(99));
  EXPECT_EQ(held->number, 1);
  held.give_back();
  drainer.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(interrupted, 0);
}

TEST_F(PoolShutdown, InterruptsAndReportsThoseWhoAreLate) {
  std::vector<int> interrupted;
  ThingPool pool = pool_of({.max = 3}, {.interrupt = [&](PooledThing& thing) { interrupted.push_back(thing.number); },
                                        .activity = [](PooledThing&) { return "SELECT 1"; }});
  ThingPool::Lease first = pool.acquire(kHere);
  clock_.advance(milliseconds(5));
  ThingPool::Lease second = pool.acquire(kThere);
  pool.acquire().give_back();
  std::vector<LeaseReport> late;
  std::jthread drainer([&] { late = pool.drain(milliseconds(20)); });
  await_asleep(clock_, 1);
  EXPECT_TRUE(interrupted.empty());
  clock_.advance(milliseconds(20));
  drainer.join();
  ASSERT_EQ(late.size(), 2U);
  EXPECT_EQ(late.at(0).site.to_string(), kHere.to_string());
  EXPECT_EQ(late.at(0).held, milliseconds(25));
  EXPECT_EQ(late.at(0).activity, "SELECT 1");
  EXPECT_EQ(late.at(1).site.to_string(), kThere.to_string());
  EXPECT_EQ(late.at(1).held, milliseconds(20));
  EXPECT_EQ(interrupted, (std::vector{1, 2}));
  EXPECT_EQ(pool.statistics().interrupted, 2U);

  // close() waits for them.
  std::jthread closer([&] { EXPECT_NO_THROW(pool.close(hours(1))); });
  await_asleep(clock_, 1);
  first.give_back();
  second.give_back();
  closer.join();
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolShutdown, DoesNotCountInterruptionsWithoutAHook) {
  ThingPool pool = pool_of({.max = 1});
  const ThingPool::Lease held = pool.acquire();
  EXPECT_EQ(pool.drain(kNow).size(), 1U);
  EXPECT_EQ(pool.statistics().interrupted, 0U);
}

// Destruction

TEST_F(PoolShutdown, ClosesEverythingWithThePool) {
  auto pool = watched({.max = 2});
  {
    const ThingPool::Lease first = pool->acquire();
    const ThingPool::Lease second = pool->acquire();
  }
  pool.reset();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_TRUE(is_core_gone());
}

TEST_F(PoolShutdown, LetsLeasesOutliveThePool) {
  auto pool = watched({.max = 2});
  ThingPool::Lease first = pool->acquire();
  ThingPool::Lease second = pool->acquire();
  pool.reset();
  EXPECT_EQ(first->number, 1);
  EXPECT_EQ(second->number, 2);
  first.give_back();
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_FALSE(is_core_gone());
  second.give_back();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_TRUE(is_core_gone());
}

TEST_F(PoolShutdown, TakesBackWhatAnEndingThreadHoldsOfAPoolThatIsGone) {
  auto pool = watched({.max = 1});
  std::optional<ThingPool::Lease> lost;
  std::jthread([&] {
    lost.emplace(pool->acquire());
    pool.reset();
    EXPECT_EQ(workshop_.alive, 1);
  }).join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_THROW(static_cast<void>(lost->get()), UsageError);
  lost.reset();
  EXPECT_TRUE(is_core_gone());
}

TEST_F(PoolShutdown, LetsAVoidLeaseOutliveThePool) {
  auto pool = watched({.max = 1});
  std::optional<ThingPool::Lease> lost;
  std::jthread([&] { lost.emplace(pool->acquire()); }).join();
  pool.reset();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_FALSE(is_core_gone());
  EXPECT_THROW(static_cast<void>(lost->get()), UsageError);
  lost->give_back();
  EXPECT_TRUE(is_core_gone());
}

TEST_F(PoolShutdown, TellsThoseThatWaitWhenThePoolIsDestroyed) {
  auto pool = watched({.max = 1});
  ThingPool::Lease held = pool->acquire();
  std::atomic<int> told = 0;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] {
      EXPECT_THROW(static_cast<void>(pool->acquire(kPatiently)), ClosedError);
      ++told;
    });
  }
  await_asleep(clock_, 3);
  delete pool.release();
  waiters.clear();
  EXPECT_EQ(told, 3);
  EXPECT_FALSE(is_core_gone());
  held.give_back();
  EXPECT_TRUE(is_core_gone());
}

// owner                       other
//                             acquire, makes
// destroys <---- making -----
// waits                       has it, gives it back: closed
TEST_F(PoolShutdown, WaitsForWhatIsBeingMadeWhenThePoolIsDestroyed) {
  Gate making;
  std::atomic<bool> is_made = false;
  auto pool = std::make_unique<ThingPool>(
      [&] {
        making.pass();
        is_made = true;
        return workshop_.make()();
      },
      PoolOptions{.max = 1}, ThingHooks{}, &clock_);
  ThingPool* const raw = pool.get();
  std::jthread other([&] { raw->acquire(kPatiently).give_back(); });
  making.await_arrival();
  std::jthread opener([&] { making.open(); });
  pool.reset();
  EXPECT_TRUE(is_made);
  other.join();
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolShutdown, IsWholeWhenThePoolIsDestroyedWhileSomethingIsValidated) {
  // other                     owner
  // acquire, validates
  // ---- validating --------> destroys
  // it is not valid: ClosedError
  Gate validating;
  auto pool =
      watched({.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}}, {.is_valid = [&](PooledThing&) {
                validating.pass();
                return false;
              }});
  pool->acquire().give_back();
  ThingPool* const raw = pool.get();
  std::jthread other([&] { EXPECT_THROW(static_cast<void>(raw->acquire(kPatiently)), ClosedError); });
  validating.await_arrival();
  std::jthread owner([&] { pool.reset(); });
  while (raw->state() == PoolState::active) std::this_thread::yield();
  validating.open();
  other.join();
  owner.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_TRUE(is_core_gone());
}

TEST_F(PoolShutdown, ClosesWhatMaintenanceWasMakingWhenThePoolIsDestroyed) {
  Gate warming;
  auto pool = watched({.max = 1, .upkeep = {.min_idle = 1, .maintenance_interval = milliseconds(1)}},
                      {.warm_up = [&](PooledThing&) { warming.pass(); }});
  warming.await_arrival();  // on the thread of maintenance
  std::jthread opener([&] { warming.open(); });
  pool.reset();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_TRUE(is_core_gone());
}

}  // namespace
}  // namespace sqlane
