#include "sqlite/busy_wait.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <sqlite3.h>
#include <stop_token>
#include <thread>
#include <vector>

#include "support/foreign_connection.hpp"
#include "support/manual_clock.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ForeignConnection;
using testing::TemporaryFolder;

// How long

struct Delay {
  int attempt;
  microseconds shortest;
  microseconds longest;
};

constexpr Delay kDelays[] = {
    {0, microseconds(25), microseconds(50)},     {1, microseconds(50), microseconds(100)},
    {2, microseconds(100), microseconds(200)},   {3, microseconds(200), microseconds(400)},
    {4, microseconds(400), microseconds(800)},   {5, microseconds(800), microseconds(1600)},
    {6, microseconds(800), microseconds(1600)},  {31, microseconds(800), microseconds(1600)},
    {32, microseconds(800), microseconds(1600)}, {1'000'000, microseconds(800), microseconds(1600)},
};

TEST(BusyDelay, DoublesUpToABoundAndIsJitteredByHalf) {
  for (const Delay& one : kDelays) {
    microseconds shortest = microseconds::max();
    microseconds longest = microseconds::zero();
    for (std::uint32_t random = 0; random <= 1600; ++random) {
      shortest = std::min(shortest, busy_delay(one.attempt, random));
      longest = std::max(longest, busy_delay(one.attempt, random));
    }
    EXPECT_EQ(shortest, one.shortest) << "attempt " << one.attempt;
    EXPECT_EQ(longest, one.longest) << "attempt " << one.attempt;
  }
}

TEST(BusyDelay, TakesAnyRandomNumber) {
  for (const Delay& one : kDelays) {
    for (const std::uint32_t random : {0x7fff'ffffU, 0x8000'0000U, 0xffff'ffffU}) {
      EXPECT_GE(busy_delay(one.attempt, random), one.shortest);
      EXPECT_LE(busy_delay(one.attempt, random), one.longest);
    }
  }
}

// How often

// Whoever waits with this clock finds that the time has come, at once.
class InstantClock final : public Clock {
 public:
  time_point now() override { return now_; }
  void advance(duration step) { now_ += step; }
  void wait_until(Condition&, MutexLock&, time_point deadline) override {
    waits.push_back(deadline - now_);
    now_ = deadline;
    if (when_it_waits) when_it_waits();
  }

  std::vector<duration> waits;
  std::function<void()> when_it_waits;

 private:
  time_point now_{};
};

class BusyWaitTest : public ::testing::Test {
 protected:
  // Tries until it is no use any more; how often it was worth another try.
  static int wait_out(BusyWait& wait) {
    int attempt = 0;
    while (wait.wait(attempt)) ++attempt;
    return attempt;
  }

  InstantClock clock_;
  OwnCounter met_;
};

TEST_F(BusyWaitTest, GivesUpExactlyWhenTheTimeoutHasPassedSinceTheFirstTry) {
  BusyWait wait(clock_, milliseconds(5), met_);
  clock_.advance(milliseconds(100));
  const Clock::time_point first_try = clock_.now();
  EXPECT_GT(wait_out(wait), 5);
  EXPECT_EQ(clock_.now() - first_try, milliseconds(5));
}

TEST_F(BusyWaitTest, SleepsAsLongAsTheTableSaysButNotBeyondTheDeadline) {
  BusyWait wait(clock_, milliseconds(10), met_);
  wait_out(wait);
  ASSERT_GT(clock_.waits.size(), 6U);
  for (int i = 0; i < 6; ++i) {
    const Clock::duration slept = clock_.waits[static_cast<std::size_t>(i)];
    EXPECT_GE(slept, kDelays[i].shortest) << "attempt " << i;
    EXPECT_LE(slept, kDelays[i].longest) << "attempt " << i;
  }
}

TEST_F(BusyWaitTest, CountsItsTimeoutAnewForEachStatement) {
  BusyWait wait(clock_, milliseconds(5), met_);
  wait_out(wait);
  const Clock::time_point second = clock_.now();
  EXPECT_GT(wait_out(wait), 5);
  EXPECT_EQ(clock_.now() - second, milliseconds(5));
}

TEST_F(BusyWaitTest, GivesUpOnceTheDeadlineHasPassed) {
  BusyWait wait(clock_, milliseconds(5), met_);
  EXPECT_TRUE(wait.wait(0));
  clock_.advance(milliseconds(5));
  EXPECT_FALSE(wait.wait(1));
  EXPECT_EQ(clock_.waits.size(), 1U);
}

TEST_F(BusyWaitTest, DoesNotWaitAtAllWithoutATimeout) {
  BusyWait wait(clock_, milliseconds(0), met_);
  EXPECT_FALSE(wait.wait(0));
  EXPECT_TRUE(clock_.waits.empty());
}

TEST_F(BusyWaitTest, WaitsForAsLongAsATimeoutCanSay) {
  BusyWait wait(clock_, milliseconds::max(), met_);
  for (int attempt = 0; attempt < 100; ++attempt) EXPECT_TRUE(wait.wait(attempt));
}

TEST_F(BusyWaitTest, EndsWhenAStopIsRequestedAndHeedsTheNextToken) {
  BusyWait wait(clock_, milliseconds(5), met_);
  std::stop_source stop;
  wait.set_stop(stop.get_token());
  EXPECT_TRUE(wait.wait(0));
  stop.request_stop();
  EXPECT_FALSE(wait.wait(1));
  wait.set_stop({});
  EXPECT_TRUE(wait.wait(0));
}

TEST_F(BusyWaitTest, DoesNotWaitWhileItIsOff) {
  BusyWait wait(clock_, milliseconds(5), met_);
  wait.turn_off();
  EXPECT_FALSE(wait.wait(0));
  wait.turn_on();
  EXPECT_TRUE(wait.wait(0));
  EXPECT_EQ(clock_.waits.size(), 1U);
}

TEST_F(BusyWaitTest, CountsTheLocksThatItMet) {
  BusyWait wait(clock_, milliseconds(0), met_);
  EXPECT_EQ(met_.value(), 0U);
  for (int lock = 0; lock < 2; ++lock) {
    for (int attempt = 0; attempt < 3; ++attempt) static_cast<void>(wait.wait(attempt));
  }
  wait.turn_off();
  static_cast<void>(wait.wait(0));
  EXPECT_EQ(met_.value(), 2U);
}

TEST(BusyWaitOfAThread, SleepsUntilItsClockSaysSo) {
  testing::SteppedClock clock;
  OwnCounter met;
  BusyWait wait(clock, milliseconds(5), met);
  std::atomic<bool> has_tried = false;
  std::jthread sleeper([&] {
    EXPECT_TRUE(wait.wait(0));
    has_tried = true;
  });
  while (clock.sleeping() == 0) std::this_thread::yield();
  clock.advance(microseconds(24));
  EXPECT_FALSE(has_tried);
  clock.advance(microseconds(26));
  sleeper.join();
  EXPECT_TRUE(has_tried);
}

// In SQLite's place

// this connection               the other
//                               has the write lock
// BEGIN IMMEDIATE: sleeps …
//                               lets go
// … and has it
class InstalledBusyWait : public BusyWaitTest {
 protected:
  InstalledBusyWait() {
    other_.run("PRAGMA journal_mode=WAL; CREATE TABLE note (title TEXT)");
    wait_.install(this_.handle());
  }

  TemporaryFolder folder_;
  BusyWait wait_{clock_, milliseconds(5), met_};
  ForeignConnection other_{folder_ / "app.db"};
  ForeignConnection this_{folder_ / "app.db"};
};

TEST_F(InstalledBusyWait, GivesUpAtItsDeadline) {
  other_.run("BEGIN IMMEDIATE");
  const Clock::time_point first_try = clock_.now();
  EXPECT_EQ(this_.try_run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  EXPECT_EQ(clock_.now() - first_try, milliseconds(5));
  EXPECT_EQ(met_.value(), 1U);
}

TEST_F(InstalledBusyWait, GetsTheLockAtTheFirstTryAfterItCameFree) {
  other_.run("BEGIN IMMEDIATE");
  clock_.when_it_waits = [&] {
    if (clock_.waits.size() == 3) other_.run("COMMIT");
  };
  EXPECT_EQ(this_.try_run("BEGIN IMMEDIATE"), SQLITE_OK);
  EXPECT_EQ(clock_.waits.size(), 3U);
}

TEST_F(InstalledBusyWait, EndsWithTheStop) {
  other_.run("BEGIN IMMEDIATE");
  std::stop_source stop;
  wait_.set_stop(stop.get_token());
  clock_.when_it_waits = [&] {
    if (clock_.waits.size() == 3) stop.request_stop();
  };
  EXPECT_EQ(this_.try_run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  EXPECT_EQ(clock_.waits.size(), 3U);
}

}  // namespace
}  // namespace sqlane::detail
