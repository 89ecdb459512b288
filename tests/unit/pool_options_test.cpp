#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::error_of;
using testing::kHere;
using testing::kPatiently;
using testing::kThere;
using testing::PooledThing;
using testing::ThingHooks;
using testing::ThingPool;

class PoolOptionsTest : public testing::PoolFixture {};

TEST_F(PoolOptionsTest, RefusesOptionsThatMakeNoSense) {
  const auto refusal = [&](PoolOptions options) {
    return std::string(error_of<UsageError>([&] { ThingPool(workshop_.make(), options); }).what());
  };
  constexpr milliseconds kNone{0};
  constexpr milliseconds kNegative{-1};
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::pair<PoolOptions, const char*>> wrong = {
      {{.max = 0}, "PoolOptions::max "},
      {{.max = 1001}, "a pool has at most 1000 resources"},
      {{.max_overflow = 1001}, "PoolOptions::max_overflow "},
      {{.acquire_timeout = kNegative}, "PoolOptions::acquire_timeout "},
      {{.patience = kNegative}, "PoolOptions::patience "},
      {{.max = 2, .upkeep = {.min_idle = 3}}, "Upkeep::min_idle "},
      {{.upkeep = {.idle_timeout = kNone}}, "Upkeep::idle_timeout "},
      {{.upkeep = {.max_lifetime = kNone}}, "Upkeep::max_lifetime "},
      {{.upkeep = {.lifetime_jitter = -0.1}}, "Upkeep::lifetime_jitter "},
      {{.upkeep = {.lifetime_jitter = 1.1}}, "Upkeep::lifetime_jitter "},
      {{.upkeep = {.lifetime_jitter = kNan}}, "Upkeep::lifetime_jitter "},
      {{.upkeep = {.max_uses = 0}}, "Upkeep::max_uses "},
      {{.upkeep = {.max_errors = 0}}, "Upkeep::max_errors "},
      {{.upkeep = {.validation_interval = kNone}}, "Upkeep::validation_interval "},
      {{.upkeep = {.validation_idle = kNegative}}, "Upkeep::validation_idle "},
      {{.upkeep = {.leak_threshold = kNone}}, "Upkeep::leak_threshold "},
      {{.upkeep = {.maintenance_interval = kNone}}, "Upkeep::maintenance_interval "},
      {{.upkeep = {.breaker = Breaker{.failures = 0}}}, "Breaker::failures "},
      {{.upkeep = {.breaker = Breaker{.open_for = kNegative}}}, "Breaker::open_for "},
      {{.upkeep = {.adaptive_size = AdaptiveSize{.least = 0}}}, "AdaptiveSize::least "},
      {{.max = 2, .upkeep = {.adaptive_size = AdaptiveSize{.least = 3}}}, "AdaptiveSize::least "},
      {{.upkeep = {.adaptive_size = AdaptiveSize{.rounds = 0}}}, "AdaptiveSize::rounds "},
      {{.upkeep = {.adaptive_size = AdaptiveSize{.shrink_below = -0.1}}}, "AdaptiveSize::shrink_below "},
      {{.upkeep = {.adaptive_size = AdaptiveSize{.grow_above = 1.1}}}, "AdaptiveSize::shrink_below "},
      {{.upkeep = {.adaptive_size = AdaptiveSize{.grow_above = 0.5, .shrink_below = 0.5}}},
       "AdaptiveSize::shrink_below "},
  };
  for (const auto& [options, what] : wrong) EXPECT_EQ(refusal(options).rfind(what, 0), 0U) << what << refusal(options);
  EXPECT_EQ(workshop_.made, 0);
}

TEST_F(PoolOptionsTest, AcceptsOptionsAtTheirBounds) {
  constexpr milliseconds kNone{0};
  EXPECT_NO_THROW(static_cast<void>(pool_of({.max = 1000, .max_overflow = 1000})));
  EXPECT_NO_THROW(static_cast<void>(pool_of({.max = 1, .acquire_timeout = kNone, .patience = kNone})));
  EXPECT_NO_THROW(static_cast<void>(
      pool_of({.max = 2,
               .upkeep = {.min_idle = 2,
                          .max_lifetime = milliseconds(1),
                          .lifetime_jitter = 1,
                          .max_uses = 1,
                          .max_errors = 1,
                          .validation_idle = kNone,
                          .breaker = Breaker{.failures = 1, .open_for = kNone},
                          .adaptive_size = AdaptiveSize{.least = 2, .grow_above = 1, .shrink_below = 0},
                          .maintenance = Maintenance::by_hand}})));
}

// Durations too long to be counted

constexpr milliseconds kForever = milliseconds::max();

TEST_F(PoolOptionsTest, TakesALimitTooLongToBeCountedForNever) {
  int leaks = 0;
  ThingPool pool = pool_of({.max = 1,
                            .acquire_timeout = kForever,
                            .upkeep = {.idle_timeout = kForever,
                                       .max_lifetime = kForever,
                                       .validation_interval = kForever,
                                       .validate_on_acquire = ValidateOnAcquire::if_idle_longer_than,
                                       .validation_idle = kForever,
                                       .leak_threshold = kForever,
                                       .on_leak = [&](const LeaseReport&) { ++leaks; },
                                       .breaker = Breaker{.failures = 1, .open_for = kForever},
                                       .maintenance = Maintenance::by_hand,
                                       .maintenance_interval = kForever}});
  workshop_.failures_to_come = 1;
  EXPECT_THROW(static_cast<void>(pool.acquire()), std::runtime_error);
  EXPECT_THROW(static_cast<void>(pool.acquire()), OpenError);

  ThingPool other = pool_of({.max = 1,
                             .upkeep = {.idle_timeout = kForever,
                                        .max_lifetime = kForever,
                                        .validation_interval = kForever,
                                        .validate_on_acquire = ValidateOnAcquire::if_idle_longer_than,
                                        .validation_idle = kForever,
                                        .leak_threshold = kForever,
                                        .on_leak = [&](const LeaseReport&) { ++leaks; },
                                        .maintenance = Maintenance::by_hand}});
  for (int day = 0; day < 3; ++day) {
    const ThingPool::Lease lease = other.acquire();
    clock_.advance(std::chrono::hours(24));
    other.maintain_now();
  }
  other.maintain_now();
  EXPECT_EQ(workshop_.made, 1);
  EXPECT_EQ(workshop_.alive, 1);
  EXPECT_EQ(leaks, 0);
  EXPECT_EQ(other.statistics().validations, 0U);
}

}  // namespace
}  // namespace sqlane
