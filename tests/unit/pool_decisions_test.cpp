#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "pool/circuit_breaker.hpp"
#include "pool/state.hpp"
#include "pool/upkeep.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

const Clock::time_point kNow = Clock::time_point(hours(10));

// States

TEST(PoolState, FollowsTheDrawing) {
  constexpr std::array kAll = {PoolState::active, PoolState::draining, PoolState::closed};
  constexpr bool kCan[3][3] = {
      // to active, draining, closed
      {false, true, true},    // from active
      {false, false, true},   // from draining
      {false, false, false},  // from closed
  };
  for (std::size_t from = 0; from < kAll.size(); ++from) {
    for (std::size_t to = 0; to < kAll.size(); ++to) {
      EXPECT_EQ(can_follow(kAll[from], kAll[to]), kCan[from][to]) << from << " to " << to;
    }
  }
}

TEST(ResourceState, FollowsTheDrawing) {
  constexpr std::array kAll = {ResourceState::idle, ResourceState::in_use, ResourceState::closed, ResourceState::error};
  constexpr bool kCan[4][4] = {
      // to idle, in_use, closed, error
      {false, true, false, false},  // from idle
      {true, false, true, true},    // from in_use
      {false, true, false, false},  // from closed
      {false, false, true, false},  // from error
  };
  for (std::size_t from = 0; from < kAll.size(); ++from) {
    for (std::size_t to = 0; to < kAll.size(); ++to) {
      EXPECT_EQ(can_follow(kAll[from], kAll[to]), kCan[from][to]) << from << " to " << to;
    }
  }
}

// The circuit breaker

class CircuitBreakerTest : public ::testing::Test {
 protected:
  using State = CircuitBreaker::State;

  // A try that fails, if it is let through.
  bool fail_at(Clock::time_point now) {
    if (!breaker_.let_through(now)) return false;
    breaker_.failed(now);
    return true;
  }

  CircuitBreaker breaker_{Breaker{.failures = 3, .open_for = milliseconds(100)}};
};

TEST_F(CircuitBreakerTest, OpensAfterSoManyFailuresInARow) {
  EXPECT_EQ(breaker_.state(kNow), State::closed);
  EXPECT_TRUE(fail_at(kNow));
  EXPECT_TRUE(fail_at(kNow));
  EXPECT_EQ(breaker_.state(kNow), State::closed);
  EXPECT_TRUE(fail_at(kNow));
  EXPECT_EQ(breaker_.state(kNow), State::open);
  EXPECT_FALSE(breaker_.let_through(kNow));
}

TEST_F(CircuitBreakerTest, StartsCountingAgainAfterASuccess) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(fail_at(kNow));
    EXPECT_TRUE(fail_at(kNow));
    EXPECT_TRUE(breaker_.let_through(kNow));
    breaker_.succeeded();
    EXPECT_EQ(breaker_.state(kNow), State::closed);
  }
}

TEST_F(CircuitBreakerTest, LetsSeveralThroughWhileItIsClosed) {
  EXPECT_TRUE(breaker_.let_through(kNow));
  EXPECT_TRUE(breaker_.let_through(kNow));
}

TEST_F(CircuitBreakerTest, LetsOneThroughAtATimeOnceItHasBeenOpenForLongEnough) {
  for (int i = 0; i < 3; ++i) fail_at(kNow);
  EXPECT_FALSE(breaker_.let_through(kNow + milliseconds(99)));
  EXPECT_EQ(breaker_.state(kNow + milliseconds(99)), State::open);
  EXPECT_EQ(breaker_.state(kNow + milliseconds(100)), State::half_open);
  EXPECT_TRUE(breaker_.let_through(kNow + milliseconds(100)));
  EXPECT_FALSE(breaker_.let_through(kNow + milliseconds(100)));
  EXPECT_FALSE(breaker_.let_through(kNow + hours(1)));
}

TEST_F(CircuitBreakerTest, ClosesWhenTheOneTrySucceeds) {
  for (int i = 0; i < 3; ++i) fail_at(kNow);
  EXPECT_TRUE(breaker_.let_through(kNow + milliseconds(100)));
  breaker_.succeeded();
  EXPECT_EQ(breaker_.state(kNow + milliseconds(100)), State::closed);
  EXPECT_TRUE(fail_at(kNow + milliseconds(101)));
  EXPECT_TRUE(fail_at(kNow + milliseconds(101)));
  EXPECT_EQ(breaker_.state(kNow + milliseconds(101)), State::closed);
}

TEST_F(CircuitBreakerTest, OpensAgainForAsLongWhenTheOneTryFails) {
  for (int i = 0; i < 3; ++i) fail_at(kNow);
  const Clock::time_point later = kNow + milliseconds(150);
  EXPECT_TRUE(fail_at(later));
  EXPECT_FALSE(breaker_.let_through(later + milliseconds(99)));
  EXPECT_TRUE(fail_at(later + milliseconds(100)));
  EXPECT_FALSE(breaker_.let_through(later + milliseconds(199)));
  EXPECT_TRUE(breaker_.let_through(later + milliseconds(200)));
}

TEST(CircuitBreaker, OpensAtTheFirstFailureWhereThatIsAskedFor) {
  CircuitBreaker breaker(Breaker{.failures = 1, .open_for = milliseconds(5)});
  breaker.failed(kNow);
  EXPECT_FALSE(breaker.let_through(kNow + milliseconds(4)));
  EXPECT_TRUE(breaker.let_through(kNow + milliseconds(5)));
}

// What becomes of resources

TEST(EndOfLife, IsNeverWithoutALimit) { EXPECT_EQ(end_of_life(Upkeep{}, kNow, 0.5), Clock::time_point::max()); }

TEST(EndOfLife, ComesEarlierByUpToTheJitter) {
  const Upkeep upkeep{.max_lifetime = milliseconds(1000), .lifetime_jitter = 0.25};
  EXPECT_EQ(end_of_life(upkeep, kNow, 0), kNow + milliseconds(1000));
  EXPECT_EQ(end_of_life(upkeep, kNow, 0.5), kNow + milliseconds(875));
  EXPECT_EQ(end_of_life(upkeep, kNow, 1), kNow + milliseconds(750));
}

TEST(EndOfLife, IsTheSameForAllWithoutJitter) {
  const Upkeep upkeep{.max_lifetime = milliseconds(1000), .lifetime_jitter = 0};
  EXPECT_EQ(end_of_life(upkeep, kNow, 1), kNow + milliseconds(1000));
}

struct ReplacementCase {
  std::string what;
  ResourceFacts facts;
  std::optional<CloseReason> expected;
};

TEST(ReasonToReplace, IsAsInTheTable) {
  const Upkeep upkeep{.max_uses = 10, .max_errors = 3};
  const std::vector<ReplacementCase> cases = {
      {"new", {}, std::nullopt},
      {"one use is left", {.uses = 9}, std::nullopt},
      {"no use is left", {.uses = 10}, CloseReason::uses},
      {"used more often", {.uses = 11}, CloseReason::uses},
      {"one error is left", {.errors = 2}, std::nullopt},
      {"no error is left", {.errors = 3}, CloseReason::errors},
      {"errors come before uses", {.uses = 10, .errors = 3}, CloseReason::errors},
      {"not too old yet", {.dies_at = kNow + milliseconds(1)}, std::nullopt},
      {"too old", {.dies_at = kNow}, CloseReason::age},
      {"uses come before age", {.dies_at = kNow, .uses = 10}, CloseReason::uses},
  };
  for (const ReplacementCase& one : cases)
    EXPECT_EQ(reason_to_replace(one.facts, upkeep, kNow), one.expected) << one.what;
}

TEST(ReasonToReplace, IsNoneWithoutLimits) {
  constexpr std::uint64_t kMany = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(reason_to_replace({.uses = kMany, .errors = kMany}, Upkeep{}, kNow), std::nullopt);
}

TEST(ReasonToCloseIdle, IsAsInTheTable) {
  struct Case {
    std::string what;
    milliseconds idle;
    std::size_t spare;
    std::optional<CloseReason> expected;
  };
  const std::vector<Case> cases = {
      {"not idle for long", milliseconds(99), 1, std::nullopt},
      {"idle for long", milliseconds(100), 1, CloseReason::idle},
      {"idle for long, but none is spare", milliseconds(1000), 0, std::nullopt},
      {"one of many", milliseconds(1000), 7, CloseReason::idle},
  };
  const Upkeep upkeep{.idle_timeout = milliseconds(100)};
  for (const Case& one : cases) {
    EXPECT_EQ(reason_to_close_idle({.idle_since = kNow - one.idle}, upkeep, kNow, one.spare), one.expected) << one.what;
  }
  EXPECT_EQ(reason_to_close_idle({.idle_since = kNow - hours(9)}, Upkeep{}, kNow, 7), std::nullopt);
}

TEST(ReasonToCloseIdle, IsAgeEvenWhenNoneIsSpare) {
  const Upkeep upkeep{.idle_timeout = milliseconds(100)};
  EXPECT_EQ(reason_to_close_idle({.dies_at = kNow, .idle_since = kNow}, upkeep, kNow, 0), CloseReason::age);
}

TEST(Validation, ByMaintenanceComesAfterTheInterval) {
  const Upkeep upkeep{.validation_interval = milliseconds(50)};
  EXPECT_FALSE(is_validated_by_maintenance({.validated_at = kNow - milliseconds(49)}, upkeep, kNow));
  EXPECT_TRUE(is_validated_by_maintenance({.validated_at = kNow - milliseconds(50)}, upkeep, kNow));
  EXPECT_FALSE(is_validated_by_maintenance({.validated_at = kNow - hours(9)}, Upkeep{}, kNow));
}

TEST(Validation, OnAcquireIsAsInTheTable) {
  const auto is_asked = [](ValidateOnAcquire when, milliseconds idle) {
    const Upkeep upkeep{.validate_on_acquire = when, .validation_idle = milliseconds(50)};
    return is_validated_on_acquire({.idle_since = kNow - idle}, upkeep, kNow);
  };
  EXPECT_FALSE(is_asked(ValidateOnAcquire::never, hours(9)));
  EXPECT_FALSE(is_asked(ValidateOnAcquire::if_idle_longer_than, milliseconds(50)));
  EXPECT_TRUE(is_asked(ValidateOnAcquire::if_idle_longer_than, milliseconds(51)));
  EXPECT_TRUE(is_asked(ValidateOnAcquire::always, milliseconds(0)));
}

// The size that follows demand

class NextSize : public ::testing::Test {
 protected:
  static constexpr std::size_t kMax = 5;
  const AdaptiveSize settings_{.least = 2, .grow_above = 0.8, .shrink_below = 0.3, .rounds = 3};

  // After one round each.
  std::size_t after(const std::vector<Demand>& demands) {
    for (const Demand& demand : demands) state_ = next_size(state_, demand, settings_, kMax);
    return state_.limit;
  }

  static constexpr Demand kBusy{.utilisation = 0.9};
  static constexpr Demand kWaiting{.utilisation = 0.5, .has_waited = true};
  static constexpr Demand kContent{.utilisation = 0.5};
  static constexpr Demand kQuiet{.utilisation = 0.1};

  AdaptiveState state_{.limit = 3};
};

TEST_F(NextSize, GrowsByOneAfterEnoughRoundsOfDemand) {
  EXPECT_EQ(after({kBusy, kBusy}), 3U);
  EXPECT_EQ(after({kBusy}), 4U);
  EXPECT_EQ(after({kBusy, kBusy}), 4U);
  EXPECT_EQ(after({kBusy}), 5U);
}

TEST_F(NextSize, ShrinksByOneAfterEnoughQuietRounds) {
  state_.limit = kMax;
  EXPECT_EQ(after({kQuiet, kQuiet}), 5U);
  EXPECT_EQ(after({kQuiet}), 4U);
  EXPECT_EQ(after({kQuiet, kQuiet}), 4U);
  EXPECT_EQ(after({kQuiet}), 3U);
}

TEST_F(NextSize, CountsWaitingAsDemand) { EXPECT_EQ(after({kWaiting, kBusy, kWaiting}), 4U); }

TEST_F(NextSize, GrowsRatherThanShrinksWhenSomebodyWaitedThoughLittleWasInUse) {
  constexpr Demand kBoth{.utilisation = 0.1, .has_waited = true};
  EXPECT_EQ(after({kBoth, kBoth, kBoth}), 4U);
  EXPECT_EQ(after({kBoth}), 4U);
}

TEST_F(NextSize, StaysWhenTheDemandDoesNotLast) {
  EXPECT_EQ(after({kBusy, kBusy, kContent, kBusy, kBusy, kQuiet, kBusy, kBusy}), 3U);
  EXPECT_EQ(after({kContent, kQuiet, kQuiet, kContent, kQuiet, kQuiet, kBusy, kQuiet, kQuiet}), 3U);
}

TEST_F(NextSize, StaysBetweenTheTwoThresholds) {
  const Demand at_the_upper{.utilisation = settings_.grow_above};
  const Demand at_the_lower{.utilisation = settings_.shrink_below};
  EXPECT_EQ(after({at_the_upper, at_the_upper, at_the_upper, at_the_lower, at_the_lower, at_the_lower}), 3U);
}

TEST_F(NextSize, StaysBetweenTheLeastAndTheMost) {
  EXPECT_EQ(after(std::vector<Demand>(30, kBusy)), kMax);
  EXPECT_EQ(after(std::vector<Demand>(30, kQuiet)), settings_.least);
}

TEST_F(NextSize, StartsWithinItsBounds) {
  EXPECT_EQ(next_size({.limit = 1}, kContent, settings_, kMax).limit, settings_.least);
  EXPECT_EQ(next_size({.limit = 9}, kContent, settings_, kMax).limit, kMax);
}

TEST_F(NextSize, ChangesAtOnceWhereOneRoundIsEnough) {
  const AdaptiveSize settings{.least = 1, .rounds = 1};
  EXPECT_EQ(next_size({.limit = 3}, kBusy, settings, kMax).limit, 4U);
  EXPECT_EQ(next_size({.limit = 3}, kQuiet, settings, kMax).limit, 2U);
}

}  // namespace
}  // namespace sqlane::detail
