#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::error_of;
using testing::Gate;
using testing::kAtOnce;
using testing::kHere;
using testing::kPatiently;
using testing::kThere;
using testing::mentions;
using testing::PooledThing;
using testing::ThingPool;

class PoolAcquire : public testing::PoolFixture {};

// Order

TEST_F(PoolAcquire, MakesNothingBeforeItIsAsked) {
  ThingPool pool = pool_of({.max = 3});
  EXPECT_EQ(workshop_.made, 0);
  EXPECT_EQ(pool.statistics().total, 0U);
}

TEST_F(PoolAcquire, MakesAnotherOnlyWhenNothingIsIdle) {
  ThingPool pool = pool_of({.max = 3});
  pool.acquire().give_back();
  const ThingPool::Lease again = pool.acquire();
  EXPECT_EQ(again->number, 1);
  const ThingPool::Lease second = pool.acquire();
  EXPECT_EQ(second->number, 2);
  EXPECT_EQ(pool.statistics().in_use, 2U);
  EXPECT_EQ(pool.statistics().idle, 0U);
}

TEST_F(PoolAcquire, NeverLendsMoreThanTheMost) {
  ThingPool pool = pool_of({.max = 2});
  const ThingPool::Lease first = pool.acquire();
  const ThingPool::Lease second = pool.acquire();
  EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
  EXPECT_EQ(workshop_.made, 2);
}

TEST_F(PoolAcquire, PrefersTheOneThatTheThreadHadLast) {
  ThingPool pool = pool_of({.max = 3});
  ThingPool::Lease one = pool.acquire();
  ThingPool::Lease two = pool.acquire();
  ThingPool::Lease three = pool.acquire();
  one.give_back();
  three.give_back();
  two.give_back();
  EXPECT_EQ(pool.acquire()->number, 3);

  std::jthread([&] {
    {
      const ThingPool::Lease first = pool.acquire();
      const ThingPool::Lease second = pool.acquire();
    }
    EXPECT_EQ(pool.acquire()->number, 2);
  }).join();
  std::jthread([&] { EXPECT_EQ(pool.acquire()->number, 1); }).join();
  EXPECT_EQ(pool.acquire()->number, 3);
}

TEST_F(PoolAcquire, PrefersAnyIdleOneToANewOne) {
  ThingPool pool = pool_of({.max = 3});
  ThingPool::Lease one = pool.acquire();
  const ThingPool::Lease two = pool.acquire();  // the one this thread had last
  one.give_back();
  const ThingPool::Lease again = pool.acquire();
  EXPECT_EQ(again->number, 1);
  EXPECT_EQ(workshop_.made, 2);
}

TEST_F(PoolAcquire, RemembersWhatTheThreadHadLastOfEachPool) {
  ThingPool left = pool_of({.max = 2});
  ThingPool right = pool_of({.max = 2});
  for (ThingPool* pool : {&left, &right}) {
    const ThingPool::Lease first = pool->acquire();
    const ThingPool::Lease second = pool->acquire();
  }
  EXPECT_EQ(left.acquire()->number, 2);
  EXPECT_EQ(right.acquire()->number, 4);
}

TEST_F(PoolAcquire, ForgetsWhatTheThreadHadOfAPoolThatIsGone) {
  for (int round = 0; round < 8; ++round) {
    ThingPool pool = pool_of({.max = 2});
    EXPECT_EQ(pool.acquire()->number, round + 1);
  }
}

// Overflow

TEST_F(PoolAcquire, MakesMoreThanTheMostWhereThatIsAllowed) {
  ThingPool pool = pool_of({.max = 1, .max_overflow = 2});
  const ThingPool::Lease usual = pool.acquire();
  {
    const ThingPool::Lease second = pool.acquire();
    const ThingPool::Lease third = pool.acquire();
    EXPECT_EQ(workshop_.alive, 3);
    EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
    EXPECT_EQ(pool.statistics().limit, 1U);
    EXPECT_EQ(pool.statistics().total, 3U);
  }
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::overflow), 2U);
  EXPECT_EQ(pool.statistics().idle, 0U);
}

TEST_F(PoolAcquire, PrefersTheUsualPlacesToOverflow) {
  ThingPool pool = pool_of({.max = 1, .max_overflow = 1});
  ThingPool::Lease usual = pool.acquire();
  ThingPool::Lease more = pool.acquire();
  usual.retire();
  usual.give_back();
  const ThingPool::Lease next = pool.acquire();
  more.give_back();
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::overflow), 1U);
  EXPECT_EQ(next->number, 3);
  EXPECT_EQ(workshop_.alive, 1);
}

TEST_F(PoolAcquire, GivesAWaiterANewOneInThePlaceOfOverflowThatCameBack) {
  ThingPool pool = pool_of({.max = 1, .max_overflow = 1});
  const ThingPool::Lease usual = pool.acquire();
  ThingPool::Lease more = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 3); });
  testing::await_asleep(clock_, 1);
  more.give_back();
  waiter.join();
  EXPECT_EQ(workshop_.most_alive, 2);
}

// Making

TEST_F(PoolAcquire, MakesOneAtATime) {
  // maker                          other
  // acquire, starts to make
  // ---- making -----------------> acquire, waits though there is room
  // made <------ waiting ---------
  //                                makes its own
  Gate making;
  std::atomic<int> makers = 0;
  std::atomic<int> most_makers = 0;
  ThingPool pool(
      [&] {
        most_makers = std::max<int>(most_makers, ++makers);
        making.pass();
        --makers;
        return workshop_.make()();
      },
      {.max = 3}, {}, &clock_);
  std::jthread maker([&] {
    const ThingPool::Lease lease = pool.acquire(kPatiently);
    EXPECT_EQ(lease->number, 1);
    while (workshop_.made < 2) std::this_thread::yield();
  });
  making.await_arrival();
  std::jthread other([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  testing::await_asleep(clock_, 1);
  EXPECT_EQ(makers, 1);
  making.open();
  maker.join();
  other.join();
  EXPECT_EQ(most_makers, 1);
}

TEST_F(PoolAcquire, GivesWhatComesBackToOneThatWaitsForTheMaking) {
  Gate making;
  ThingPool pool(
      [&] {
        if (workshop_.made == 1) making.pass();
        return workshop_.make()();
      },
      {.max = 2}, {}, &clock_);
  ThingPool::Lease first = pool.acquire();
  std::jthread maker([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  making.await_arrival();
  std::jthread other([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  testing::await_asleep(clock_, 1);
  first.give_back();
  other.join();
  making.open();
}

TEST_F(PoolAcquire, LetsTheNextOneTryWhenMakingFails) {
  // maker                          waiter
  // acquire, starts to make
  // ---- making -----------------> acquire, waits
  // making fails <---- waiting ---
  //                                makes its own
  Gate making;
  std::atomic<int> calls = 0;
  ThingPool pool(
      [&] {
        if (++calls > 1) return workshop_.make()();
        making.pass();
        throw std::runtime_error("no more things");
      },
      {.max = 1}, {}, &clock_);
  std::jthread maker([&] { EXPECT_THROW(static_cast<void>(pool.acquire(kPatiently)), std::runtime_error); });
  making.await_arrival();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  testing::await_asleep(clock_, 1);
  making.open();
  maker.join();
  waiter.join();
  EXPECT_EQ(calls, 2);
}

TEST_F(PoolAcquire, StaysUsableWhenMakingFails) {
  ThingPool pool = pool_of({.max = 1});
  workshop_.failures_to_come = 1;
  EXPECT_STREQ(error_of<std::runtime_error>([&] { static_cast<void>(pool.acquire()); }).what(), "no more things");
  const PoolStatistics failed = pool.statistics();
  EXPECT_EQ(failed.total, 0U);
  EXPECT_EQ(failed.acquires, 0U);
  EXPECT_EQ(failed.created, 0U);
  EXPECT_EQ(failed.failed_creations, 1U);
  pool.acquire().give_back();
  EXPECT_EQ(pool.statistics().idle, 1U);
  EXPECT_EQ(pool.statistics().acquires, 1U);
}

TEST_F(PoolAcquire, RefusesAFactoryThatReturnsNull) {
  ThingPool pool([] { return std::unique_ptr<PooledThing>(); }, {}, {}, &clock_);
  EXPECT_THROW(static_cast<void>(pool.acquire()), UsageError);
  EXPECT_EQ(pool.statistics().failed_creations, 1U);
}

// The circuit breaker

TEST_F(PoolAcquire, SaysAtOnceThatMakingHasFailedTooOften) {
  ThingPool pool = pool_of(
      {.name = "a thing", .max = 1, .upkeep = {.breaker = Breaker{.failures = 2, .open_for = milliseconds(100)}}});
  workshop_.failures_to_come = 3;
  for (int i = 0; i < 2; ++i) EXPECT_THROW(static_cast<void>(pool.acquire()), std::runtime_error);
  EXPECT_FALSE(pool.is_healthy());
  const auto refused = error_of<OpenError>([&] { static_cast<void>(pool.acquire()); });
  EXPECT_TRUE(mentions(refused, "making a thing has failed too often")) << refused.what();
  EXPECT_TRUE(mentions(refused, "the last time: no more things")) << refused.what();
  EXPECT_TRUE(refused.is_retryable());
  EXPECT_EQ(workshop_.failures_to_come, 1);
  EXPECT_EQ(pool.statistics().refused_creations, 1U);
  EXPECT_EQ(pool.statistics().failed_creations, 2U);
  EXPECT_EQ(pool.statistics().acquires, 0U);

  clock_.advance(milliseconds(100));
  EXPECT_TRUE(pool.is_healthy());
  EXPECT_THROW(static_cast<void>(pool.acquire()), std::runtime_error);  // the one try
  EXPECT_THROW(static_cast<void>(pool.acquire()), OpenError);
  EXPECT_FALSE(pool.is_healthy());
  clock_.advance(milliseconds(100));
  EXPECT_EQ(pool.acquire()->number, 1);
  EXPECT_TRUE(pool.is_healthy());
}

TEST_F(PoolAcquire, LendsWhatThereIsWhileNothingCanBeMade) {
  ThingPool pool = pool_of({.max = 2, .upkeep = {.breaker = Breaker{.failures = 1}}});
  ThingPool::Lease lease = pool.acquire();
  workshop_.failures_to_come = 1;
  EXPECT_THROW(static_cast<void>(pool.acquire()), std::runtime_error);
  EXPECT_THROW(static_cast<void>(pool.acquire()), OpenError);
  lease.give_back();
  EXPECT_EQ(pool.acquire()->number, 1);
}

TEST_F(PoolAcquire, TriesAgainAndAgainWithoutABreaker) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.breaker = std::nullopt}});
  workshop_.failures_to_come = 50;
  for (int i = 0; i < 50; ++i) EXPECT_THROW(static_cast<void>(pool.acquire()), std::runtime_error);
  EXPECT_EQ(workshop_.failures_to_come, 0);
  EXPECT_TRUE(pool.is_healthy());
  EXPECT_EQ(pool.acquire()->number, 1);
}

// Without waiting, or from elsewhere

TEST_F(PoolAcquire, TriesWithoutWaiting) {
  ThingPool pool = pool_of({.max = 1});
  std::optional<ThingPool::Lease> lease = pool.try_acquire(kHere);
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->number, 1);
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_EQ(pool.statistics().timeouts, 0U);
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce)); });
  EXPECT_TRUE(mentions(error, kHere.to_string())) << error.what();
  lease.reset();
  EXPECT_EQ((*pool.try_acquire())->number, 1);
}

TEST_F(PoolAcquire, TellsOneThatTriesWhyNothingCanBeMade) {
  ThingPool pool = pool_of({.max = 1});
  workshop_.failures_to_come = 1;
  EXPECT_THROW(static_cast<void>(pool.try_acquire()), std::runtime_error);
  pool.close();
  EXPECT_THROW(static_cast<void>(pool.try_acquire()), ClosedError);
}

TEST_F(PoolAcquire, GoesElsewhereWhenNoneComesFreeInTime) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool other = pool_of({.max = 1});
  const ThingPool::Lease held = pool.acquire();
  const ThingPool::Lease lease = pool.acquire_or([&] { return other.acquire(); }, kAtOnce);
  EXPECT_EQ(lease->number, 2);
  EXPECT_EQ(other.statistics().in_use, 1U);
  EXPECT_EQ(pool.statistics().fallbacks, 1U);
}

TEST_F(PoolAcquire, GoesElsewhereWhenNoneCanBeMade) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.breaker = Breaker{.failures = 1}}});
  ThingPool other([&] { return std::make_unique<PooledThing>(workshop_, 100); }, {}, {}, &clock_);
  workshop_.failures_to_come = 1;
  EXPECT_EQ(pool.acquire_or([&] { return other.acquire(); })->number, 100);  // what the factory throws
  EXPECT_EQ(pool.acquire_or([&] { return other.acquire(); })->number, 100);  // OpenError
  EXPECT_EQ(pool.statistics().fallbacks, 2U);
}

TEST_F(PoolAcquire, DoesNotGoElsewhereWithoutNeed) {
  ThingPool pool = pool_of({.max = 1});
  const auto never = [&]() -> ThingPool::Lease { throw std::logic_error("it went elsewhere"); };
  EXPECT_EQ(pool.acquire_or(never)->number, 1);

  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_THROW(static_cast<void>(pool.acquire_or(never, {.stop = stopped.get_token()})), InterruptedError);
  {
    const ThingPool::Lease held = pool.acquire();
    EXPECT_THROW(static_cast<void>(pool.acquire_or(never, kPatiently)), UsageError);
  }
  pool.close();
  EXPECT_THROW(static_cast<void>(pool.acquire_or(never)), ClosedError);
  EXPECT_EQ(pool.statistics().fallbacks, 0U);
}

TEST_F(PoolAcquire, DoesNotGoElsewhereForWhatIsNoRuntimeError) {
  ThingPool pool([]() -> std::unique_ptr<PooledThing> { throw std::bad_alloc(); }, {}, {}, &clock_);
  ThingPool other = pool_of({});
  EXPECT_THROW(static_cast<void>(pool.acquire_or([&] { return other.acquire(); })), std::bad_alloc);
}

// For one call

TEST_F(PoolAcquire, LendsForOneCall) {
  ThingPool pool = pool_of({.max = 1});
  EXPECT_EQ(pool.with([&](PooledThing& thing) {
    EXPECT_EQ(pool.statistics().in_use, 1U);
    return thing.number + 10;
  }),
            11);
  EXPECT_EQ(pool.statistics().in_use, 0U);
  EXPECT_THROW(pool.with([](PooledThing&) { throw std::runtime_error("mine"); }), std::runtime_error);
  EXPECT_EQ(pool.statistics().in_use, 0U);

  const ThingPool::Lease held = pool.acquire();
  EXPECT_THROW(pool.with(kAtOnce, [](PooledThing&) {}), TimeoutError);
}

TEST_F(PoolAcquire, LendsForEachCallOfWhatItAdapted) {
  ThingPool pool = pool_of({.max = 1});
  auto add = pool.adapt(
      [&](PooledThing& thing, int a, std::unique_ptr<int> b) {
        EXPECT_EQ(pool.statistics().in_use, 1U);
        const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce)); });
        EXPECT_TRUE(mentions(error, kThere.to_string())) << error.what();
        return thing.number + a + *b;
      },
      kThere);
  EXPECT_EQ(pool.statistics().acquires, 0U);
  EXPECT_EQ(add(10, std::make_unique<int>(100)), 111);
  EXPECT_EQ(add(20, std::make_unique<int>(200)), 221);
  EXPECT_EQ(pool.statistics().acquires, 2U);
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolAcquire, ReturnsWhatTheAdaptedCallReturns) {
  ThingPool pool = pool_of({.max = 1});
  int answer = 42;
  auto reference = pool.adapt([&](PooledThing&) -> int& { return answer; });
  static_assert(std::is_same_v<decltype(reference()), int&>);
  EXPECT_EQ(&reference(), &answer);
}

}  // namespace
}  // namespace sqlane
