#include "sqlane/histogram.hpp"

#include <gtest/gtest.h>
#include <random>

namespace sqlane {
namespace {

using std::chrono::nanoseconds;

TEST(Histogram, HasNoQuantilesWithoutValues) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(Histogram, KeepsSmallValuesExactly) {
  Histogram histogram;
  for (int value = 0; value < 16; ++value) histogram.record(nanoseconds(value));
  EXPECT_EQ(histogram.quantile(0), nanoseconds(0));
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(8));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(15));
}

TEST(Histogram, TakesNegativeDurationsForZero) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(Histogram, StaysWithinSixPercentOfTheTruth) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> magnitude(0, 40);
  for (int i = 0; i < 10'000; ++i) {
    Histogram histogram;
    const auto value = static_cast<std::int64_t>(random() >> (63 - magnitude(random)));
    histogram.record(nanoseconds(value));
    histogram.record(nanoseconds::max());  // so that the answer is the bucket's, not the maximum
    const std::int64_t answer = histogram.quantile(0.4).count();
    ASSERT_GE(answer, value);
    ASSERT_LE(static_cast<double>(answer), static_cast<double>(value) * (1 + 1.0 / 16)) << value;
  }
}

TEST(Histogram, MergesCountsAndMaximum) {
  Histogram histogram;
  histogram.record(nanoseconds(1));
  Histogram other;
  other.record(nanoseconds(7));
  other.record(nanoseconds(9));
  histogram.merge(other);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.max(), nanoseconds(9));
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(7));
}

TEST(Histogram, IsReplacedByAssignment) {
  Histogram histogram;
  histogram.record(nanoseconds(100));
  Histogram other;
  other.record(nanoseconds(3));
  histogram = other;
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), nanoseconds(3));
}

}  // namespace
}  // namespace sqlane
