#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pool/pool_core.hpp"
#include "sqlane/error.hpp"
#include "sqlane/pool.hpp"
#include "support/crew.hpp"
#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"
#include "support/workshop.hpp"

// Whoever waits gets a turn. The clock stands still unless a test moves it, and
// everybody waits for an hour: whoever is forgotten shows as a test that hangs.

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::Crew;
using testing::Dice;
using testing::error_of;
using testing::mentions;
using testing::SteppedClock;
using testing::Tool;
using testing::use;
using testing::Workshop;

using ToolPool = Pool<Tool>;
using Lease = ToolPool::Lease;

constexpr milliseconds kPatience{10};

void await_waiting(const ToolPool& pool, std::size_t threads) {
  while (pool.statistics().waiting != threads) std::this_thread::yield();
}

PoolOptions options_with(std::size_t max, Upkeep upkeep = {}) {
  upkeep.maintenance = Maintenance::by_hand;
  return {.name = "a tool", .max = max, .acquire_timeout = hours(1), .patience = kPatience, .upkeep = upkeep};
}

class PoolFairness : public ::testing::Test {
 protected:
  // After all that was lent has come back.
  void expect_all_is_free(ToolPool& pool, std::size_t max) const {
    EXPECT_EQ(pool.statistics().waiting, 0U);
    EXPECT_EQ(pool.statistics().in_use, 0U);
    std::vector<Lease> all;
    for (std::size_t i = 0; i < max; ++i) all.push_back(pool.acquire({.timeout = milliseconds(0)}));
    EXPECT_EQ(pool.statistics().in_use, max);
    all.clear();
    workshop_.expect_no_harm();
  }

  const unsigned seed_ = std::random_device{}();
  Dice dice_{seed_};
  SteppedClock clock_;
  Workshop workshop_;
};

TEST_F(PoolFairness, HandsTheNextReturnToWhomPatienceHasLeft) {
  // main                      waiter
  // has the only one          waits, for longer than its patience
  // returns it
  // asks at once: nothing
  //                           has it
  ToolPool pool(workshop_.factory(), options_with(1), {}, &clock_);
  std::latch is_refused(1);
  std::optional<Lease> lease = pool.acquire();
  std::jthread waiter([&] {
    const Lease own = pool.acquire();
    is_refused.wait();
  });
  await_waiting(pool, 1);
  clock_.advance(kPatience);
  lease.reset();
  EXPECT_FALSE(pool.try_acquire().has_value());
  EXPECT_EQ(pool.statistics().waiting, 0U);
  is_refused.count_down();
}

TEST_F(PoolFairness, LetsWhoeverWaitsMakeTheNextOneBeforeThoseWhoCome) {
  // main                      waiter
  // has the only one          waits
  // returns it: it is closed
  // asks at once: nothing
  //                           makes another
  for (int round = 0; round < 100; ++round) {
    ToolPool pool(workshop_.factory(), options_with(1), {}, &clock_);
    std::latch is_refused(1);
    std::optional<Lease> lease = pool.acquire();
    std::jthread waiter([&] {
      const Lease own = pool.acquire();
      is_refused.wait();
    });
    await_waiting(pool, 1);
    lease->retire();
    lease.reset();
    EXPECT_FALSE(pool.try_acquire().has_value());
    is_refused.count_down();
  }
}

TEST_F(PoolFairness, LetsNobodyStarveBesideThoseWhoComeAgainAndAgain) {
  for (int round = 0; round < 200; ++round) {
    ToolPool pool(workshop_.factory(), options_with(1), {}, &clock_);
    std::atomic<bool> is_served = false;
    std::optional<Lease> lease = pool.acquire();
    std::jthread waiter([&] {
      use(*pool.acquire());
      is_served = true;
    });
    await_waiting(pool, 1);
    std::vector<std::jthread> others;
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&] {
        while (!is_served) use(*pool.acquire());
      });
    }
    clock_.advance(kPatience);
    lease.reset();
  }
  workshop_.expect_no_harm();
}

class PoolFairnessInOrder : public PoolFairness, public ::testing::WithParamInterface<std::optional<std::uint64_t>> {};

// By handing it over; or, where it is worn out each time, by letting the first make the next.
TEST_P(PoolFairnessInOrder, ServesThoseWhoWaitInTheirOrder) {
  constexpr int kWaiters = 6;
  for (int round = 0; round < 50; ++round) {
    PoolOptions options = options_with(1, {.max_uses = GetParam()});
    options.patience = milliseconds(0);
    ToolPool pool(workshop_.factory(), options, {}, &clock_);
    std::vector<int> served;  // of whoever has the lease
    std::optional<Lease> lease = pool.acquire();
    std::vector<std::jthread> waiters;
    for (int i = 0; i < kWaiters; ++i) {
      waiters.emplace_back([&, i] {
        const Lease own = pool.acquire();
        served.push_back(i);
      });
      await_waiting(pool, static_cast<std::size_t>(i) + 1);
    }
    lease.reset();
    waiters.clear();
    std::vector<int> all(kWaiters);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(served, all);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PoolFairnessInOrder,
                         ::testing::Values(std::optional<std::uint64_t>(), std::optional<std::uint64_t>(1)),
                         [](const auto& one) { return one.param ? "WornOutEachTime" : "HandedOver"; });

TEST_F(PoolFairness, ForgetsNobodyWhateverComesBackHowever) {
  constexpr int kRounds = 1500;
  constexpr int kUses = 12;  // of each thread
  Crew crew(4);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed_) + ", round " + std::to_string(round));
    PoolOptions options = options_with(1 + static_cast<std::size_t>(dice_.below(2)));
    if (dice_.is_one_in(2)) options.patience = milliseconds(0);
    if (dice_.is_one_in(3)) options.max_overflow = 1;
    if (dice_.is_one_in(3)) options.upkeep.max_uses = 1 + static_cast<std::uint64_t>(dice_.below(3));
    if (dice_.is_one_in(3)) options.upkeep.validate_on_acquire = ValidateOnAcquire::always;
    if (dice_.is_one_in(3)) options.upkeep.validate_on_release = ValidateOnRelease::yes;
    if (dice_.is_one_in(3)) options.upkeep.min_idle = 1;
    options.upkeep.breaker.reset();
    const std::size_t max = options.max;
    const bool fails = dice_.is_one_in(3);
    std::atomic<unsigned> tries = 0;
    std::atomic<unsigned> checks = 0;
    std::atomic<int> served = 0;
    std::atomic<int> not_made = 0;
    ToolPool pool(workshop_.factory([&] {
      if (fails && tries++ % 3 == 0) throw std::runtime_error("no material");
    }),
                  options, {.is_valid = [&](Tool&) { return checks++ % 5 != 0; }}, &clock_);
    std::vector<std::function<void()>> jobs;
    for (std::size_t i = 0; i < crew.size(); ++i) {
      jobs.emplace_back([&, own = dice_.another()]() mutable {
        for (int n = 0; n < kUses; ++n) {
          try {
            Lease lease = pool.acquire();
            use(*lease);
            if (own.is_one_in(3)) own.dawdle();
            if (own.is_one_in(6)) lease.retire();
            ++served;
          } catch (const std::runtime_error&) {  // of the factory
            ++not_made;
          }
          if (own.is_one_in(6)) static_cast<void>(pool.prune());
          if (own.is_one_in(6)) pool.maintain_now();
        }
      });
    }
    crew.run(std::move(jobs));
    EXPECT_EQ(served + not_made, kUses * static_cast<int>(crew.size()));
    EXPECT_EQ(pool.statistics().acquires, static_cast<std::uint64_t>(served));
    EXPECT_EQ(pool.statistics().timeouts, 0U);
    if (!fails) expect_all_is_free(pool, max);
  }
  workshop_.expect_no_harm();
}

// Two wait, and one of them stops waiting just when it may get what comes back.
// However that ends, the other one gets its turn.
class PoolFairnessTwoWaiters : public PoolFairness {
 protected:
  // `acquire` may end with `Error` as well, and `end_waiting` tells it to.
  template <class Error>
  void race(const std::function<Lease(ToolPool&, const std::stop_source&)>& acquire,
            const std::function<void(std::stop_source&)>& end_waiting) {
    constexpr int kRounds = 3000;
    Crew crew(4);
    int served = 0;
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
      SCOPED_TRACE("seed " + std::to_string(seed_) + ", round " + std::to_string(round));
      PoolOptions options = options_with(1);
      if (dice_.is_one_in(2)) options.patience = milliseconds(0);
      const bool is_worn_out = dice_.is_one_in(4);
      const std::size_t first = static_cast<std::size_t>(dice_.below(2));
      ToolPool pool(workshop_.factory(), options, {}, &clock_);
      std::optional<Lease> lease = pool.acquire();
      lease->unbind();
      if (is_worn_out) lease->retire();
      int outcomes = 0;
      int leases = 0;
      std::stop_source stop;
      std::latch both_wait(1);
      crew.run({[&] {
                  if (first != 0) await_waiting(pool, 1);
                  try {
                    use(*acquire(pool, stop));
                    ++leases;
                  } catch (const Error&) {
                  }
                  ++outcomes;
                },
                [&] {
                  if (first != 1) await_waiting(pool, 1);
                  use(*pool.acquire());
                },
                [&, own = dice_.another()]() mutable {
                  both_wait.wait();
                  own.dawdle();
                  lease.reset();
                },
                [&, own = dice_.another()]() mutable {
                  await_waiting(pool, 2);
                  both_wait.count_down();
                  own.dawdle();
                  end_waiting(stop);
                }});
      EXPECT_EQ(outcomes, 1);
      EXPECT_EQ(pool.statistics().acquires, static_cast<std::uint64_t>(2 + leases));
      expect_all_is_free(pool, 1);
      served += leases;
    }
    EXPECT_GT(served, 0) << "of " << kRounds;
    EXPECT_LT(served, kRounds);
  }
};

TEST_F(PoolFairnessTwoWaiters, AreBothAnsweredWhenOneIsStopped) {
  race<InterruptedError>(
      [](ToolPool& pool, const std::stop_source& stop) { return pool.acquire({.stop = stop.get_token()}); },
      [](std::stop_source& stop) { stop.request_stop(); });
}

TEST_F(PoolFairnessTwoWaiters, AreBothAnsweredWhenOneHasWaitedTooLong) {
  static constexpr milliseconds kTimeout = kPatience / 2;
  race<TimeoutError>([](ToolPool& pool, const std::stop_source&) { return pool.acquire({.timeout = kTimeout}); },
                     [&](std::stop_source&) { clock_.advance(kTimeout); });
}

TEST_F(PoolFairness, EndsTheWaitingOfWhomIsStoppedWhileNothingComesBack) {
  ToolPool pool(workshop_.factory(), options_with(1), {}, &clock_);
  const Lease lease = pool.acquire();
  std::stop_source stop;
  std::jthread waiter(
      [&] { EXPECT_THROW(static_cast<void>(pool.acquire({.stop = stop.get_token()})), InterruptedError); });
  await_waiting(pool, 1);
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(pool.statistics().waiting, 0U);
}

TEST_F(PoolFairness, PassesTheTurnOnWhenMakingFails) {
  // main                      three waiters
  // has the only one          wait
  // returns it: it is closed
  //                           one makes the next: it fails
  //                           the second one likewise
  //                           the third one has it
  for (int round = 0; round < 300; ++round) {
    std::atomic<int> failures_left = 0;
    PoolOptions options = options_with(1, {.breaker = std::nullopt});
    if (round % 2 == 0) options.patience = milliseconds(0);
    ToolPool pool(workshop_.factory([&] {
      if (failures_left-- > 0) throw std::runtime_error("no material");
    }),
                  options, {}, &clock_);
    std::optional<Lease> lease = pool.acquire();
    std::atomic<int> served = 0;
    std::atomic<int> failed = 0;
    std::vector<std::jthread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([&] {
        try {
          use(*pool.acquire());
          ++served;
        } catch (const std::runtime_error&) {
          ++failed;
        }
      });
    }
    await_waiting(pool, 3);
    failures_left = 2;
    lease->retire();
    lease.reset();
    waiters.clear();
    EXPECT_EQ(served, 1);
    EXPECT_EQ(failed, 2);
    EXPECT_EQ(pool.statistics().failed_creations, 2U);
  }
}

TEST_F(PoolFairness, LetsTheNextOneMakeOneWhenOneHasBeenMade) {
  // first                     second
  // makes one                 waits for its turn to make another
  // has it                    makes it
  std::latch is_making(1);
  std::latch has_second(1);
  std::latch goes_on(1);
  ToolPool pool(workshop_.factory([&] {
    is_making.count_down();
    goes_on.wait();
  }),
                options_with(2), {}, &clock_);
  std::jthread first([&] {
    const Lease lease = pool.acquire();
    has_second.wait();
  });
  is_making.wait();
  std::jthread second([&] {
    const Lease lease = pool.acquire();
    has_second.count_down();
  });
  await_waiting(pool, 1);
  goes_on.count_down();
}

TEST_F(PoolFairness, MakesAnotherForWhomSomethingBrokenIsHandedTo) {
  for (int round = 0; round < 300; ++round) {
    std::atomic<int> failures_left = 0;
    PoolOptions options = options_with(1, {.validate_on_acquire = ValidateOnAcquire::always});
    if (round % 2 == 0) options.patience = milliseconds(0);
    ToolPool pool(workshop_.factory(), options, {.is_valid = [&](Tool&) { return failures_left-- <= 0; }}, &clock_);
    std::optional<Lease> lease = pool.acquire();
    std::vector<std::jthread> waiters;
    for (int i = 0; i < 2; ++i) waiters.emplace_back([&] { use(*pool.acquire()); });
    await_waiting(pool, 2);
    failures_left = 1;
    lease.reset();
    waiters.clear();
    EXPECT_EQ(pool.statistics().closed_for(CloseReason::invalid), 1U);
    EXPECT_EQ(pool.statistics().acquires, 3U);
    expect_all_is_free(pool, 1);
  }
}

TEST_F(PoolFairness, WaitsUntilAllThatOthersHaveHasComeBackOnce) {
  constexpr int kUses = 20'000;  // of each thread
  ToolPool pool(workshop_.factory(), options_with(3), {}, &clock_);
  struct alignas(64) Other {
    std::atomic<int> holds = 0;  // the how manieth, while it has one
  };
  std::vector<Other> others(2);
  std::atomic<int> at_work = 2;
  std::vector<std::jthread> threads;
  for (Other& other : others) {
    threads.emplace_back([&] {
      for (int n = 1; n <= kUses; ++n) {
        const Lease lease = pool.acquire();
        use(*lease);
        other.holds = n;
        if (n % 4 == 0) std::this_thread::yield();
        other.holds = 0;
      }
      --at_work;
    });
  }
  int overlooked = 0;
  while (at_work > 0) {
    static_cast<void>(pool.try_acquire());  // so that this thread was the last to have some of them
    const int first = others[0].holds;
    const int second = others[1].holds;
    EXPECT_TRUE(pool.base().core().wait_for_turnover(clock_.deadline(hours(1))));
    if (first != 0 && others[0].holds == first) ++overlooked;
    if (second != 0 && others[1].holds == second) ++overlooked;
  }
  EXPECT_EQ(overlooked, 0);
}

// Rings

TEST_F(PoolFairness, RefusesTheLastOfARingOfPools) {
  // first, second, …          holds one of the own pool
  // then                      asks for one of the next: waits, but the last one hears of the ring
  constexpr std::size_t kMost = 3;
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = 2 + static_cast<std::size_t>(round) % (kMost - 1);
    std::vector<std::unique_ptr<ToolPool>> pools;
    for (std::size_t i = 0; i < size; ++i) {
      pools.push_back(std::make_unique<ToolPool>(workshop_.factory(), options_with(1), PoolHooks<Tool>{}, &clock_));
    }
    std::latch all_hold(static_cast<std::ptrdiff_t>(size));
    std::atomic<int> refused = 0;
    std::atomic<int> served = 0;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < size; ++i) {
      threads.emplace_back([&, i] {
        try {
          const Lease own = pools[i]->acquire({"outer.cpp", static_cast<int>(i) + 1, "hold"});
          all_hold.arrive_and_wait();
          use(*pools[(i + 1) % size]->acquire({"inner.cpp", static_cast<int>(i) + 1, "ask"}));
          ++served;
        } catch (const UsageError& error) {
          ++refused;
          for (std::size_t n = 1; n <= size; ++n) {
            const std::string line = std::to_string(n);
            EXPECT_TRUE(mentions(error, "outer.cpp:" + line + " (hold)")) << error.what();
            EXPECT_TRUE(mentions(error, "inner.cpp:" + line + " (ask)")) << error.what();
          }
        }
      });
    }
    threads.clear();
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(served, static_cast<int>(size) - 1);
  }
}

TEST_F(PoolFairness, RefusesAThreadThatHasAll) {
  ToolPool pool(workshop_.factory(), options_with(2), {}, &clock_);
  const Lease one = pool.acquire({"one.cpp", 1, "hold"});
  const Lease two = pool.acquire({"two.cpp", 2, "hold"});
  const auto error = error_of<UsageError>([&] { static_cast<void>(pool.acquire({"ask.cpp", 3, "ask"})); });
  for (const char* const site : {"one.cpp:1 (hold)", "two.cpp:2 (hold)", "ask.cpp:3 (ask)"}) {
    EXPECT_TRUE(mentions(error, site)) << error.what();
  }
  EXPECT_EQ(pool.statistics().waiting, 0U);
}

TEST_F(PoolFairness, LetsAThreadWaitForWhatItHasUnbound) {
  ToolPool pool(workshop_.factory(), options_with(1), {}, &clock_);
  std::optional<Lease> lease = pool.acquire();
  lease->unbind();
  std::jthread other([&] {
    await_waiting(pool, 1);
    lease.reset();
  });
  EXPECT_NO_THROW(use(*pool.acquire()));
}

TEST_F(PoolFairness, SeesNoRingWhereAllKeepToOneOrder) {
  constexpr int kThreads = 4;
  constexpr int kUses = 500;  // of each
  ToolPool one(workshop_.factory(), options_with(2), {}, &clock_);
  Workshop other_workshop;
  ToolPool two(other_workshop.factory(), options_with(1), {}, &clock_);
  std::atomic<int> served = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, own = dice_.another()]() mutable {
      try {
        for (int n = 0; n < kUses; ++n) {
          const Lease first = one.acquire();
          use(*first);
          if (own.is_one_in(4)) own.dawdle();
          use(*two.acquire());
          ++served;
        }
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }
  threads.clear();
  EXPECT_EQ(served, kThreads * kUses);
  workshop_.expect_no_harm();
  other_workshop.expect_no_harm();
}

}  // namespace
}  // namespace sqlane
