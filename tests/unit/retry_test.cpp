#include "sqlane/retry.hpp"

#include <limits>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"

namespace sqlane {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

const Error kTransient("another process writes", {.retryable = true});
const Error kFinal("no such table");

// Pauses of no length, so that nothing waits.
RetryPolicy at_once(int attempts) { return {.attempts = attempts, .first_pause = milliseconds(0)}; }

TEST(RetryPause, DoublesUpToTheLongestAndIsShortenedAtRandom) {
  struct Case {
    int attempt;
    double random;
    microseconds pause;
  };
  constexpr Case kCases[] = {
      {2, 0, milliseconds(10)},   {3, 0, milliseconds(20)},  {4, 0, milliseconds(40)},
      {5, 0, milliseconds(50)},   {60, 0, milliseconds(50)}, {2, 1, milliseconds(5)},
      {3, 0.5, milliseconds(15)}, {60, 1, milliseconds(25)}, {2, 0.5, microseconds(7500)},
  };
  const RetryPolicy policy{.first_pause = milliseconds(10), .longest_pause = milliseconds(50), .jitter = 0.5};
  for (const Case& one : kCases) {
    EXPECT_EQ(detail::retry_pause(policy, one.attempt, one.random), one.pause)
        << "attempt " << one.attempt << ", random " << one.random;
  }
}

TEST(WithRetry, ReturnsTheResultOfTheFirstAttemptThatSucceeds) {
  int calls = 0;
  const auto third_time = [&] {
    if (++calls < 3) throw Error(kTransient);
    return 42;
  };
  EXPECT_EQ(with_retry(at_once(5), third_time), 42);
  EXPECT_EQ(calls, 3);
}

TEST(WithRetry, GivesUpAfterSoManyAttempts) {
  int calls = 0;
  EXPECT_THROW(with_retry(at_once(4),
                          [&] {
                            ++calls;
                            throw BusyError("busy", {.retryable = true});
                          }),
               BusyError);
  EXPECT_EQ(calls, 4);
}

TEST(WithRetry, TriesOnceWhereTryingAgainIsNoUse) {
  int calls = 0;
  const auto fail_with = [&](const auto& error) {
    return [&] {
      ++calls;
      throw error;
    };
  };
  EXPECT_THROW(with_retry(at_once(5), fail_with(kFinal)), Error);
  EXPECT_THROW(with_retry(at_once(5), fail_with(CommitOutcomeUnknown("unknown"))), CommitOutcomeUnknown);
  EXPECT_THROW(with_retry(at_once(5), fail_with(std::runtime_error("not sqlane's"))), std::runtime_error);
  EXPECT_EQ(calls, 3);
}

TEST(WithRetry, RefusesAPolicyThatMakesNoSense) {
  const RetryPolicy kSenseless[] = {
      {.attempts = 0},
      {.first_pause = milliseconds(-1)},
      {.factor = 0.5},
      {.factor = std::numeric_limits<double>::quiet_NaN()},
      {.longest_pause = milliseconds(-1)},
      {.jitter = 1.5},
      {.jitter = -0.1},
  };
  for (const RetryPolicy& policy : kSenseless) EXPECT_THROW(with_retry(policy, [] {}), UsageError);
}

class RetriesTest : public ::testing::Test {
 protected:
  void await_pause() {
    while (clock.sleeping() == 0) std::this_thread::yield();
  }

  testing::SteppedClock clock;
};

TEST_F(RetriesTest, PausesBeforeTryingAgain) {
  const RetryPolicy policy{.first_pause = milliseconds(10), .jitter = 0};
  detail::Retries retries(policy, clock);
  bool is_over = false;
  std::jthread thread([&] {
    EXPECT_TRUE(retries.again(kTransient));
    is_over = true;
  });
  await_pause();
  clock.advance(milliseconds(9));
  await_pause();
  clock.advance(milliseconds(1));
  thread.join();
  EXPECT_TRUE(is_over);
}

TEST_F(RetriesTest, BeginsNoAttemptAfterTheDeadline) {
  const RetryPolicy policy{.first_pause = milliseconds(10), .jitter = 0, .timeout = milliseconds(10)};
  EXPECT_FALSE(detail::Retries(policy, clock).again(kTransient));
}

TEST_F(RetriesTest, EndsThePauseWhenAStopIsRequested) {
  std::stop_source source;
  const RetryPolicy policy{.first_pause = milliseconds(10), .stop = source.get_token()};
  detail::Retries retries(policy, clock);
  std::jthread thread([&] { EXPECT_FALSE(retries.again(kTransient)); });
  await_pause();
  source.request_stop();
}

}  // namespace
}  // namespace sqlane
