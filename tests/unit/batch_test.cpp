#include "lane/batch.hpp"

#include <chrono>
#include <string>

namespace sqlane::detail {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr BatchLimits kLimits{.jobs = 10, .run_time = milliseconds(5), .bytes = 1000};
constexpr BatchSoFar kFew{.jobs = 3, .first = Claim::job, .run_time = milliseconds(1), .bytes = 100};

TEST(Batch, TakesWhoeverMayShareItAndHasRoom) {
  struct Case {
    const char* what;
    BatchSoFar batch;
    NextInLine next;
    bool joins;
  };
  constexpr Case kCases[] = {
      {"an ordinary job", kFew, {}, true},
      {"a job that stays on its thread", kFew, {.claim = Claim::job_on_thread}, false},
      {"a job that wants a commit of its own", kFew, {.claim = Claim::job_alone}, false},
      {"a guard", kFew, {.claim = Claim::hold}, false},
      {"a job behind one that leads on its own thread", {.jobs = 1, .first = Claim::job_on_thread}, {}, true},
      {"a job behind one that wants to be alone", {.jobs = 1, .first = Claim::job_alone}, {}, false},
      {"a job behind one that wanted to be alone and failed", {.jobs = 0, .first = Claim::job_alone}, {}, false},
      {"a job that can be interrupted", kFew, {.is_interruptible = true}, false},
      {"the same where nothing can be lost", {.jobs = 0}, {.is_interruptible = true}, true},
      {"the last that has room", {.jobs = 9}, {}, true},
      {"one too many", {.jobs = 10}, {}, false},
      {"just in time", {.jobs = 1, .run_time = microseconds(4999)}, {}, true},
      {"too late", {.jobs = 1, .run_time = milliseconds(5)}, {}, false},
      {"nearly full", {.jobs = 1, .bytes = 999}, {}, true},
      {"full", {.jobs = 1, .bytes = 1000}, {}, false},
  };
  for (const Case& one : kCases) EXPECT_EQ(joins(one.batch, one.next, kLimits), one.joins) << one.what;
}

TEST(Batch, GroupsAsAsked) {
  EXPECT_EQ(claim_of(Grouping::shared), Claim::job);
  EXPECT_EQ(claim_of(Grouping::own_thread), Claim::job_on_thread);
  EXPECT_EQ(claim_of(Grouping::alone), Claim::job_alone);
}

TEST(Lingering, WaitsForThoseWhoWereThereLastTime) {
  struct Case {
    const char* what;
    std::size_t committed;
    std::size_t waiting;
    std::size_t jobs;
    std::size_t worth_waiting_for;
  };
  constexpr Case kCases[] = {
      {"a lone writer never waits", 1, 0, 1, 0},
      {"a pair that took turns waits for each other", 1, 1, 1, 2},
      {"all are here already", 4, 4, 8, 0},
      {"more are here than last time", 4, 0, 5, 0},
      {"some are missing", 5, 3, 3, 8},
      {"nothing was committed and nobody waited", 0, 0, 1, 0},
      {"nothing was committed, and one waited", 0, 1, 1, 0},
  };
  for (const Case& one : kCases) {
    Linger linger;
    linger.committed(one.committed, one.waiting);
    EXPECT_EQ(linger.worth_waiting_for(one.jobs), one.worth_waiting_for) << one.what;
  }
  EXPECT_EQ(Linger().worth_waiting_for(1), 0U) << "the first commit";
}

TEST(Lingering, ForgetsThoseWhoDidNotComeBack) {
  Linger linger;
  linger.committed(5, 3);
  ASSERT_EQ(linger.worth_waiting_for(2), 8U);
  linger.committed(2, 0);
  EXPECT_EQ(linger.worth_waiting_for(2), 0U);
}

TEST(Looking, IsForTheFew) {
  EXPECT_EQ(looks_among(1), 32);
  EXPECT_EQ(looks_among(16), 32);
  EXPECT_EQ(looks_among(17), 8);
}

}  // namespace
}  // namespace sqlane::detail
