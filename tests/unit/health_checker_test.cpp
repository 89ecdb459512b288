#include "care/health_checker.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/maintenance.hpp"

namespace sqlane::detail {
namespace {

using namespace std::chrono_literals;
using Time = Health::Clock::time_point;
using Findings = std::vector<Finding>;
using Reasons = std::vector<std::string>;
using testing::await_maintenance;

constexpr Time at(std::chrono::seconds second) { return Time(1000h + second); }

const Finding kSlow{Verdict::degraded, "it is slow"};
const Finding kFull{Verdict::degraded, "it is full", "disk full"};
const Finding kDead{Verdict::unhealthy, "it is dead", "no answer"};
const Finding kFine{Verdict::healthy, "it is fine", "no error"};

TEST(Assess, TakesTheWorstOfWhatWasFoundAndAllReasons) {
  struct Case {
    Findings findings;
    Verdict verdict;
    Reasons reasons;
    std::string last_error;
  };
  const Case kCases[] = {
      {{}, Verdict::healthy, {}, ""},
      {{kFine}, Verdict::healthy, {}, ""},
      {{kSlow}, Verdict::degraded, {"it is slow"}, ""},
      {{kDead}, Verdict::unhealthy, {"it is dead"}, "no answer"},
      {{kSlow, kDead}, Verdict::unhealthy, {"it is slow", "it is dead"}, "no answer"},
      {{kDead, kSlow}, Verdict::unhealthy, {"it is dead", "it is slow"}, "no answer"},
      {{kDead, kFine, kFull}, Verdict::unhealthy, {"it is dead", "it is full"}, "disk full"},
      {{kFull, kDead}, Verdict::unhealthy, {"it is full", "it is dead"}, "no answer"},
  };
  for (const Case& one : kCases) {
    const Health health = assess({}, one.findings, at(5s));
    EXPECT_EQ(health.verdict, one.verdict);
    EXPECT_EQ(health.is_healthy(), one.verdict == Verdict::healthy);
    EXPECT_EQ(health.reasons, one.reasons);
    EXPECT_EQ(health.last_error, one.last_error);
    EXPECT_EQ(health.last_error_at, one.last_error.empty() ? Time() : at(5s));
    EXPECT_EQ(health.since, at(5s)) << "the first verdict is as old as its check";
  }
}

TEST(Assess, KnowsSinceWhenTheVerdictHasBeenTheSame) {
  struct Case {
    Verdict before;
    Findings findings;
    Time since;
  };
  const Case kCases[] = {
      {Verdict::healthy, {}, at(1s)},   {Verdict::healthy, {kSlow}, at(5s)},   {Verdict::healthy, {kDead}, at(5s)},
      {Verdict::degraded, {}, at(5s)},  {Verdict::degraded, {kFull}, at(1s)},  {Verdict::degraded, {kDead}, at(5s)},
      {Verdict::unhealthy, {}, at(5s)}, {Verdict::unhealthy, {kSlow}, at(5s)}, {Verdict::unhealthy, {kDead}, at(1s)},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(assess({.verdict = one.before, .since = at(1s)}, one.findings, at(5s)).since, one.since);
  }
}

TEST(Assess, KeepsTheNewestErrorButNoReasons) {
  const Health dead = assess({}, {kDead}, at(1s));
  const Health slow = assess(dead, {kSlow}, at(2s));
  const Health fine = assess(slow, {}, at(3s));
  for (const Health& later : {slow, fine}) {
    EXPECT_EQ(later.last_error, "no answer");
    EXPECT_EQ(later.last_error_at, at(1s));
  }
  EXPECT_EQ(slow.reasons, Reasons{"it is slow"});
  EXPECT_EQ(fine.reasons, Reasons());
  const Health full = assess(fine, {kFull}, at(4s));
  EXPECT_EQ(full.last_error, "disk full");
  EXPECT_EQ(full.last_error_at, at(4s));
}

// A checker that finds what it is given, one second after the other.
class HealthCheckerTest : public ::testing::Test {
 protected:
  Health check(Findings findings) {
    next_ = std::move(findings);
    now_ += 1s;
    return checker.check();
  }
  HealthChecker::Listener listener(const std::string& name) {
    return [this, name](const Health& health) {
      heard.push_back(name + std::to_string(static_cast<int>(health.verdict)));
      told = health;
    };
  }

  std::vector<std::string> heard;  // "first2": the first listener, unhealthy
  Health told;

 private:
  Findings next_;
  Time now_ = at(0s);

 protected:
  HealthChecker checker{[this](Findings& findings) { findings = next_; },
                        {listener("first"), listener("second")},
                        [this] { return now_; }};
};

TEST_F(HealthCheckerTest, TellsOfChangesAloneAndAllListenersInTheirOrder) {
  check({});
  check({});
  EXPECT_EQ(heard, Reasons()) << "a database is healthy to begin with";
  check({kSlow});
  check({kFull});
  check({kDead, kSlow});
  check({kDead});
  check({kSlow});
  check({});
  check({});
  EXPECT_EQ(heard, (Reasons{"first1", "second1", "first2", "second2", "first1", "second1", "first0", "second0"}));
}

TEST_F(HealthCheckerTest, TellsAndReturnsTheSame) {
  check({kSlow});
  const Health health = check({kDead});
  for (const Health& one : {health, told}) {
    EXPECT_EQ(one.verdict, Verdict::unhealthy);
    EXPECT_EQ(one.reasons, Reasons{"it is dead"});
    EXPECT_EQ(one.since, at(2s));
    EXPECT_EQ(one.last_error, "no answer");
    EXPECT_EQ(one.last_error_at, at(2s));
  }
}

TEST_F(HealthCheckerTest, RemembersFromCheckToCheck) {
  EXPECT_EQ(check({}).since, at(1s));
  EXPECT_EQ(check({}).since, at(1s));
  EXPECT_EQ(check({kDead}).since, at(3s));
  EXPECT_EQ(check({kSlow}).since, at(4s));
  const Health health = check({kSlow});
  EXPECT_EQ(health.since, at(4s));
  EXPECT_EQ(health.last_error, "no answer");
  EXPECT_EQ(health.last_error_at, at(3s));
}

TEST(HealthChecker, TakesACheckThatThrowsForUnhealthyWithWhatItHadFound) {
  bool throws = true;
  HealthChecker checker(
      [&](Findings& findings) {
        findings.push_back(kFull);
        if (throws) throw std::runtime_error("out of paper");
      },
      {});
  const Health health = checker.check();
  EXPECT_EQ(health.verdict, Verdict::unhealthy);
  EXPECT_EQ(health.reasons, (Reasons{"it is full", "the check itself failed: out of paper"}));
  EXPECT_EQ(health.last_error, "out of paper");
  throws = false;
  EXPECT_EQ(checker.check().verdict, Verdict::degraded);
}

TEST(HealthChecker, ChecksAgainAndAgainInTheBackgroundAndTellsFromThere) {
  std::atomic<int> checks = 0;
  std::thread::id told_on;
  std::latch told(1);
  std::latch thrice(3);
  HealthChecker checker(
      [&](Findings& findings) {
        if (++checks <= 3) thrice.count_down();
        findings.push_back(kDead);
      },
      {[&](const Health&) {
        told_on = std::this_thread::get_id();
        told.count_down();  // a second time would be one too many
      }});
  EXPECT_EQ(checks, 0) << "only when it is asked, or started";
  checker.start(1ms);
  told.wait();
  thrice.wait();
  checker.stop();
  EXPECT_NE(told_on, std::this_thread::get_id());
  EXPECT_EQ(checker.check().verdict, Verdict::unhealthy);
}

// this thread              background
//                          checks
// stops: waits
//                          ends
// stopped
TEST(HealthChecker, ReturnsFromStopWhenNoCheckRunsAndChecksNoMore) {
  std::atomic<int> checks = 0;
  std::atomic<bool> has_ended = false;
  std::latch began(1);
  std::latch go_on(1);
  HealthChecker checker(
      [&](Findings&) {
        if (checks++ > 0) return;
        began.count_down();
        go_on.wait();
        has_ended = true;
      },
      {});
  checker.start(1ms);
  began.wait();
  std::jthread stopper([&] {
    checker.stop();
    EXPECT_TRUE(has_ended);
  });
  go_on.count_down();
  stopper.join();
  const int then = checks;
  await_maintenance();
  EXPECT_EQ(checks, then);
}

// What a check in the background uses outlives it.
TEST(HealthChecker, WaitsForTheCheckThatRunsWhenItIsDestroyed) {
  const std::string long_reason(1000, 'x');
  for (int round = 0; round < 10; ++round) {
    std::latch began(1);
    std::latch destroying(1);
    std::atomic<int> checks = 0;
    std::atomic<int> told = 0;
    auto checker = std::make_unique<HealthChecker>(
        [&](Findings& findings) {
          findings.push_back({Verdict::degraded, long_reason, long_reason});
          if (++checks != 2) return;
          findings.push_back(kDead);
          began.count_down();
          destroying.wait();
          std::this_thread::yield();
        },
        std::vector<HealthChecker::Listener>{[&](const Health& health) {
          ++told;
          EXPECT_EQ(health.reasons.front(), long_reason);
        }});
    checker->check();
    checker->start(1ms);
    began.wait();
    std::jthread destroyer([&] {
      destroying.count_down();
      checker.reset();
    });
    destroyer.join();
    EXPECT_EQ(told, 2) << "the check that ran has not ended";
  }
}

TEST(HealthChecker, StopsFromWithinItsOwnCheck) {
  HealthChecker* self = nullptr;
  std::atomic<int> checks = 0;
  std::latch stopped(1);
  HealthChecker checker(
      [&](Findings&) {
        self->stop();
        ++checks;
        stopped.count_down();
      },
      {});
  self = &checker;
  checker.start(1ms);
  stopped.wait();
  await_maintenance();
  EXPECT_EQ(checks, 1);
}

TEST(HealthChecker, LetsAListenerAskForTheHealthAndTellsOfThatAfterwards) {
  std::vector<Verdict> heard_first;
  std::vector<Verdict> heard_second;
  Findings next{kSlow};
  HealthChecker* self = nullptr;
  const auto first = [&](const Health& health) {
    heard_first.push_back(health.verdict);
    if (health.verdict != Verdict::degraded) return;
    next = {kDead};
    EXPECT_EQ(self->check().verdict, Verdict::unhealthy);
    next = {};
    EXPECT_EQ(self->check().verdict, Verdict::healthy);
  };
  const auto second = [&](const Health& health) { heard_second.push_back(health.verdict); };
  HealthChecker checker([&](Findings& findings) { findings = next; }, {first, second});
  self = &checker;
  EXPECT_EQ(checker.check().verdict, Verdict::degraded);
  EXPECT_EQ(heard_first, (std::vector{Verdict::degraded, Verdict::unhealthy, Verdict::healthy}));
  EXPECT_EQ(heard_second, heard_first);
}

// Checks come one at a time, and listeners hear of each change in its order.
TEST(HealthChecker, IsAskedByManyThreadsAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kChecks = 500;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::atomic<int> inside = 0;
  std::vector<Verdict> changes;
  Verdict newest = Verdict::healthy;
  std::vector<Verdict> heard;
  HealthChecker checker(
      [&](Findings& findings) {
        EXPECT_EQ(++inside, 1);
        const auto verdict = static_cast<Verdict>(random() % 3);
        findings.push_back({verdict, "by chance"});
        if (std::exchange(newest, verdict) != verdict) changes.push_back(verdict);
        --inside;
      },
      {[&](const Health& health) { heard.push_back(health.verdict); }});
  {
    std::latch start(kThreads);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        for (int i = 0; i < kChecks; ++i) static_cast<void>(checker.check());
      });
    }
  }
  EXPECT_FALSE(heard.empty());
  EXPECT_EQ(heard, changes);
}

}  // namespace
}  // namespace sqlane::detail
