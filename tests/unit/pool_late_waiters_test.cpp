#include <atomic>
#include <chrono>
#include <latch>
#include <stop_token>
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
using testing::ThingPool;

constexpr milliseconds kPatience{10};

// Whoever waits with this clock is woken when notified, but comes back from the
// wait only after open(): what happens meanwhile comes before it.
class LateClock final : public detail::Clock {
 public:
  time_point now() override { return time_point(duration(now_.load())); }
  void advance(duration step) { now_ += step.count(); }
  void open() { gate_.count_down(); }
  // Threads that wait, or hold the lock under which they are about to.
  [[nodiscard]] int sleeping() const { return sleeping_; }
  // How often anybody went to sleep.
  [[nodiscard]] int naps() const { return naps_; }

  void wait_until(detail::Condition& condition, detail::MutexLock& lock, time_point deadline) override {
    if (now() >= deadline) return;
    ++sleeping_;
    ++naps_;
    condition.wait(lock.native());
    lock.native().unlock();
    gate_.wait();
    lock.native().lock();
    --sleeping_;
  }

 private:
  std::atomic<duration::rep> now_ = 0;
  std::atomic<int> sleeping_ = 0;
  std::atomic<int> naps_ = 0;
  std::latch gate_{1};
};

// Its waiters run late.
class PoolLateWaiters : public ::testing::Test {
 protected:
  static PoolOptions options_of(std::size_t max) { return {.max = max, .patience = kPatience}; }

  testing::Workshop workshop_;
  LateClock clock_;
  std::stop_source stop_;
};

TEST_F(PoolLateWaiters, AreHandedWhatComesBackAfterThePatience) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience);
  held.give_back();

  // The waiter has not run yet, but nobody can come before it any more.
  EXPECT_EQ(pool.statistics().in_use, 1U);
  EXPECT_EQ(pool.statistics().waiting, 0U);
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
  clock_.open();
}

TEST_F(PoolLateWaiters, AreOvertakenWhileNobodyHasWaitedForLong) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience - milliseconds(1));
  held.give_back();

  ThingPool::Lease barged = pool.acquire(kAtOnce);
  EXPECT_EQ(pool.statistics().waiting, 1U);
  clock_.open();
  barged.give_back();
  waiter.join();
  EXPECT_EQ(workshop_.made, 1);
}

// main                        waiter
// returns: it is idle ------> notified, has not run
// another takes it
//                             runs, finds nothing, sleeps again
// the other returns --------> has it
TEST_F(PoolLateWaiters, AreNotifiedAgainAfterTheyWereOvertaken) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  held.give_back();
  ThingPool::Lease barged = pool.acquire(kAtOnce);
  clock_.open();
  while (clock_.naps() < 2) std::this_thread::yield();
  barged.give_back();
}

TEST_F(PoolLateWaiters, AreNotOvertakenWhereOneHasToBeMade) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_EQ(pool.acquire(kPatiently)->number, 2); });
  await_asleep(clock_, 1);
  held.retire();
  held.give_back();  // the place is empty, the waiter notified
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_THROW(static_cast<void>(pool.acquire(kAtOnce)), TimeoutError);
  EXPECT_EQ(workshop_.made, 1);
  clock_.open();
}

TEST_F(PoolLateWaiters, AreNeverOvertakenWithoutPatience) {
  ThingPool pool(workshop_.make(), {.max = 1, .patience = milliseconds(0)}, {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  held.give_back();
  EXPECT_FALSE(pool.try_acquire());
  clock_.open();
}

TEST_F(PoolLateWaiters, AreOvertakenForeverWithEndlessPatience) {
  ThingPool pool(workshop_.make(), {.max = 1, .patience = milliseconds::max()}, {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 1);
  clock_.advance(milliseconds(100));
  held.give_back();
  EXPECT_TRUE(pool.try_acquire());
  clock_.open();
}

TEST_F(PoolLateWaiters, AreServedInTheOrderOfAsking) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::vector<int> order;  // by whoever holds the one thing
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&, i] {
      const ThingPool::Lease lease = pool.acquire(kPatiently);
      order.push_back(i);
    });
    await_asleep(clock_, i + 1);
  }
  clock_.advance(kPatience);
  held.give_back();
  clock_.open();
  waiters.clear();  // joins
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

TEST_F(PoolLateWaiters, AreBothWokenWhenTwoReturnBeforeTheFirstHasRun) {
  ThingPool pool(workshop_.make(), options_of(2), {}, &clock_);
  ThingPool::Lease first = pool.acquire();
  ThingPool::Lease second = pool.acquire();
  std::latch both_hold(2);
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&] {
      const ThingPool::Lease lease = pool.acquire(kPatiently);
      both_hold.arrive_and_wait();
    });
  }
  await_asleep(clock_, 2);
  first.give_back();
  second.give_back();
  clock_.open();
}

TEST_F(PoolLateWaiters, WakeTheSecondWhenTheFirstWasWokenForOneAndHandedAnother) {
  // main                              the longest waiting
  // returns A: it is idle ----------> notified, has not run
  // patience passes
  // returns B: handed to the same
  //                                   takes B; A is still idle for the second
  ThingPool pool(workshop_.make(), options_of(2), {}, &clock_);
  ThingPool::Lease a = pool.acquire();
  ThingPool::Lease b = pool.acquire();
  std::latch both_hold(2);
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&] {
      const ThingPool::Lease lease = pool.acquire(kPatiently);
      both_hold.arrive_and_wait();
    });
  }
  await_asleep(clock_, 2);
  a.give_back();
  EXPECT_EQ(pool.statistics().idle, 1U);
  clock_.advance(kPatience);
  b.give_back();
  clock_.open();
}

// main                        the longest waiting     the second
// returns: it is idle ------> notified, has not run
// another takes it
// stops the longest waiting
// the other returns                                   has it
TEST_F(PoolLateWaiters, WakeTheNextWhenTheOneThatWasNotifiedIsStopped) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread first([&] {
    EXPECT_THROW(static_cast<void>(pool.acquire({.timeout = hours(1), .stop = stop_.get_token()})), InterruptedError);
  });
  await_asleep(clock_, 1);
  std::jthread second([&] { pool.acquire(kPatiently).give_back(); });
  await_asleep(clock_, 2);
  held.give_back();
  ThingPool::Lease barged = pool.acquire(kAtOnce);
  stop_.request_stop();
  clock_.open();
  first.join();
  barged.give_back();
  second.join();
  EXPECT_EQ(workshop_.made, 1);
}

TEST_F(PoolLateWaiters, HaveWhatTheyWereHandedEvenWhenAStopComesBeforeTheyRun) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter(
      [&] { EXPECT_NO_THROW(pool.acquire({.timeout = hours(1), .stop = stop_.get_token()}).give_back()); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience);
  held.give_back();
  stop_.request_stop();
  clock_.open();
  waiter.join();
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolLateWaiters, HaveWhatTheyWereHandedEvenWhenTheDeadlineComesBeforeTheyRun) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_NO_THROW(pool.acquire(kPatiently).give_back()); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience);
  held.give_back();
  clock_.advance(hours(2));
  clock_.open();
  waiter.join();
  EXPECT_EQ(pool.statistics().in_use, 0U);
}

TEST_F(PoolLateWaiters, HaveWhatTheyWereHandedEvenWhenThePoolIsClosedBeforeTheyRun) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_NO_THROW(pool.acquire(kPatiently).give_back()); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience);
  held.give_back();
  EXPECT_THROW(pool.close(milliseconds(0)), TimeoutError);
  clock_.open();
  waiter.join();
  EXPECT_NO_THROW(pool.close(milliseconds(0)));
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolLateWaiters, AreNamedAsTheHoldersOfWhatTheyWereHanded) {
  ThingPool pool(workshop_.make(), options_of(1), {}, &clock_);
  ThingPool::Lease held = pool.acquire(kHere);
  std::jthread waiter([&] { pool.acquire(kPatiently, kThere).give_back(); });
  await_asleep(clock_, 1);
  clock_.advance(kPatience);
  held.give_back();
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce, kElsewhere)); });
  EXPECT_TRUE(mentions(error, "held by index.cpp:7 (rebuild) for 0 ms")) << error.what();
  clock_.open();
}

}  // namespace
}  // namespace sqlane
