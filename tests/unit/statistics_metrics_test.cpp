#include <atomic>
#include <boost/pfr.hpp>
#include <chrono>
#include <cstdint>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "support/metrics_reader.hpp"
#include "support/some_statistics.hpp"

namespace sqlane {
namespace {

using testing::complaint_about;
using testing::kMost;
using testing::Metrics;
using testing::named;
using testing::read_metrics;
using testing::some_statistics;

TEST(StatisticsAsMetrics, HaveAFamilyForEveryField) {
  const Metrics metrics = read_metrics(some_statistics().to_prometheus());
  constexpr std::size_t kOthers = 4;  // the label, and the parts that have families of their own
  EXPECT_EQ(metrics.types.size(),
            boost::pfr::tuple_size_v<DatabaseStatistics> - kOthers + boost::pfr::tuple_size_v<PoolStatistics> +
                boost::pfr::tuple_size_v<LaneStatistics> + boost::pfr::tuple_size_v<StatementStatistics>);
}

TEST(StatisticsAsMetrics, HaveTheValueOfEveryField) {
  const std::map<std::string, std::string> expected{
      {"sqlane_readers_limit", "8"},
      {"sqlane_readers_open", "7"},
      {"sqlane_readers_idle", "4"},
      {"sqlane_readers_in_use", "3"},
      {"sqlane_readers_waiting", "2"},
      {"sqlane_readers_acquires_total", "1001"},
      {"sqlane_readers_waits_total", "102"},
      {"sqlane_readers_timeouts_total", "103"},
      {"sqlane_readers_fallbacks_total", "104"},
      {"sqlane_readers_created_total", "105"},
      {"sqlane_readers_failed_creations_total", "106"},
      {"sqlane_readers_refused_creations_total", "107"},
      {"sqlane_readers_cleaned_total", "108"},
      {"sqlane_readers_validations_total", "109"},
      {"sqlane_readers_overstayed_total", "110"},
      {"sqlane_readers_interrupted_total", "111"},
      {"sqlane_readers_recovered_total", "112"},
      {"sqlane_readers_wait_seconds_sum", "4.5e-06"},
      {"sqlane_readers_wait_seconds_count", "1000"},
      {"sqlane_readers_hold_seconds_sum", "1.500001"},
      {"sqlane_readers_hold_seconds_count", "2"},
      {"sqlane_lane_waiting", "301"},
      {"sqlane_lane_posted", "302"},
      {"sqlane_lane_commits_total", "303"},
      {"sqlane_lane_jobs_total", "304"},
      {"sqlane_lane_guards_total", "305"},
      {"sqlane_lane_batch_size_sum", "104"},
      {"sqlane_lane_batch_size_count", "4"},
      {"sqlane_statements_hits_total", "401"},
      {"sqlane_statements_prepared_total", "402"},
      {"sqlane_busy_waits_total", "501"},
      {"sqlane_errors_total", "502"},
      {"sqlane_checkpoints_total", "503"},
      {"sqlane_fallback_reads_total", "504"},
      {"sqlane_wal_bytes", "505"},
  };
  std::map<std::string, std::string> found;
  for (const auto& [series, value] : read_metrics(some_statistics().to_prometheus()).samples) {
    const std::size_t labels = series.find("{database=\"app.db\"}");
    if (labels != std::string::npos) found.emplace(series.substr(0, labels), value);
  }
  EXPECT_EQ(found, expected);
}

TEST(StatisticsAsMetrics, TellCountersFromGauges) {
  const Metrics metrics = read_metrics(some_statistics().to_prometheus());
  std::set<std::string> gauges;
  for (const auto& [family, type] : metrics.types) {
    if (type == "gauge") gauges.insert(family);
  }
  EXPECT_EQ(gauges, (std::set<std::string>{"sqlane_readers_state", "sqlane_readers_limit", "sqlane_readers_open",
                                           "sqlane_readers_idle", "sqlane_readers_in_use", "sqlane_readers_waiting",
                                           "sqlane_lane_waiting", "sqlane_lane_posted", "sqlane_wal_bytes"}));
}

TEST(StatisticsAsMetrics, HaveAOneForTheStateAndZerosForTheOthers) {
  constexpr PoolState kStates[] = {PoolState::active, PoolState::draining, PoolState::closed};
  for (const PoolState now : kStates) {
    const Metrics metrics = read_metrics(DatabaseStatistics{.readers = {.state = now}}.to_prometheus());
    for (const PoolState state : kStates) {
      const std::string series = "sqlane_readers_state{database=\"\",state=\"" + std::string(to_string(state)) + "\"}";
      EXPECT_EQ(metrics.at(series), state == now ? "1" : "0") << series << " when " << to_string(now);
    }
  }
}

TEST(StatisticsAsMetrics, HaveASampleForEveryReason) {
  const Metrics metrics = read_metrics(some_statistics().to_prometheus());
  for (std::size_t i = 0; i < kCloseReasons; ++i) {
    const std::string reason(to_string(static_cast<CloseReason>(i)));
    EXPECT_EQ(metrics.at("sqlane_readers_closed_total{database=\"app.db\",reason=\"" + reason + "\"}"),
              std::to_string(201 + i));
  }
}

TEST(StatisticsAsMetrics, CountTimesInSeconds) {
  DatabaseStatistics statistics = named("app.db");
  Histogram& times = statistics.readers.wait_times;
  std::uint64_t value = 100;  // ns
  for (std::uint64_t i = 1; i <= 9; ++i, value *= 10) {
    for (std::uint64_t j = 0; j < i; ++j) times.record_value(value);
  }
  times.record_value(value);
  const Metrics metrics = read_metrics(statistics.to_prometheus());
  constexpr std::pair<const char*, const char*> kBuckets[] = {
      {"1e-06", "3"}, {"1e-05", "6"}, {"1e-04", "10"}, {"0.001", "15"}, {"0.01", "21"},
      {"0.1", "28"},  {"1", "36"},    {"10", "45"},    {"+Inf", "46"},
  };
  for (const auto& [bound, count] : kBuckets) {
    const std::string series = "sqlane_readers_wait_seconds_bucket{database=\"app.db\",le=\"" + std::string(bound);
    EXPECT_EQ(metrics.at(series + "\"}"), count) << bound;
  }
}

TEST(StatisticsAsMetrics, CountBatchesByTheirSize) {
  DatabaseStatistics statistics = named("app.db");
  for (std::uint64_t jobs = 1; jobs <= 20; ++jobs) statistics.lane.batch_sizes.record_value(jobs);
  for (const std::uint64_t jobs : {50U, 100U, 200U, 500U, 1000U, 1100U}) {
    statistics.lane.batch_sizes.record_value(jobs);
  }
  const Metrics metrics = read_metrics(statistics.to_prometheus());
  constexpr std::pair<const char*, const char*> kBuckets[] = {
      {"1", "1"},    {"2", "2"},    {"5", "5"},    {"10", "10"},   {"20", "20"},   {"50", "21"},
      {"100", "22"}, {"200", "23"}, {"500", "24"}, {"1000", "25"}, {"+Inf", "26"},
  };
  for (const auto& [bound, count] : kBuckets) {
    const std::string series = "sqlane_lane_batch_size_bucket{database=\"app.db\",le=\"" + std::string(bound);
    EXPECT_EQ(metrics.at(series + "\"}"), count) << bound;
  }
}

TEST(StatisticsAsMetrics, EscapeTheLabel) {
  const std::string text = named("C:\\a\"b\nc\td").to_prometheus();
  const Metrics metrics = read_metrics(text);
  EXPECT_EQ(metrics.at("sqlane_errors_total{database=\"C:\\\\a\\\"b\\nc\td\"}"), "0") << text;
}

TEST(StatisticsAsMetrics, AreWellFormedWhateverTheyAre) {
  EXPECT_EQ(complaint_about(DatabaseStatistics().to_prometheus()), "");
  for (int c = 0; c < 0x100; ++c) {
    EXPECT_EQ(complaint_about(named(std::string(1, static_cast<char>(c))).to_prometheus()), "") << c;
  }
  DatabaseStatistics most{.errors = kMost};
  most.readers.hold_times.record_value(kMost);
  const Metrics metrics = read_metrics(most.to_prometheus());
  EXPECT_EQ(metrics.at("sqlane_errors_total{database=\"\"}"), std::to_string(kMost));
  EXPECT_EQ(metrics.at("sqlane_readers_hold_seconds_bucket{database=\"\",le=\"10\"}"), "0");
}

// writer                        reader
// records, over and over        every text is consistent by itself
TEST(StatisticsAsMetrics, AddUpWhileOthersRecord) {
  DatabaseStatistics statistics;
  std::atomic<bool> is_over = false;
  std::latch has_begun(1);
  std::thread writer([&] {
    for (bool is_first = true; !is_over.load(std::memory_order_relaxed); is_first = false) {
      for (const int time : {500, 5'000'000, 500'000'000}) {
        statistics.readers.wait_times.record(std::chrono::nanoseconds(time));
      }
      if (is_first) has_begun.count_down();
    }
  });
  has_begun.wait();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(complaint_about(statistics.to_prometheus()), "");
  is_over = true;
  writer.join();
}

}  // namespace
}  // namespace sqlane
