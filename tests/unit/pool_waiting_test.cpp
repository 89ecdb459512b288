#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::await_asleep;
using testing::error_of;
using testing::kAtOnce;
using testing::kElsewhere;
using testing::kHere;
using testing::kPatiently;
using testing::kThere;
using testing::mentions;
using testing::PooledThing;
using testing::ThingPool;

constexpr milliseconds kPatience{10};

class PoolWaiting : public testing::PoolFixture {};

// Deadlines

TEST_F(PoolWaiting, NamesTheHoldersAndForHowLongWhenTheDeadlinePasses) {
  ThingPool pool = pool_of({.name = "a thing", .max = 2});
  ThingPool::Lease first = pool.acquire(kHere);
  clock_.advance(milliseconds(25));
  ThingPool::Lease second = pool.acquire(kThere);
  clock_.advance(milliseconds(5));
  const auto both = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce, kElsewhere)); });
  EXPECT_TRUE(mentions(both, "waiting for a thing at report.cpp:3 (print) took too long")) << both.what();
  EXPECT_TRUE(mentions(both, "notes.cpp:12 (save_note) for 30 ms, index.cpp:7 (rebuild) for 5 ms")) << both.what();
  EXPECT_TRUE(both.is_retryable());

  first.give_back();
  clock_.advance(milliseconds(1));
  const ThingPool::Lease third = pool.acquire(kElsewhere);
  const auto others = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce, kThere)); });
  EXPECT_TRUE(mentions(others, "report.cpp:3 (print) for 0 ms")) << others.what();
  EXPECT_TRUE(mentions(others, "index.cpp:7 (rebuild) for 6 ms")) << others.what();
  EXPECT_FALSE(mentions(others, "save_note")) << others.what();
  EXPECT_EQ(pool.statistics().timeouts, 2U);
}

TEST_F(PoolWaiting, SaysWhatTheHoldersDo) {
  ThingPool pool = pool_of({.max = 1}, {.activity = [](PooledThing&) { return "SELECT 1"; }});
  const ThingPool::Lease held = pool.acquire(kHere);
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce)); });
  EXPECT_TRUE(mentions(error, "for 0 ms, running \"SELECT 1\"")) << error.what();
}

TEST_F(PoolWaiting, EndsAtTheDeadlineOfTheCall) {
  ThingPool pool = pool_of({.max = 1, .acquire_timeout = hours(9)});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter(
      [&] { EXPECT_THROW(static_cast<void>(pool.acquire({.timeout = milliseconds(100)})), TimeoutError); });
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(99));
  EXPECT_EQ(pool.statistics().waiting, 1U);
  EXPECT_EQ(pool.statistics().timeouts, 0U);
  clock_.advance(milliseconds(1));
  waiter.join();
  EXPECT_EQ(pool.statistics().waiting, 0U);
  held.give_back();
  EXPECT_EQ(pool.statistics().idle, 1U);
}

TEST_F(PoolWaiting, EndsAtTheDeadlineOfThePoolUnlessTheCallSaysOtherwise) {
  ThingPool pool = pool_of({.max = 1, .acquire_timeout = milliseconds(100)});
  const ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_THROW(static_cast<void>(pool.acquire()), TimeoutError); });
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(99));
  EXPECT_EQ(pool.statistics().timeouts, 0U);
  clock_.advance(milliseconds(1));
  waiter.join();
}

// Waiting that could never end

TEST_F(PoolWaiting, RefusesToWaitForItsOwnThread) {
  ThingPool pool = pool_of({.name = "a thing", .max = 1});
  const ThingPool::Lease held = pool.acquire(kHere);
  const auto error = error_of<UsageError>([&] { static_cast<void>(pool.acquire(kPatiently, kThere)); });
  EXPECT_TRUE(mentions(error, kHere.to_string())) << error.what();
  EXPECT_TRUE(mentions(error, kThere.to_string())) << error.what();
  EXPECT_EQ(pool.statistics().waiting, 0U);
}

TEST_F(PoolWaiting, RefusesToCloseARingAcrossTwoPools) {
  // main                     other
  // has the left             has the right
  //                          waits for the left
  // waits for the right: refused
  ThingPool left = pool_of({.max = 1});
  ThingPool right = pool_of({.max = 1});
  ThingPool::Lease lefts = left.acquire();
  std::jthread other([&] {
    const ThingPool::Lease rights = right.acquire();
    const ThingPool::Lease both = left.acquire(kPatiently);
  });
  await_asleep(clock_, 1);
  EXPECT_THROW(static_cast<void>(right.acquire(kPatiently)), UsageError);
  lefts.give_back();
}

TEST_F(PoolWaiting, WaitsThoughItsThreadHoldsOneAsLongAsAnotherHoldsTheRest) {
  ThingPool pool = pool_of({.max = 2});
  ThingPool::Lease others = pool.acquire();
  others.unbind();
  std::jthread waiter([&] {
    const ThingPool::Lease own = pool.acquire();
    EXPECT_EQ(pool.acquire(kPatiently)->number, 1);
  });
  await_asleep(clock_, 1);
  others.give_back();
}

// Stop tokens

TEST_F(PoolWaiting, LendsNothingToOneWhoWasStoppedBefore) {
  ThingPool pool = pool_of({.name = "a thing", .max = 1});
  std::stop_source stop;
  stop.request_stop();
  const auto error =
      error_of<InterruptedError>([&] { static_cast<void>(pool.acquire({.stop = stop.get_token()}, kThere)); });
  EXPECT_TRUE(mentions(error, "stopped while waiting for a thing at index.cpp:7 (rebuild)")) << error.what();
  EXPECT_EQ(workshop_.made, 0);
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolWaiting, LeavesTheQueueWhenAStopIsRequested) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease held = pool.acquire();
  std::stop_source stop;
  std::jthread stopped([&] {
    EXPECT_THROW(static_cast<void>(pool.acquire({.timeout = hours(1), .stop = stop.get_token()})), InterruptedError);
  });
  await_asleep(clock_, 1);
  std::jthread patient([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 2);
  stop.request_stop();
  stopped.join();
  EXPECT_EQ(pool.statistics().waiting, 1U);
  EXPECT_EQ(pool.statistics().timeouts, 0U);
  held.give_back();
  patient.join();
  EXPECT_EQ(pool.statistics().idle, 1U);
}

TEST_F(PoolWaiting, IsNotTouchedByAStopThatComesLater) {
  ThingPool pool = pool_of({.max = 1});
  std::stop_source stop;
  ThingPool::Lease lease = pool.acquire({.stop = stop.get_token()});
  stop.request_stop();
  EXPECT_EQ(lease->number, 1);
  lease.give_back();
  EXPECT_EQ(pool.statistics().idle, 1U);
}

// Who is next

TEST_F(PoolWaiting, GivesWhatComesBackToOneThatWaits) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 1); });
  await_asleep(clock_, 1);
  held.give_back();
}

TEST_F(PoolWaiting, GivesAPlaceToOneThatWaitsWhenWhatComesBackIsBroken) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  await_asleep(clock_, 1);
  held.retire();
  held.give_back();
}

TEST_F(PoolWaiting, GivesToThemAgainAndAgain) {
  ThingPool pool = pool_of({.max = 1, .patience = kPatience});
  for (int round = 0; round < 20; ++round) {
    ThingPool::Lease held = pool.acquire(kPatiently);
    std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
    await_asleep(clock_, 1);
    if (round % 2 == 0) clock_.advance(kPatience);
    held.give_back();
  }
  EXPECT_EQ(workshop_.made, 1);
}

// Under load

TEST(Pool, LosesNobodyWhenStopsComeAtAnyMoment) {
  constexpr int kRounds = 300;
  testing::Workshop workshop;
  std::atomic<int> lent = 0;
  std::atomic<int> stopped = 0;
  ThingPool pool(workshop.make(), {.max = 1, .patience = milliseconds(0)});
  for (int round = 0; round < kRounds; ++round) {
    std::stop_source stop;
    std::latch begin(4);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        begin.arrive_and_wait();
        try {
          pool.acquire({.timeout = hours(1), .stop = i == 0 ? std::stop_token() : stop.get_token()}).give_back();
          ++lent;
        } catch (const InterruptedError&) {
          ++stopped;
        }
      });
    }
    begin.arrive_and_wait();
    stop.request_stop();
  }
  EXPECT_EQ(lent + stopped, 3 * kRounds);
  EXPECT_GE(lent, kRounds);
  EXPECT_EQ(pool.statistics().in_use, 0U);
  EXPECT_EQ(pool.statistics().waiting, 0U);
  EXPECT_EQ(pool.statistics().acquires, static_cast<std::uint64_t>(lent));
}

TEST(Pool, LendsEachThingToOneHolderAtATimeUnderLoad) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  testing::Workshop workshop;
  std::atomic<int> seen_twice = 0;
  {
    ThingPool pool(workshop.make(), {.max = 3, .acquire_timeout = hours(1), .patience = milliseconds(0)});
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          ThingPool::Lease lease = pool.acquire();
          if (lease->is_lent.exchange(true)) ++seen_twice;
          if (i % 16 == 0) std::this_thread::yield();
          if ((i + t) % 97 == 0) lease.retire();
          lease->is_lent = false;
        }
      });
    }
    threads.clear();
    EXPECT_LE(workshop.most_alive, 3);
    EXPECT_EQ(pool.statistics().in_use, 0U);
    EXPECT_EQ(pool.statistics().acquires, std::uint64_t{kThreads} * kRounds);
  }
  EXPECT_EQ(seen_twice, 0);
  EXPECT_EQ(workshop.alive, 0);
}

}  // namespace
}  // namespace sqlane
