#include "pool/pool.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

struct Thing {
  Thing(int n, std::atomic<int>& count) : number(n), alive(count) { ++alive; }
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;
  ~Thing() { --alive; }

  const int number;  // counts from 1 in the order of making
  std::atomic<int>& alive;
  bool is_good = true;
  std::atomic<bool> is_lent = false;
};

using ThingPool = Pool<Thing>;

// Things that are alive and that were ever made.
struct Workshop {
  std::atomic<int> alive = 0;
  std::atomic<int> made = 0;

  [[nodiscard]] ThingPool::Factory factory() {
    return [this] { return std::make_unique<Thing>(++made, alive); };
  }
};

bool is_good(Thing& thing) { return thing.is_good; }

// Whoever waits with this clock is woken when notified, but comes back from the
// wait only after open(): what happens meanwhile comes before it.
class LateClock final : public Clock {
 public:
  time_point now() override { return time_point(duration(now_.load())); }
  void advance(duration step) { now_ += step.count(); }
  void open() { gate_.count_down(); }

  void wait_until(Condition& condition, MutexLock& lock, time_point deadline) override {
    if (now() >= deadline) return;
    condition.wait(lock.native());
    lock.native().unlock();
    gate_.wait();
    lock.native().lock();
  }

 private:
  std::atomic<duration::rep> now_ = 0;
  std::latch gate_{1};
};

constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
constexpr CallSite kThere{"index.cpp", 7, "rebuild"};
constexpr CallSite kElsewhere{"report.cpp", 3, "print"};
constexpr Clock::duration kPatience = milliseconds(10);

void await_waiting(ThingPool& pool, std::size_t count) {
  while (pool.counts().waiting != count) std::this_thread::yield();
}

using testing::error_of;
using testing::mentions;

class PoolTest : public ::testing::Test {
 protected:
  [[nodiscard]] ThingPool::Slot& acquire(ThingPool& pool) { return pool.acquire(clock_.now() + hours(1), kHere); }
  [[nodiscard]] Clock::time_point soon() { return clock_.now() + hours(1); }

  testing::ManualClock clock_;
  Workshop workshop_;
};

TEST_F(PoolTest, MakesNothingBeforeItIsAsked) {
  const ThingPool pool(3, workshop_.factory(), is_good, clock_);
  EXPECT_EQ(workshop_.made, 0);
}

TEST_F(PoolTest, GrowsOnlyWhenNothingIsIdle) {
  ThingPool pool(3, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& first = acquire(pool);
  pool.release(first);
  ThingPool::Slot& again = acquire(pool);
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_EQ(again.resource().number, 1);

  ThingPool::Slot& second = acquire(pool);
  EXPECT_EQ(second.resource().number, 2);
  const ThingPool::Counts counts = pool.counts();
  EXPECT_EQ(counts.in_use, 2U);
  EXPECT_EQ(counts.idle, 0U);
  pool.release(again);
  pool.release(second);
}

TEST_F(PoolTest, NeverLendsMoreThanItsCapacity) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& first = acquire(pool);
  ThingPool::Slot& second = acquire(pool);
  EXPECT_THROW(static_cast<void>(pool.acquire(clock_.now(), kHere)), TimeoutError);
  EXPECT_EQ(workshop_.made, 2);
  pool.release(first);
  pool.release(second);
}

TEST_F(PoolTest, LendsWhatCameBackLastFirst) {
  ThingPool pool(3, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& one = acquire(pool);
  ThingPool::Slot& two = acquire(pool);
  ThingPool::Slot& three = acquire(pool);
  pool.release(two);
  pool.release(one);
  pool.release(three);
  for (const int expected : {3, 1, 2}) EXPECT_EQ(acquire(pool).resource().number, expected);
  for (ThingPool::Slot* slot : {&one, &two, &three}) pool.release(*slot);
}

TEST_F(PoolTest, DestroysWhatIsNotTidyAndMakesAnother) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& slot = acquire(pool);
  slot.resource().is_good = false;
  pool.release(slot);
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.counts().idle, 0U);

  ThingPool::Slot& next = acquire(pool);
  EXPECT_EQ(next.resource().number, 2);
  EXPECT_EQ(workshop_.alive, 1);
  pool.release(next);
  EXPECT_EQ(pool.counts().idle, 1U);
}

TEST_F(PoolTest, StaysUsableWhenMakingFails) {
  bool fails = true;
  ThingPool pool(
      1,
      [&]() -> std::unique_ptr<Thing> {
        if (fails) throw std::runtime_error("no more things");
        return workshop_.factory()();
      },
      is_good, clock_);
  EXPECT_STREQ(error_of<std::runtime_error>([&] { static_cast<void>(acquire(pool)); }).what(), "no more things");
  EXPECT_EQ(pool.counts().in_use, 0U);
  fails = false;
  pool.release(acquire(pool));
  EXPECT_EQ(pool.counts().idle, 1U);
}

TEST_F(PoolTest, LetsTheNextOneTryWhenMakingFails) {
  // maker                          waiter
  // acquire, starts to make
  // ---- making -----------------> acquire, waits
  // making fails <---- waiting ---
  //                                makes its own
  std::latch is_waited_for(1);
  std::atomic<int> calls = 0;
  ThingPool pool(
      1,
      [&]() -> std::unique_ptr<Thing> {
        if (++calls > 1) return workshop_.factory()();
        is_waited_for.wait();
        throw std::runtime_error("no more things");
      },
      is_good, clock_);
  std::jthread maker([&] { EXPECT_THROW(static_cast<void>(acquire(pool)), std::runtime_error); });
  while (calls == 0) std::this_thread::yield();
  std::jthread waiter([&] {
    ThingPool::Slot& slot = acquire(pool);
    EXPECT_EQ(slot.resource().number, 1);
    pool.release(slot);
  });
  await_waiting(pool, 1);
  is_waited_for.count_down();
  maker.join();
  waiter.join();
  EXPECT_EQ(calls, 2);
}

TEST_F(PoolTest, NamesTheHoldersAndForHowLongWhenTheDeadlinePasses) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& first = pool.acquire(soon(), kHere);
  clock_.advance(milliseconds(25));
  ThingPool::Slot& second = pool.acquire(soon(), kThere);
  clock_.advance(milliseconds(5));
  const auto both = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(clock_.now(), kElsewhere)); });
  EXPECT_TRUE(mentions(both, "for report.cpp:3 (print)")) << both.what();
  EXPECT_TRUE(mentions(both, "notes.cpp:12 (save_note) for 30 ms")) << both.what();
  EXPECT_TRUE(mentions(both, "index.cpp:7 (rebuild) for 5 ms")) << both.what();
  EXPECT_TRUE(both.is_retryable());

  pool.release(first);
  clock_.advance(milliseconds(1));
  ThingPool::Slot& third = pool.acquire(soon(), kElsewhere);
  const auto others = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(clock_.now(), kThere)); });
  EXPECT_TRUE(mentions(others, "report.cpp:3 (print) for 0 ms")) << others.what();
  EXPECT_TRUE(mentions(others, "index.cpp:7 (rebuild) for 6 ms")) << others.what();
  EXPECT_FALSE(mentions(others, "save_note")) << others.what();
  pool.release(second);
  pool.release(third);
}

TEST_F(PoolTest, LeavesTheQueueAtTheDeadline) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  std::jthread waiter(
      [&] { EXPECT_THROW(static_cast<void>(pool.acquire(clock_.now() + milliseconds(100), kThere)), TimeoutError); });
  await_waiting(pool, 1);
  clock_.advance(milliseconds(99));
  EXPECT_EQ(pool.counts().waiting, 1U);
  clock_.advance(milliseconds(1));
  waiter.join();
  EXPECT_EQ(pool.counts().waiting, 0U);
  pool.release(held);
  EXPECT_EQ(pool.counts().idle, 1U);
}

// Stop tokens

TEST_F(PoolTest, LendsNothingToOneWhoWasStoppedBefore) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  std::stop_source stop;
  stop.request_stop();
  const auto error =
      error_of<InterruptedError>([&] { static_cast<void>(pool.acquire(soon(), kThere, stop.get_token())); });
  EXPECT_TRUE(mentions(error, "index.cpp:7 (rebuild)")) << error.what();
  EXPECT_EQ(workshop_.made, 0);
  EXPECT_EQ(pool.counts().in_use, 0U);
}

TEST_F(PoolTest, LeavesTheQueueWhenAStopIsRequested) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  std::stop_source stop;
  std::jthread stopped(
      [&] { EXPECT_THROW(static_cast<void>(pool.acquire(soon(), kThere, stop.get_token())), InterruptedError); });
  await_waiting(pool, 1);
  std::jthread patient([&] { pool.release(pool.acquire(soon(), kElsewhere)); });
  await_waiting(pool, 2);
  stop.request_stop();
  stopped.join();
  EXPECT_EQ(pool.counts().waiting, 1U);
  pool.release(held);
  patient.join();
  EXPECT_EQ(pool.counts().idle, 1U);
}

TEST_F(PoolTest, IsNotTouchedByAStopThatComesLater) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  std::stop_source stop;
  ThingPool::Slot& slot = pool.acquire(soon(), kHere, stop.get_token());
  stop.request_stop();
  EXPECT_EQ(pool.counts().in_use, 1U);
  pool.release(slot);
  EXPECT_EQ(pool.counts().idle, 1U);
}

TEST(Pool, GivesWhatItHandedOverEvenWhenAStopComesBeforeTheWaiterRuns) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::stop_source stop;
  std::jthread waiter(
      [&] { EXPECT_NO_THROW(pool.release(pool.acquire(clock.now() + hours(1), kThere, stop.get_token()))); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);
  stop.request_stop();
  clock.open();
  waiter.join();
  EXPECT_EQ(pool.counts().in_use, 0U);
}

// main                        the longest waiting     the second
// releases: it is idle -----> notified, has not run
// another takes it
// stops the longest waiting
// the other releases                                  has it
TEST(Pool, WakesTheNextWhenTheOneItNotifiedIsStopped) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::stop_source stop;
  std::jthread first([&] {
    EXPECT_THROW(static_cast<void>(pool.acquire(clock.now() + hours(1), kThere, stop.get_token())), InterruptedError);
  });
  await_waiting(pool, 1);
  std::jthread second([&] { pool.release(pool.acquire(clock.now() + hours(1), kElsewhere)); });
  await_waiting(pool, 2);
  pool.release(held);
  ThingPool::Slot& barged = pool.acquire(clock.now(), kHere);
  stop.request_stop();
  clock.open();
  first.join();
  pool.release(barged);
  second.join();
  EXPECT_EQ(workshop.made, 1);
}

TEST(Pool, LosesNobodyWhenStopsComeAtAnyMoment) {
  constexpr int kRounds = 300;
  Workshop workshop;
  std::atomic<int> lent = 0;
  std::atomic<int> stopped = 0;
  ThingPool pool(1, workshop.factory(), is_good, Clock::steady(), milliseconds(0));
  for (int round = 0; round < kRounds; ++round) {
    std::stop_source stop;
    std::latch begin(4);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        begin.arrive_and_wait();
        try {
          pool.release(
              pool.acquire(Clock::steady().now() + hours(1), kThere, i == 0 ? std::stop_token() : stop.get_token()));
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
  EXPECT_EQ(pool.counts().in_use, 0U);
  EXPECT_EQ(pool.counts().waiting, 0U);
}

TEST(Pool, HandsOverToOneWhoWaitedLongerThanThePatience) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { pool.release(pool.acquire(clock.now() + hours(1), kThere)); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);

  // The waiter has not run yet, but nobody can come before it any more.
  EXPECT_EQ(pool.counts().in_use, 1U);
  EXPECT_EQ(pool.counts().waiting, 0U);
  EXPECT_THROW(static_cast<void>(pool.acquire(clock.now(), kHere)), TimeoutError);
  clock.open();
}

TEST(Pool, LetsAnotherComeFirstWhileNobodyHasWaitedForLong) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { pool.release(pool.acquire(clock.now() + hours(1), kThere)); });
  await_waiting(pool, 1);
  clock.advance(kPatience - milliseconds(1));
  pool.release(held);

  ThingPool::Slot& barged = pool.acquire(clock.now(), kHere);
  EXPECT_EQ(pool.counts().waiting, 1U);
  clock.open();
  pool.release(barged);
  waiter.join();
  EXPECT_EQ(workshop.made, 1);
}

TEST(Pool, HandsOverInTheOrderOfAsking) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::vector<int> order;  // by whoever holds the one slot
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&, i] {
      ThingPool::Slot& slot = pool.acquire(clock.now() + hours(1), kThere);
      order.push_back(i);
      pool.release(slot);
    });
    await_waiting(pool, static_cast<std::size_t>(i) + 1);
  }
  clock.advance(kPatience);
  pool.release(held);
  clock.open();
  for (std::jthread& waiter : waiters) waiter.join();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

TEST(Pool, WakesTwoWaitersWhenTwoReturnBeforeTheFirstHasRun) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(2, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& first = pool.acquire(clock.now() + hours(1), kHere);
  ThingPool::Slot& second = pool.acquire(clock.now() + hours(1), kHere);
  std::latch both_hold(2);
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&] {
      ThingPool::Slot& slot = pool.acquire(clock.now() + hours(1), kThere);
      both_hold.arrive_and_wait();
      pool.release(slot);
    });
  }
  await_waiting(pool, 2);
  pool.release(first);
  pool.release(second);
  clock.open();
}

TEST(Pool, WakesTheSecondWaiterWhenTheFirstWasWokenForOneAndHandedAnother) {
  // main                              the longest waiting
  // releases A: it is idle ---------> notified, has not run
  // patience passes
  // releases B: handed to the same
  //                                   takes B; A is still idle for the second
  Workshop workshop;
  LateClock clock;
  ThingPool pool(2, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& a = pool.acquire(clock.now() + hours(1), kHere);
  ThingPool::Slot& b = pool.acquire(clock.now() + hours(1), kHere);
  std::latch both_hold(2);
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&] {
      ThingPool::Slot& slot = pool.acquire(clock.now() + hours(1), kThere);
      both_hold.arrive_and_wait();
      pool.release(slot);
    });
  }
  await_waiting(pool, 2);
  pool.release(a);
  EXPECT_EQ(pool.counts().idle, 1U);
  clock.advance(kPatience);
  pool.release(b);
  clock.open();
}

TEST(Pool, GivesWhatItHandedOverEvenWhenTheDeadlineComesBeforeTheWaiterRuns) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { EXPECT_NO_THROW(pool.release(pool.acquire(clock.now() + hours(1), kThere))); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);
  clock.advance(hours(2));
  clock.open();
  waiter.join();
  EXPECT_EQ(pool.counts().in_use, 0U);
}

TEST(Pool, GivesWhatItHandedOverEvenWhenItIsClosedBeforeTheWaiterRuns) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { EXPECT_NO_THROW(pool.release(pool.acquire(clock.now() + hours(1), kThere))); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);
  pool.shut();
  EXPECT_THROW(pool.close(clock.now()), TimeoutError);
  clock.open();
  waiter.join();
  EXPECT_NO_THROW(pool.close(clock.now()));
  EXPECT_EQ(workshop.alive, 0);
}

TEST_F(PoolTest, RefusesToLendOnceItIsClosed) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& first = acquire(pool);
  ThingPool::Slot& second = acquire(pool);
  pool.release(first);
  pool.release(second);
  pool.close(clock_.now());
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_THROW(static_cast<void>(acquire(pool)), ClosedError);
  EXPECT_NO_THROW(pool.close(clock_.now()));
}

TEST_F(PoolTest, TellsEachWaiterOnceThatItIsClosed) {
  constexpr std::size_t kWaiters = 5;
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  std::atomic<int> told = 0;
  std::vector<std::jthread> waiters;
  for (std::size_t i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&] {
      EXPECT_THROW(static_cast<void>(acquire(pool)), ClosedError);
      ++told;
    });
  }
  await_waiting(pool, kWaiters);
  std::atomic<bool> is_released = false;
  std::jthread closer([&] {
    pool.close(soon());
    EXPECT_TRUE(is_released);
  });
  waiters.clear();  // joins
  EXPECT_EQ(told, static_cast<int>(kWaiters));
  is_released = true;
  pool.release(held);
  closer.join();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.counts().idle, 0U);
  EXPECT_EQ(pool.counts().waiting, 0U);
}

TEST_F(PoolTest, NamesTheHoldersWhenClosingTakesTooLong) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  clock_.advance(milliseconds(7));
  const std::string message = error_of<TimeoutError>([&] { pool.close(clock_.now()); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note) for 7 ms")) << message;

  EXPECT_EQ(workshop_.alive, 1);
  pool.release(held);
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_NO_THROW(pool.close(clock_.now()));
}

TEST_F(PoolTest, WaitsForTheDeadlineOfClose) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  std::jthread closer([&] { EXPECT_THROW(pool.close(clock_.now() + milliseconds(50)), TimeoutError); });
  while (clock_.sleeping() == 0) std::this_thread::yield();
  clock_.advance(milliseconds(50));
  closer.join();
  pool.release(held);
}

TEST_F(PoolTest, HasTurnedOverWhenNobodyHoldsAnything) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  EXPECT_TRUE(pool.wait_for_turnover(clock_.now()));
  pool.release(acquire(pool));
  EXPECT_TRUE(pool.wait_for_turnover(clock_.now()));
}

TEST_F(PoolTest, DoesNotWaitForTheTurnoverOfItsOwnThread) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& own = acquire(pool);
  EXPECT_TRUE(pool.wait_for_turnover(clock_.now()));
  std::jthread([&] { EXPECT_FALSE(pool.wait_for_turnover(clock_.now())); }).join();
  pool.release(own);
}

TEST_F(PoolTest, GivesUpWaitingForTheTurnoverAtTheDeadline) {
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& held = acquire(pool);
  std::jthread waiter([&] { EXPECT_FALSE(pool.wait_for_turnover(clock_.now() + milliseconds(20))); });
  while (clock_.sleeping() == 0) std::this_thread::yield();
  // One that was lent later comes back; that changes nothing for the one held before.
  pool.release(acquire(pool));
  clock_.advance(milliseconds(20));
  waiter.join();
  pool.release(held);
}

TEST_F(PoolTest, DoesNotWaitForTheTurnoverOfWhatIsLentLater) {
  // holder                  waiter
  // has A
  // ---- held ------------> waits for A
  // acquires B
  // releases A -----------> done, though B is out
  ThingPool pool(2, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& a = acquire(pool);
  std::jthread waiter([&] { EXPECT_TRUE(pool.wait_for_turnover(soon())); });
  while (clock_.sleeping() == 0) std::this_thread::yield();
  ThingPool::Slot& b = acquire(pool);
  pool.release(a);
  waiter.join();
  pool.release(b);
}

TEST_F(PoolTest, HasTurnedOverThoughTheSameSlotIsLentAgain) {
  ThingPool pool(1, workshop_.factory(), is_good, clock_);
  ThingPool::Slot& a = acquire(pool);
  std::jthread waiter([&] { EXPECT_TRUE(pool.wait_for_turnover(soon())); });
  while (clock_.sleeping() == 0) std::this_thread::yield();
  pool.release(a);
  ThingPool::Slot& again = acquire(pool);
  waiter.join();
  pool.release(again);
}

TEST(Pool, WaitsForTheTurnoverOfWhatItHandedToAnotherThread) {
  // main                        waiter
  // holds the one slot          waits for longer than the patience
  // releases: handed over ----> owns it, has not run yet
  // it is another thread's now
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { pool.release(pool.acquire(clock.now() + hours(1), kThere)); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);
  EXPECT_FALSE(pool.wait_for_turnover(clock.now()));
  clock.open();
}

TEST(Pool, NamesTheNewHolderOfWhatItHandedOver) {
  Workshop workshop;
  LateClock clock;
  ThingPool pool(1, workshop.factory(), is_good, clock, kPatience);
  ThingPool::Slot& held = pool.acquire(clock.now() + hours(1), kHere);
  std::jthread waiter([&] { pool.release(pool.acquire(clock.now() + hours(1), kThere)); });
  await_waiting(pool, 1);
  clock.advance(kPatience);
  pool.release(held);
  const auto error = error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(clock.now(), kElsewhere)); });
  EXPECT_TRUE(mentions(error, "held by index.cpp:7 (rebuild)")) << error.what();
  clock.open();
}

TEST(Pool, LendsEachThingToOneHolderAtATimeUnderLoad) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  constexpr std::size_t kCapacity = 3;
  Workshop workshop;
  std::atomic<int> seen_twice = 0;
  {
    ThingPool pool(kCapacity, workshop.factory(), is_good, Clock::steady(), std::chrono::microseconds(50));
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          ThingPool::Slot& slot = pool.acquire(Clock::steady().now() + hours(1), kHere);
          if (slot.resource().is_lent.exchange(true)) ++seen_twice;
          if (i % 16 == 0) std::this_thread::yield();
          slot.resource().is_good = (i + t) % 97 != 0;
          slot.resource().is_lent = false;
          pool.release(slot);
        }
      });
    }
    threads.clear();
    EXPECT_LE(workshop.alive, static_cast<int>(kCapacity));
    EXPECT_EQ(pool.counts().in_use, 0U);
  }
  EXPECT_EQ(seen_twice, 0);
  EXPECT_EQ(workshop.alive, 0);
}

}  // namespace
}  // namespace sqlane::detail
