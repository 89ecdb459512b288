#include "sqlane/histogram.hpp"

#include <atomic>
#include <barrier>
#include <gtest/gtest.h>
#include <latch>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace sqlane {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// Records in a histogram on another thread for as long as it is there.
class Recorder {
 public:
  template <class Record>
  Recorder(Histogram& histogram, Record record)
      : thread_([this, &histogram, record] {
          record(histogram, 0);
          has_begun_.count_down();
          for (std::uint64_t round = 1; !is_over_.load(std::memory_order_relaxed); ++round) record(histogram, round);
        }) {
    has_begun_.wait();
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder() {
    is_over_ = true;
    thread_.join();
  }

 private:
  std::latch has_begun_{1};
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

constexpr int kThreads = 4;
constexpr std::uint64_t kRounds = 500;

// Runs `action(thread, round)` on all threads, which begin each round together.
template <class Action>
void run_at_once(Action action) {
  std::barrier<> begin(kThreads);
  std::vector<std::jthread> all;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
    all.emplace_back([&begin, &action, thread] {
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        begin.arrive_and_wait();
        action(thread, round);
      }
    });
  }
}

TEST(Histogram, HasNoQuantilesWithoutValues) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  EXPECT_EQ(histogram.sum(), 0U);
  EXPECT_EQ(histogram.mean(), 0);
  EXPECT_EQ(histogram.count_up_to(kMost), 0U);
}

TEST(Histogram, TakesPlainNumbers) {
  Histogram histogram;
  for (const std::uint64_t value : {3U, 8U, 1U, 0U}) histogram.record_value(value);
  EXPECT_EQ(histogram.count(), 4U);
  EXPECT_EQ(histogram.sum(), 12U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 3.0);
  EXPECT_EQ(histogram.max_value(), 8U);
  EXPECT_EQ(histogram.quantile_value(0), 0U);
  EXPECT_EQ(histogram.quantile_value(0.5), 3U);
  EXPECT_EQ(histogram.quantile_value(1), 8U);
}

TEST(Histogram, TakesDurationsForNumbersOfNanoseconds) {
  Histogram histogram;
  histogram.record(std::chrono::milliseconds(2));
  histogram.record(std::chrono::milliseconds(5));
  EXPECT_EQ(histogram.sum(), 7'000'000U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 3'500'000);
  EXPECT_EQ(histogram.max(), std::chrono::milliseconds(5));
}

TEST(Histogram, TakesEveryNumber) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (const std::uint64_t value : {(std::uint64_t{1} << bits) - 1, std::uint64_t{1} << bits, kMost >> bits}) {
      Histogram histogram;
      histogram.record_value(value);
      EXPECT_EQ(histogram.count(), 1U) << value;
      EXPECT_EQ(histogram.sum(), value);
      EXPECT_EQ(histogram.max_value(), value);
      EXPECT_EQ(histogram.quantile_value(0.5), value);
      EXPECT_EQ(histogram.count_up_to(value), 1U) << value;
    }
  }
}

TEST(Histogram, KeepsSmallValuesExactly) {
  Histogram histogram;
  for (int value = 0; value < 16; ++value) histogram.record(nanoseconds(value));
  EXPECT_EQ(histogram.quantile(0), nanoseconds(0));
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(8));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(15));
}

TEST(Histogram, CountsUpToSmallBoundsExactly) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 64; ++value) histogram.record_value(value);
  for (std::uint64_t bound = 0; bound < 32; ++bound) EXPECT_EQ(histogram.count_up_to(bound), bound + 1);
  EXPECT_EQ(histogram.count_up_to(32), 34U);  // 32 and 33 share a bucket
  EXPECT_EQ(histogram.count_up_to(33), 34U);
  EXPECT_EQ(histogram.count_up_to(63), 64U);
  EXPECT_EQ(histogram.count_up_to(kMost), 64U);
}

TEST(Histogram, CountsAboveABoundOnlyWhatIsWithinASixteenth) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> magnitude(0, 63);
  Histogram histogram;
  std::vector<std::uint64_t> values(10'000);
  for (std::uint64_t& value : values) {
    value = random() >> magnitude(random);
    histogram.record_value(value);
  }
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bound = random() >> magnitude(random);
    std::uint64_t least = 0;
    std::uint64_t most = 0;
    for (const std::uint64_t value : values) {
      least += value <= bound ? 1U : 0U;
      most += value <= bound || value - bound < bound / 16 ? 1U : 0U;
    }
    ASSERT_GE(histogram.count_up_to(bound), least) << bound;
    ASSERT_LE(histogram.count_up_to(bound), most) << bound;
  }
}

TEST(Histogram, TakesNegativeDurationsForZero) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  EXPECT_EQ(histogram.sum(), 0U);
}

TEST(Histogram, StaysWithinASixteenthOfTheTruth) {
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

TEST(Histogram, HasNoQuantileAboveItsMaximum) {
  Histogram histogram;
  histogram.record(nanoseconds(1000));  // of the bucket up to 1023
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(1000));
  EXPECT_EQ(histogram.quantile(1), nanoseconds(1000));
}

TEST(Histogram, MergesCountsSumAndMaximum) {
  Histogram histogram;
  histogram.record(nanoseconds(1));
  Histogram other;
  other.record(nanoseconds(7));
  other.record(nanoseconds(9));
  histogram.merge(other);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.max(), nanoseconds(9));
  EXPECT_EQ(histogram.sum(), 17U);
  EXPECT_EQ(histogram.quantile(0.5), nanoseconds(7));
  histogram.merge(Histogram());
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.max(), nanoseconds(9));
}

TEST(Histogram, MergesWithItself) {
  Histogram histogram;
  histogram.record_value(5);
  histogram.record_value(6);
  histogram.merge(histogram);
  EXPECT_EQ(histogram.count(), 4U);
  EXPECT_EQ(histogram.sum(), 22U);
  EXPECT_EQ(histogram.max_value(), 6U);
}

TEST(Histogram, IsCopiedWhole) {
  Histogram histogram;
  histogram.record_value(5);
  histogram.record_value(100);
  const Histogram copy(histogram);
  histogram.record_value(1000);
  EXPECT_EQ(copy.count(), 2U);
  EXPECT_EQ(copy.sum(), 105U);
  EXPECT_EQ(copy.max_value(), 100U);
  EXPECT_EQ(copy.count_up_to(5), 1U);
}

TEST(Histogram, IsReplacedByAssignment) {
  Histogram histogram;
  histogram.record(nanoseconds(100));
  Histogram other;
  other.record(nanoseconds(3));
  histogram = other;
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.max(), nanoseconds(3));
  EXPECT_EQ(histogram.sum(), 3U);
  const Histogram& same = histogram;
  histogram = same;
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(Histogram, LosesNothingThatSeveralThreadsRecord) {
  constexpr std::uint64_t kValues = 1024;  // a round
  Histogram histogram;
  run_at_once([&](std::uint64_t, std::uint64_t) {
    for (std::uint64_t i = 0; i < kValues; ++i) histogram.record_value(i % 32);
  });
  constexpr std::uint64_t kAll = kThreads * kRounds * kValues;
  EXPECT_EQ(histogram.count(), kAll);
  EXPECT_EQ(histogram.sum(), kAll * 31 / 2);
  for (std::uint64_t value = 0; value < 32; ++value) {
    EXPECT_EQ(histogram.count_up_to(value), (value + 1) * kAll / 32);
  }
}

TEST(Histogram, NeverForgetsAMaximumForASmallerOneOfAnotherThread) {
  constexpr std::uint64_t kValues = 1000;  // a round
  Histogram histogram;
  std::atomic<std::uint64_t> forgotten = 0;
  run_at_once([&](std::uint64_t thread, std::uint64_t round) {
    for (std::uint64_t i = 0; i < kValues; ++i) {
      const std::uint64_t value = (round * kValues + i) * kThreads + thread;
      histogram.record_value(value);
      if (histogram.max_value() < value) ++forgotten;
    }
  });
  EXPECT_EQ(forgotten, 0U);
  EXPECT_EQ(histogram.max_value(), kRounds * kValues * kThreads - 1);
}

TEST(Histogram, LosesNothingThatSeveralThreadsMerge) {
  constexpr std::uint64_t kMerges = 10;  // a round
  Histogram own;
  own.record_value(7);
  own.record_value(1000);
  Histogram histogram;
  run_at_once([&](std::uint64_t, std::uint64_t) {
    for (std::uint64_t i = 0; i < kMerges; ++i) histogram.merge(own);
  });
  constexpr std::uint64_t kAll = kThreads * kRounds * kMerges;
  EXPECT_EQ(histogram.count(), 2 * kAll);
  EXPECT_EQ(histogram.count_up_to(7), kAll);
  EXPECT_EQ(histogram.sum(), 1007 * kAll);
  EXPECT_EQ(histogram.max_value(), 1000U);
}

TEST(Histogram, HasTheSumOfWhatItCountsWhileOthersRecord) {
  constexpr std::uint64_t kValue = 10'000'000'000;  // so large that a copy comes to it late
  Histogram histogram;
  const Recorder recorder(histogram, [](Histogram& target, std::uint64_t) { target.record_value(kValue); });
  for (int i = 0; i < 5000; ++i) {
    const Histogram copy(histogram);
    ASSERT_GE(copy.sum(), kValue * copy.count());
    ASSERT_GE(histogram.mean(), static_cast<double>(kValue));
  }
}

TEST(Histogram, HasTheMaximumOfWhatItCountsWhileOthersRecord) {
  for (int i = 0; i < 50; ++i) {
    Histogram histogram;
    const Recorder recorder(histogram, [](Histogram& target, std::uint64_t round) { target.record_value(round); });
    for (int j = 0; j < 20; ++j) {
      const Histogram copy(histogram);
      ASSERT_EQ(copy.count_up_to(copy.max_value()), copy.count());
    }
  }
}

TEST(Histogram, HasQuantilesWhileOthersRecord) {
  Histogram histogram;
  const Recorder recorder(histogram, [](Histogram& target, std::uint64_t) {
    target.record_value(1'000'000);
    target.record_value(3);
  });
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(histogram.quantile_value(0), 3U);
    ASSERT_EQ(histogram.quantile_value(1), 1'000'000U);
  }
}

}  // namespace
}  // namespace sqlane
