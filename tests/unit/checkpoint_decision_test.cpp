#include <limits>
#include <ostream>

#include "care/checkpoint_governor.hpp"

namespace sqlane::detail {

void PrintTo(CheckpointStep step, std::ostream* out) {
  *out << (step == CheckpointStep::none ? "none" : step == CheckpointStep::copy ? "copy" : "reset");
}

namespace {

TEST(CheckpointDecision, FollowsTheGrowthOfTheLog) {
  struct Case {
    const char* why;
    int wal_pages;
    CheckpointHistory history;
    CheckpointStep step;
  };
  constexpr int kEvery = 100;
  constexpr Case kCases[] = {
      {"an empty log", 0, {}, CheckpointStep::none},
      {"one page short", 99, {}, CheckpointStep::none},
      {"grown enough", 100, {}, CheckpointStep::copy},
      {"grown, but not since the last copy", 199, {.pages_at_last_copy = 100}, CheckpointStep::none},
      {"grown again since the last copy", 200, {.pages_at_last_copy = 100}, CheckpointStep::copy},
      {"one page short of four times the usual", 399, {.pages_at_last_copy = 200}, CheckpointStep::copy},
      {"four times the usual size", 400, {.pages_at_last_copy = 300}, CheckpointStep::reset},
      {"four times the usual size in one commit", 5000, {}, CheckpointStep::reset},
      {"large, but copied just now", 450, {.pages_at_last_copy = 400}, CheckpointStep::none},
      {"after a reset in vain, before the log has doubled",
       799,
       {.pages_at_last_copy = 600, .pages_at_last_reset = 400},
       CheckpointStep::copy},
      {"after a reset in vain, when the log has doubled",
       800,
       {.pages_at_last_copy = 700, .pages_at_last_reset = 400},
       CheckpointStep::reset},
      {"a reset in vain on a small log does not bring the next forward",
       399,
       {.pages_at_last_copy = 200, .pages_at_last_reset = 10},
       CheckpointStep::copy},
      {"after a reset that worked", 500, {.pages_at_last_copy = 400, .pages_at_last_reset = 0}, CheckpointStep::reset},
  };
  for (const Case& one : kCases) EXPECT_EQ(decide_checkpoint(one.wal_pages, kEvery, one.history), one.step) << one.why;
}

TEST(CheckpointDecision, CopiesAfterEveryCommitWhenAskedToAfterEveryPage) {
  EXPECT_EQ(decide_checkpoint(0, 1, {}), CheckpointStep::none);
  EXPECT_EQ(decide_checkpoint(1, 1, {}), CheckpointStep::copy);
  EXPECT_EQ(decide_checkpoint(2, 1, {.pages_at_last_copy = 1}), CheckpointStep::copy);
  EXPECT_EQ(decide_checkpoint(4, 1, {.pages_at_last_copy = 3}), CheckpointStep::reset);
}

TEST(CheckpointDecision, HoldsForTheLargestInterval) {
  constexpr int kLargest = std::numeric_limits<int>::max() / 8;
  EXPECT_EQ(decide_checkpoint(kLargest - 1, kLargest, {}), CheckpointStep::none);
  EXPECT_EQ(decide_checkpoint(kLargest, kLargest, {}), CheckpointStep::copy);
  EXPECT_EQ(decide_checkpoint(std::numeric_limits<int>::max(), kLargest, {}), CheckpointStep::reset);
}

}  // namespace
}  // namespace sqlane::detail
