#include <array>
#include <cstdint>
#include <locale>
#include <string>

#include "support/some_statistics.hpp"

namespace sqlane {
namespace {

using testing::kMost;
using testing::some_statistics;

TEST(PoolStatistics, KnowsTheShareOfAcquiresThatFoundAReaderMadeBefore) {
  struct Case {
    std::uint64_t acquires;
    std::uint64_t created;
    double ratio;
  };
  constexpr Case kCases[] = {
      {0, 0, 0}, {0, 3, 0}, {1, 0, 1}, {4, 1, 0.75}, {4, 4, 0}, {4, 5, 0}, {kMost, 0, 1}, {kMost, kMost, 0},
  };
  for (const auto& [acquires, created, ratio] : kCases) {
    const PoolStatistics pool{.acquires = acquires, .created = created};
    EXPECT_DOUBLE_EQ(pool.reuse_ratio(), ratio) << created << " made for " << acquires;
  }
}

TEST(PoolStatistics, KnowsTheShareOfReadersInUse) {
  struct Case {
    std::size_t limit;
    std::size_t in_use;
    double share;
  };
  constexpr Case kCases[] = {{0, 0, 0}, {8, 0, 0}, {8, 2, 0.25}, {8, 8, 1}, {8, 10, 1}, {0, 1, 1}};
  for (const auto& [limit, in_use, share] : kCases) {
    const PoolStatistics pool{.limit = limit, .in_use = in_use};
    EXPECT_DOUBLE_EQ(pool.utilisation(), share) << in_use << " of " << limit;
  }
}

TEST(PoolStatistics, KnowsHowManyWereClosedForAReason) {
  const PoolStatistics pool = some_statistics().readers;
  EXPECT_EQ(pool.closed_for(CloseReason::broken), 201U);
  EXPECT_EQ(pool.closed_for(CloseReason::pool_closed), 209U);
}

TEST(Statistics, HaveANameForEveryState) {
  EXPECT_EQ(to_string(PoolState::active), "active");
  EXPECT_EQ(to_string(PoolState::draining), "draining");
  EXPECT_EQ(to_string(PoolState::closed), "closed");
  EXPECT_EQ(to_string(ResourceState::idle), "idle");
  EXPECT_EQ(to_string(ResourceState::in_use), "in_use");
  EXPECT_EQ(to_string(ResourceState::closed), "closed");
  EXPECT_EQ(to_string(ResourceState::error), "error");
  EXPECT_EQ(to_string(Verdict::healthy), "healthy");
  EXPECT_EQ(to_string(Verdict::degraded), "degraded");
  EXPECT_EQ(to_string(Verdict::unhealthy), "unhealthy");
}

TEST(Statistics, HaveANameForEveryReason) {
  constexpr std::array<std::string_view, kCloseReasons> kNames{"broken", "invalid",  "errors",    "uses",       "age",
                                                               "idle",   "overflow", "shrinking", "pool_closed"};
  for (std::size_t i = 0; i < kNames.size(); ++i) EXPECT_EQ(to_string(static_cast<CloseReason>(i)), kNames[i]);
}

TEST(Statistics, SayWhenAValueHasNoName) {
  EXPECT_EQ(to_string(static_cast<PoolState>(200)), "unknown");
  EXPECT_EQ(to_string(static_cast<ResourceState>(200)), "unknown");
  EXPECT_EQ(to_string(static_cast<CloseReason>(200)), "unknown");
  EXPECT_EQ(to_string(static_cast<Verdict>(200)), "unknown");
}

// Numbers as no format has them: 1.234,5
class ForeignNumbers final : public std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(Statistics, AreWrittenTheSameInEveryLocale) {
  const DatabaseStatistics statistics = some_statistics();
  const std::string as_json = statistics.to_json();
  const std::string as_metrics = statistics.to_prometheus();
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new ForeignNumbers));
  EXPECT_EQ(statistics.to_json(), as_json);
  EXPECT_EQ(statistics.to_prometheus(), as_metrics);
  std::locale::global(before);
}

}  // namespace
}  // namespace sqlane
