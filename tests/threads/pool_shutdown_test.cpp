#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/pool.hpp"
#include "support/crew.hpp"
#include "support/manual_clock.hpp"
#include "support/workshop.hpp"

// Pools that end while they are used. A call that nobody answers shows as a test that hangs.

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::Crew;
using testing::Dice;
using testing::SteppedClock;
using testing::Tool;
using testing::use;
using testing::Workshop;

using ToolPool = Pool<Tool>;
using Lease = ToolPool::Lease;

// After the pool and all leases are gone.
void expect_nothing_is_left(const Workshop& workshop) {
  EXPECT_EQ(workshop.alive, 0);
  EXPECT_FALSE(workshop.has_pool());
  workshop.expect_no_harm();
}

void await_sleeping(const SteppedClock& clock, int threads) {
  while (clock.sleeping() != threads) std::this_thread::yield();
}

// Leases that belong to nobody in particular.
class Shelf {
 public:
  void put(Lease lease) {
    lease.unbind();
    const std::lock_guard lock(mutex_);
    leases_.push_back(std::move(lease));
  }
  void clear() {
    std::vector<Lease> leases;
    const std::lock_guard lock(mutex_);
    leases.swap(leases_);
  }

 private:
  std::mutex mutex_;
  std::vector<Lease> leases_;
};

// One of those who share a pool, and what it does in one round.
class Member {
 public:
  Member(std::shared_ptr<ToolPool> pool, Shelf& shelf, const Workshop& workshop, Dice dice)
      : pool_(std::move(pool)), shelf_(shelf), workshop_(workshop), dice_(dice) {}

  void run() {
    for (int step = 0; step < 6; ++step) {
      dice_.dawdle();
      do_something();
    }
    if (dice_.is_one_in(2)) pool_.reset();  // what it holds may outlive it
    dice_.dawdle();
    let_go_of_all();
  }

 private:
  void do_something() {
    switch (dice_.below(16)) {
      case 0: return drain();
      case 1: return close(milliseconds(0));
      case 2: return close(hours(1));
      case 3: pool_->maintain_now(); return;
      case 4: static_cast<void>(pool_->prune()); return;
      case 5: return shelf_.clear();
      case 6: return put_on_the_shelf();
      case 7:
      case 8: held_.clear(); return;
      case 9:
      case 10: return acquire([&] { return pool_->try_acquire(); });
      case 11:
      case 12: return acquire([&] { return pool_->acquire({.timeout = milliseconds(dice_.below(2))}); });
      default: break;
    }
    let_go_of_all();  // for others may wait for it
    acquire([&] { return pool_->acquire({.timeout = hours(1)}); });
  }

  void let_go_of_all() {
    held_.clear();
    shelf_.clear();
  }

  template <class Acquire>
  void acquire(Acquire&& acquire) {
    try {
      std::optional<Lease> lease = acquire();
      if (!lease) return;
      use(**lease);
      held_.push_back(*std::move(lease));
    } catch (const ClosedError&) {
      EXPECT_NE(pool_->state(), PoolState::active);
    } catch (const TimeoutError&) {
    } catch (const UsageError&) {  // it holds all of them
      EXPECT_FALSE(held_.empty());
    }
  }

  void put_on_the_shelf() {
    if (held_.empty()) return;
    shelf_.put(std::move(held_.back()));
    held_.pop_back();
  }

  void drain() {
    EXPECT_LE(pool_->drain(milliseconds(dice_.below(2))).size(), 4U);
    expect_closed();
  }

  void close(milliseconds timeout) {
    if (timeout.count() > 0) let_go_of_all();
    try {
      pool_->close(timeout);
      EXPECT_EQ(workshop_.alive, 0);
    } catch (const TimeoutError&) {
      EXPECT_EQ(timeout.count(), 0);
    }
    expect_closed();
  }

  void expect_closed() { EXPECT_THROW(static_cast<void>(pool_->try_acquire()), ClosedError); }

  std::shared_ptr<ToolPool> pool_;
  Shelf& shelf_;
  const Workshop& workshop_;
  Dice dice_;
  std::vector<Lease> held_;
};

PoolOptions any_options(Dice& dice) {
  PoolOptions options{.max = 2,
                      .max_overflow = dice.is_one_in(2) ? 2U : 0U,
                      .patience = milliseconds(dice.is_one_in(2) ? 0 : 10),
                      .upkeep = {.maintenance = Maintenance::by_hand}};
  if (dice.is_one_in(2)) options.upkeep.min_idle = 1;
  if (dice.is_one_in(2)) options.upkeep.validation_interval = milliseconds(1);
  if (dice.is_one_in(3)) options.upkeep.validate_on_acquire = ValidateOnAcquire::always;
  if (dice.is_one_in(3)) options.upkeep.max_uses = 2;
  if (dice.is_one_in(3)) options.upkeep.idle_timeout = milliseconds(1);
  return options;
}

PoolHooks<Tool> checking_hooks(std::atomic<unsigned>& checks) {
  return {.is_valid =
              [&checks](Tool& tool) {
                const Tool::Use use(tool);
                return checks++ % 7 != 0;
              },
          .warm_up = [](Tool& tool) { const Tool::Use use(tool); },
          .interrupt = [](Tool& tool) { tool.look_at(); },
          .activity =
              [](Tool& tool) {
                tool.look_at();
                return std::string("at work");
              }};
}

TEST(PoolShutdown, AmongCallsOfAllKindsLosesAndDoublesNothing) {
  constexpr int kRounds = 2000;
  const unsigned seed = std::random_device{}();
  Dice dice(seed);
  Crew crew(5);
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const PoolOptions options = any_options(dice);
    Workshop workshop(static_cast<std::int64_t>(options.max + options.max_overflow));
    std::atomic<unsigned> checks = 0;
    Shelf shelf;
    {
      const auto pool = std::make_shared<ToolPool>(workshop.factory(), options, checking_hooks(checks));
      std::vector<std::function<void()>> jobs;
      for (std::size_t i = 0; i < crew.size(); ++i) {
        const auto member = std::make_shared<Member>(pool, shelf, workshop, dice.another());
        jobs.emplace_back([member] { member->run(); });
      }
      crew.run(std::move(jobs));
    }
    shelf.clear();
    expect_nothing_is_left(workshop);
  }
}

TEST(PoolShutdown, ByDestroyingThePoolAnswersThoseWhoWaitInside) {
  // main                  three waiters          a holder           a destroyer
  // makes the pool                               has all
  //                       wait
  //                                              returns them       destroys the pool
  //                       a lease, or ClosedError
  constexpr int kRounds = 2000;
  constexpr int kWaiters = 3;
  const unsigned seed = std::random_device{}();
  Dice dice(seed);
  Crew crew(kWaiters + 2);
  int leases = 0;
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    PoolOptions options = any_options(dice);
    options.max_overflow = 0;
    options.acquire_timeout = hours(1);
    Workshop workshop(2);
    std::atomic<unsigned> checks = 1;
    auto pool = std::make_unique<ToolPool>(workshop.factory(), options, checking_hooks(checks));
    std::vector<Lease> all;
    for (std::size_t i = 0; i < options.max; ++i) {
      all.push_back(pool->acquire());
      all.back().unbind();
    }
    std::stop_source stop;
    std::atomic<int> given = 0;
    std::atomic<int> told = 0;
    std::latch all_wait(1);
    Shelf shelf;
    std::vector<std::function<void()>> jobs;
    for (int i = 0; i < kWaiters; ++i) {
      const bool can_be_stopped = i == 0;
      jobs.emplace_back([&, can_be_stopped, own = dice.another()]() mutable {
        try {
          AcquireOptions how;
          if (can_be_stopped) how.stop = stop.get_token();
          Lease lease = pool->acquire(how);
          ++given;
          use(*lease);
          own.dawdle();
          if (own.is_one_in(2)) shelf.put(std::move(lease));
        } catch (const ClosedError&) {
          ++told;
        } catch (const InterruptedError&) {
          EXPECT_TRUE(can_be_stopped);
          ++told;
        }
        own.dawdle();
        shelf.clear();
      });
    }
    jobs.emplace_back([&, own = dice.another()]() mutable {
      all_wait.wait();
      own.dawdle();
      if (own.is_one_in(4)) stop.request_stop();
      while (!all.empty()) {
        all.pop_back();
        own.dawdle();
      }
    });
    jobs.emplace_back([&, own = dice.another()]() mutable {
      while (pool->statistics().waiting != kWaiters) std::this_thread::yield();
      all_wait.count_down();
      own.dawdle();
      own.dawdle();
      pool.reset();
    });
    crew.run(std::move(jobs));
    EXPECT_EQ(given + told, kWaiters);
    leases += given;
    expect_nothing_is_left(workshop);
  }
  EXPECT_GT(leases, 0);
  EXPECT_LT(leases, kRounds * kWaiters);
}

TEST(PoolShutdown, ByDestroyingThePoolWaitsForThoseWhoDrainAndCloseIt) {
  // main                  two others             a holder           a destroyer
  //                                              has one
  //                       drain() and close()
  //                       wait                   returns it         destroys the pool
  constexpr int kRounds = 1000;
  const unsigned seed = std::random_device{}();
  Dice dice(seed);
  Crew crew(4);
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    SteppedClock clock;
    Workshop workshop;
    auto pool = std::make_unique<ToolPool>(workshop.factory(), any_options(dice), PoolHooks<Tool>{}, &clock);
    std::optional<Lease> lease = pool->acquire();
    static_cast<void>(pool->acquire());  // and one is idle
    lease->unbind();
    std::latch both_wait(1);
    std::vector<std::function<void()>> jobs;
    jobs.emplace_back([&] { EXPECT_TRUE(pool->drain(hours(1)).empty()); });
    jobs.emplace_back([&] { EXPECT_NO_THROW(pool->close(hours(1))); });
    jobs.emplace_back([&, own = dice.another()]() mutable {
      both_wait.wait();
      own.dawdle();
      lease.reset();
    });
    jobs.emplace_back([&, own = dice.another()]() mutable {
      await_sleeping(clock, 2);
      both_wait.count_down();
      own.dawdle();
      pool.reset();
    });
    crew.run(std::move(jobs));
    expect_nothing_is_left(workshop);
  }
}

TEST(PoolShutdown, ByDestroyingThePoolEndsWhatMaintenanceDoes) {
  constexpr int kRounds = 300;
  const unsigned seed = std::random_device{}();
  Dice dice(seed);
  Crew crew(2);
  for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    Workshop workshop(2);
    std::atomic<unsigned> checks = 0;
    PoolOptions options = any_options(dice);
    options.max_overflow = 0;
    options.upkeep.min_idle = 2;
    options.upkeep.max_uses = 3;
    options.upkeep.maintenance = Maintenance::in_background;
    options.upkeep.maintenance_interval = milliseconds(1);
    auto pool = std::make_unique<ToolPool>(workshop.factory(), options, checking_hooks(checks));
    std::optional<Lease> lease = pool->acquire();
    lease->unbind();
    std::vector<std::function<void()>> jobs;
    jobs.emplace_back([&, own = dice.another()]() mutable {
      own.dawdle();
      lease.reset();
    });
    jobs.emplace_back([&, own = dice.another()]() mutable {
      if (own.is_one_in(2)) {
        while (workshop.made < 2) std::this_thread::yield();
      }
      own.dawdle();
      pool.reset();
    });
    crew.run(std::move(jobs));
    expect_nothing_is_left(workshop);
  }
}

// What is on its way when a pool is closed

TEST(PoolShutdown, ClosesWhatMaintenanceIsAsking) {
  // main                      maintenance
  //                           asks one whether it works
  // closes ---------------->
  //                           it does
  SteppedClock clock;
  Workshop workshop;
  std::latch asks(1);
  std::latch is_closed(1);
  ToolPool pool(workshop.factory(),
                {.upkeep = {.validation_interval = milliseconds(1), .maintenance = Maintenance::by_hand}},
                {.is_valid =
                     [&](Tool&) {
                       asks.count_down();
                       is_closed.wait();
                       return true;
                     }},
                &clock);
  static_cast<void>(pool.acquire());
  clock.advance(milliseconds(1));
  std::jthread maintenance([&] { pool.maintain_now(); });
  asks.wait();
  EXPECT_THROW(pool.close(milliseconds(0)), TimeoutError);
  is_closed.count_down();
  maintenance.join();
  EXPECT_EQ(workshop.alive, 0);
  EXPECT_THROW(static_cast<void>(pool.try_acquire()), ClosedError);
  EXPECT_NO_THROW(pool.close(milliseconds(0)));
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::pool_closed), 1U);
}

TEST(PoolShutdown, ClosesWhatIsBeingWarmedUpAndReportsItAsNobodys) {
  // main                      maintenance
  //                           makes one, warms it up
  // drains ---------------->
  //                           is done
  SteppedClock clock;
  Workshop workshop;
  std::latch warms_up(1);
  std::latch is_drained(1);
  std::atomic<int> looked_at = 0;
  ToolPool pool(workshop.factory(), {.upkeep = {.min_idle = 1, .maintenance = Maintenance::by_hand}},
                {.warm_up =
                     [&](Tool&) {
                       warms_up.count_down();
                       is_drained.wait();
                     },
                 .interrupt = [&](Tool&) { ++looked_at; },
                 .activity =
                     [&](Tool&) {
                       ++looked_at;
                       return std::string();
                     }},
                &clock);
  std::jthread maintenance([&] { pool.maintain_now(); });
  warms_up.wait();
  EXPECT_TRUE(pool.drain(milliseconds(0)).empty());
  is_drained.count_down();
  maintenance.join();
  EXPECT_EQ(looked_at, 0);
  EXPECT_EQ(workshop.alive, 0);
  EXPECT_NO_THROW(pool.close(milliseconds(0)));
}

TEST(PoolShutdown, LendsNothingAfterASecondCloseThoughTheFirstIsStillAtIt) {
  // main                      other
  //                           closes the pool, and in it the first of two
  // closes it as well
  // asks for the second one: ClosedError
  //                           goes on
  SteppedClock clock;
  Workshop workshop;
  std::latch closes(1);
  std::latch is_refused(1);
  std::atomic<int> closed = 0;
  ToolPool pool(workshop.factory(), {.upkeep = {.maintenance = Maintenance::by_hand}},
                {.close =
                     [&](Tool&) {
                       if (closed++ > 0) return;
                       closes.count_down();
                       is_refused.wait();
                     }},
                &clock);
  {
    const Lease first = pool.acquire();
    const Lease second = pool.acquire();
  }
  std::jthread other([&] { EXPECT_NO_THROW(pool.close(hours(1))); });
  closes.wait();
  EXPECT_THROW(pool.close(milliseconds(0)), TimeoutError);
  EXPECT_THROW(static_cast<void>(pool.try_acquire()), ClosedError);
  is_refused.count_down();
  other.join();
  EXPECT_EQ(workshop.alive, 0);
}

TEST(PoolShutdown, LeavesAloneWhatIsBeingClosed) {
  // main                      holder
  //                           returns one that is worn out: it is being closed
  // drains: nobody's -------> is done
  SteppedClock clock;
  Workshop workshop;
  std::latch closes(1);
  std::latch is_drained(1);
  std::atomic<int> looked_at = 0;
  ToolPool pool(workshop.factory(), {.upkeep = {.max_uses = 1, .maintenance = Maintenance::by_hand}},
                {.interrupt = [&](Tool&) { ++looked_at; },
                 .activity =
                     [&](Tool&) {
                       ++looked_at;
                       return std::string();
                     },
                 .close =
                     [&](Tool&) {
                       closes.count_down();
                       is_drained.wait();
                     }},
                &clock);
  std::jthread holder([&] { static_cast<void>(pool.acquire()); });
  closes.wait();
  EXPECT_TRUE(pool.drain(milliseconds(0)).empty());
  is_drained.count_down();
  holder.join();
  EXPECT_EQ(looked_at, 0);
  EXPECT_EQ(workshop.alive, 0);
}

TEST(PoolShutdown, ByDestroyingThePoolWaitsForACallThatAsksWhetherOneWorks) {
  // main                      other
  //                           acquires, or looks after it: asks the idle one whether it works
  // destroys the pool
  //                           it does not
  // goes on
  constexpr int kRounds = 400;
  Crew crew(2);
  for (int round = 0; round < kRounds; ++round) {
    SteppedClock clock;
    Workshop workshop;
    std::latch asks(1);
    std::atomic<bool> is_destroyed = false;
    auto pool = std::make_unique<ToolPool>(workshop.factory(),
                                           PoolOptions{.upkeep = {.validation_interval = milliseconds(1),
                                                                  .validate_on_acquire = ValidateOnAcquire::always,
                                                                  .maintenance = Maintenance::by_hand}},
                                           PoolHooks<Tool>{.is_valid =
                                                               [&](Tool&) {
                                                                 asks.count_down();
                                                                 for (int i = 0; i < 10; ++i) std::this_thread::yield();
                                                                 EXPECT_FALSE(is_destroyed);
                                                                 return false;
                                                               }},
                                           &clock);
    static_cast<void>(pool->acquire());
    clock.advance(milliseconds(1));
    crew.run({[&, acquires = round % 2 == 0] {
                try {
                  if (acquires) {
                    use(*pool->acquire());
                  } else {
                    pool->maintain_now();
                  }
                } catch (const ClosedError&) {
                }
              },
              [&] {
                asks.wait();
                pool.reset();
                is_destroyed = true;
              }});
    expect_nothing_is_left(workshop);
  }
}

// Leases without a pool

TEST(PoolShutdown, LeavesLeasesUsableThatOutliveThePool) {
  constexpr std::size_t kLeases = 3;
  constexpr int kRounds = 500;
  Crew crew(kLeases);
  for (int round = 0; round < kRounds; ++round) {
    Workshop workshop;
    std::vector<Lease> leases;
    {
      ToolPool pool(workshop.factory(), {.upkeep = {.maintenance = Maintenance::by_hand}});
      for (std::size_t i = 0; i < kLeases; ++i) leases.push_back(pool.acquire());
      for (Lease& lease : leases) lease.unbind();
    }
    EXPECT_EQ(workshop.alive, kLeases);
    std::vector<std::function<void()>> jobs;
    for (std::size_t i = 0; i < kLeases; ++i) {
      jobs.emplace_back([&, i] {
        use(*leases[i]);
        leases[i].give_back();
      });
    }
    crew.run(std::move(jobs));
    expect_nothing_is_left(workshop);
  }
}

TEST(PoolShutdown, RecoversFromThreadsThatEndAfterThePool) {
  Workshop workshop;
  std::atomic<int> reports = 0;
  std::optional<Lease> lease;
  {
    auto pool = std::make_unique<ToolPool>(workshop.factory(),
                                           PoolOptions{.upkeep = {.on_leak = [&](const LeaseReport&) { ++reports; },
                                                                  .maintenance = Maintenance::by_hand}});
    std::latch is_held(1);
    std::latch is_destroyed(1);
    std::jthread holder([&] {
      lease = pool->acquire();
      is_held.count_down();
      is_destroyed.wait();
    });
    is_held.wait();
    pool.reset();
    EXPECT_EQ(workshop.alive, 1);
    is_destroyed.count_down();
  }
  EXPECT_EQ(reports, 1);
  EXPECT_EQ(workshop.alive, 0);
  EXPECT_THROW(static_cast<void>(lease->get()), UsageError);
  lease.reset();
  expect_nothing_is_left(workshop);
}

TEST(PoolShutdown, LeavesVoidLeasesVoidThatOutliveThePool) {
  Workshop workshop;
  std::vector<Lease> leases;
  {
    ToolPool pool(workshop.factory(), {.upkeep = {.maintenance = Maintenance::by_hand}});
    std::jthread([&] {
      for (int i = 0; i < 3; ++i) leases.push_back(pool.acquire());
    }).join();
    EXPECT_EQ(pool.statistics().recovered, 3U);
    leases.pop_back();
  }
  EXPECT_EQ(workshop.alive, 0);
  for (Lease& lease : leases) {
    EXPECT_THROW(static_cast<void>(lease.get()), UsageError);
    lease.retire();
    lease.unbind();
    lease.give_back();
  }
  expect_nothing_is_left(workshop);
}

}  // namespace
}  // namespace sqlane
