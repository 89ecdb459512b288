#include "base/signal.hpp"

#include <chrono>
#include <thread>

#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

constexpr int kLooks = 4;

using std::chrono::milliseconds;

class SignalTest : public ::testing::Test {
 protected:
  [[nodiscard]] Clock::time_point in(milliseconds time) { return clock_.now() + time; }
  void await_sleeper() const {
    while (clock_.sleeping() != 1) std::this_thread::yield();
  }

  testing::SteppedClock clock_;
  Signal signal_;
};

TEST_F(SignalTest, IsNotGivenAtFirst) {
  EXPECT_FALSE(signal_.is_given());
  EXPECT_FALSE(signal_.await(clock_, clock_.now(), kLooks));
}

TEST_F(SignalTest, NeedsNoSleepWhenItWasGivenBefore) {
  signal_.give();
  EXPECT_TRUE(signal_.is_given());
  EXPECT_TRUE(signal_.await(clock_, clock_.now(), kLooks));  // even though the deadline has come
}

TEST_F(SignalTest, WakesWhoSleeps) {
  // main                      sleeper
  //                           looks, goes to sleep
  // ---- asleep ------------>
  // gives                     true
  std::jthread sleeper([&] { EXPECT_TRUE(signal_.await(clock_, Clock::time_point::max(), kLooks)); });
  await_sleeper();
  signal_.give();
}

TEST_F(SignalTest, SaysWhenTheDeadlineCameFirst) {
  bool is_given = true;
  std::jthread sleeper([&] { is_given = signal_.await(clock_, in(milliseconds(30)), kLooks); });
  await_sleeper();
  clock_.advance(milliseconds(30));
  sleeper.join();
  EXPECT_FALSE(is_given);
  EXPECT_FALSE(signal_.is_given());
}

TEST_F(SignalTest, SleepsOnThroughAWakeUpBeforeTheDeadline) {
  bool is_given = true;
  std::jthread sleeper([&] { is_given = signal_.await(clock_, in(milliseconds(30)), kLooks); });
  await_sleeper();
  clock_.advance(milliseconds(29));
  await_sleeper();
  clock_.advance(milliseconds(1));
  sleeper.join();
  EXPECT_FALSE(is_given);
}

TEST_F(SignalTest, CanBeGivenAfterADeadlineWithNobodyAwaiting) {
  EXPECT_FALSE(signal_.await(clock_, clock_.now(), kLooks));
  signal_.give();
  EXPECT_TRUE(signal_.is_given());
  EXPECT_TRUE(signal_.await(clock_, clock_.now(), kLooks));
}

TEST_F(SignalTest, WakesWhoSleepsAgainAfterADeadline) {
  std::jthread sleeper([&] {
    EXPECT_FALSE(signal_.await(clock_, clock_.now(), kLooks));
    EXPECT_TRUE(signal_.await(clock_, Clock::time_point::max(), kLooks));
  });
  await_sleeper();
  signal_.give();
}

}  // namespace
}  // namespace sqlane::detail
