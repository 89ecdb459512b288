#include "sqlane/statistics.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/pfr.hpp>
#include <charconv>
#include <cmath>
#include <latch>
#include <limits>
#include <locale>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using nlohmann::json;
using testing::mentions;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// What a text of metrics says.
struct Metrics {
  std::map<std::string, std::string> types;    // of families
  std::map<std::string, std::string> samples;  // by name and labels, as they are written

  [[nodiscard]] std::string at(const std::string& series) const {
    const auto found = samples.find(series);
    return found == samples.end() ? "none" : found->second;
  }
};

// Reads the Prometheus text format 0.0.4, and is stricter than that: a family is
// HELP, TYPE and samples, in this order and never again; a name says its unit and
// kind; a histogram is whole, and its buckets add up. Whatever else is an error.
// https://prometheus.io/docs/instrumenting/exposition_formats/
class MetricsReader {
 public:
  explicit MetricsReader(std::string_view text) : rest_(text) {}

  Metrics read() {
    while (!rest_.empty()) read_family();
    return std::move(metrics_);
  }

 private:
  struct Sample {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };

  void expect(bool holds, const char* what) const {
    if (!holds) throw std::runtime_error(std::string(what) + " in \"" + std::string(line_) + "\"");
  }

  void next_line() {
    const std::size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    expect(end != std::string_view::npos, "an unfinished line");
    expect(!line_.empty(), "an empty line");
    rest_.remove_prefix(end + 1);
  }

  static bool take(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) return false;
    text.remove_prefix(start.size());
    return true;
  }

  // [a-z_][a-z0-9_]*
  std::string take_name(std::string_view& text) const {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
    constexpr std::string_view kAll = "abcdefghijklmnopqrstuvwxyz_0123456789";
    const std::size_t size = std::min(text.find_first_not_of(kAll), text.size());
    expect(size > 0 && kLetters.find(text.front()) != std::string_view::npos, "no name");
    const std::string name(text.substr(0, size));
    text.remove_prefix(size);
    return name;
  }

  std::string take_quoted(std::string_view& text) const {
    expect(take(text, "\""), "no quote");
    std::string value;
    while (!take(text, "\"")) {
      expect(!text.empty(), "no closing quote");
      if (take(text, "\\")) {
        expect(text.starts_with('n') || text.starts_with('"') || text.starts_with('\\'), "an unknown escape");
        value += text.front() == 'n' ? '\n' : text.front();
      } else {
        value += text.front();
      }
      text.remove_prefix(1);
    }
    json(value).dump();  // throws unless it is UTF-8
    return value;
  }

  double number(std::string_view text) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    expect(error == std::errc() && end == text.data() + text.size(), "no number");
    expect(std::isfinite(value) && value >= 0, "a number that nothing can have");
    return value;
  }

  void read_family() {
    next_line();
    std::string_view text = line_;
    expect(take(text, "# HELP "), "no HELP");
    family_ = take_name(text);
    expect(family_.starts_with("sqlane_"), "a foreign name");
    expect(take(text, " ") && text.size() > 1 && text.ends_with('.'), "no help");
    expect(helps_.insert(std::string(text)).second, "help for two families");

    next_line();
    text = line_;
    expect(take(text, "# TYPE ") && take(text, family_) && take(text, " "), "no TYPE");
    const std::string type(text);
    expect(type == "counter" || type == "gauge" || type == "histogram", "an unknown type");
    expect(family_.ends_with("_total") == (type == "counter"), "a name of another type");
    expect(metrics_.types.emplace(family_, type).second, "a family again");

    std::vector<Sample> samples;
    while (!rest_.empty() && !rest_.starts_with('#')) samples.push_back(read_sample());
    expect(!samples.empty(), "a family without samples");
    if (type == "histogram") {
      check_histogram(samples);
    } else {
      for (const Sample& sample : samples) expect(sample.name == family_, "a sample of no family");
    }
  }

  Sample read_sample() {
    next_line();
    std::string_view text = line_;
    Sample sample{.name = take_name(text)};
    std::set<std::string> names;
    expect(take(text, "{"), "no labels");
    do {
      std::string name = take_name(text);
      expect(!name.starts_with("__") && names.insert(name).second, "a label that cannot be");
      expect(take(text, "="), "no value of a label");
      sample.labels.emplace_back(std::move(name), take_quoted(text));
    } while (take(text, ","));
    expect(sample.labels.front().first == "database", "no database");
    expect(take(text, "} "), "no end of labels");
    sample.value = number(text);
    const std::string series(line_.substr(0, line_.size() - text.size() - 1));
    expect(metrics_.samples.emplace(series, text).second, "a sample again");
    return sample;
  }

  void check_histogram(const std::vector<Sample>& samples) const {
    expect(samples.size() > 3, "a histogram without buckets");
    const Sample& last = samples[samples.size() - 3];
    double bound = 0;
    double count = 0;
    for (const Sample* bucket = samples.data(); bucket <= &last; ++bucket) {
      expect(bucket->name == family_ + "_bucket", "no bucket");
      expect(bucket->labels.size() == 2 && bucket->labels.back().first == "le", "no bound");
      expect((bucket->labels.back().second == "+Inf") == (bucket == &last), "an infinity elsewhere than at the end");
      if (bucket != &last) {
        expect(number(bucket->labels.back().second) > bound, "bounds that do not rise");
        bound = number(bucket->labels.back().second);
      }
      expect(bucket->value >= count, "buckets that do not add up");
      count = bucket->value;
    }
    const Sample& sum = samples[samples.size() - 2];
    expect(sum.name == family_ + "_sum" && sum.labels.size() == 1, "no sum");
    const Sample& all = samples.back();
    expect(all.name == family_ + "_count" && all.labels.size() == 1 && all.value == count, "another count");
  }

  std::string_view rest_;
  std::string_view line_;
  std::string family_;
  std::set<std::string> helps_;
  Metrics metrics_;
};

Metrics read_metrics(const std::string& text) { return MetricsReader(text).read(); }

// Empty when there is none.
std::string complaint_about(const std::string& text) try {
  read_metrics(text);
  return "";
} catch (const std::exception& error) {
  return error.what();
}

// Every number is another one, and no histogram is empty.
DatabaseStatistics some_statistics() {
  DatabaseStatistics all{
      .database = "app.db",
      .readers = {.state = PoolState::draining,
                  .limit = 8,
                  .total = 7,
                  .idle = 4,
                  .in_use = 3,
                  .waiting = 2,
                  .acquires = 1001,
                  .waits = 102,
                  .timeouts = 103,
                  .fallbacks = 104,
                  .created = 105,
                  .failed_creations = 106,
                  .refused_creations = 107,
                  .closed = {201, 202, 203, 204, 205, 206, 207, 208, 209},
                  .cleaned = 108,
                  .validations = 109,
                  .overstayed = 110,
                  .interrupted = 111,
                  .recovered = 112},
      .lane = {.waiting = 301, .posted = 302, .commits = 303, .jobs = 304, .guards = 305},
      .statements = {.hits = 401, .prepared = 402},
      .busy_waits = 501,
      .errors = 502,
      .checkpoints = 503,
      .fallback_reads = 504,
      .wal_bytes = 505,
  };
  for (std::uint64_t value = 0; value < 1000; ++value) all.readers.wait_times.record_value(value % 10);
  all.readers.hold_times.record(std::chrono::microseconds(1));
  all.readers.hold_times.record(std::chrono::milliseconds(1500));
  for (const std::uint64_t jobs : {1U, 1U, 2U, 100U}) all.lane.batch_sizes.record_value(jobs);
  return all;
}

DatabaseStatistics named(std::string database) { return {.database = std::move(database)}; }

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

TEST(StatisticsAsJson, HaveAMemberForEveryField) {
  const json all = json::parse(some_statistics().to_json());
  EXPECT_EQ(all.size(), boost::pfr::tuple_size_v<DatabaseStatistics>);
  EXPECT_EQ(all["readers"].size(), boost::pfr::tuple_size_v<PoolStatistics>);
  EXPECT_EQ(all["readers"]["closed"].size(), kCloseReasons);
  EXPECT_EQ(all["lane"].size(), boost::pfr::tuple_size_v<LaneStatistics>);
  EXPECT_EQ(all["statements"].size(), boost::pfr::tuple_size_v<StatementStatistics>);
}

TEST(StatisticsAsJson, HaveTheValueOfEveryField) {
  const json expected = json::parse(R"({
    "database": "app.db",
    "readers": {
      "state": "draining", "limit": 8, "total": 7, "idle": 4, "in_use": 3, "waiting": 2,
      "acquires": 1001, "waits": 102, "timeouts": 103, "fallbacks": 104, "created": 105, "failed_creations": 106,
      "refused_creations": 107,
      "closed": {"broken": 201, "invalid": 202, "errors": 203, "uses": 204, "age": 205, "idle": 206, "overflow": 207,
                 "shrinking": 208, "pool_closed": 209},
      "cleaned": 108, "validations": 109, "overstayed": 110, "interrupted": 111, "recovered": 112,
      "wait_times": {"count": 1000, "mean": 4.5, "p50": 5, "p90": 9, "p99": 9, "p999": 9, "max": 9},
      "hold_times": {"count": 2, "mean": 750000500, "p50": 1500000000, "p90": 1500000000, "p99": 1500000000,
                     "p999": 1500000000, "max": 1500000000}
    },
    "lane": {
      "waiting": 301, "posted": 302, "commits": 303, "jobs": 304, "guards": 305,
      "batch_sizes": {"count": 4, "mean": 26, "p50": 2, "p90": 100, "p99": 100, "p999": 100, "max": 100}
    },
    "statements": {"hits": 401, "prepared": 402},
    "busy_waits": 501, "errors": 502, "checkpoints": 503, "fallback_reads": 504, "wal_bytes": 505
  })");
  const json all = json::parse(some_statistics().to_json());
  EXPECT_EQ(all, expected) << json::diff(expected, all).dump(2);
}

TEST(StatisticsAsJson, TellTheQuantilesApart) {
  DatabaseStatistics statistics;
  Histogram& times = statistics.readers.wait_times;
  for (int i = 0; i < 10'000; ++i) times.record_value(i < 6000 ? 1 : i < 9500 ? 2 : i < 9950 ? 3 : i < 9999 ? 4 : 5);
  const json expected = {{"count", 10'000}, {"mean", 1.4551}, {"p50", 1}, {"p90", 2},
                         {"p99", 3},        {"p999", 4},      {"max", 5}};
  EXPECT_EQ(json::parse(statistics.to_json())["readers"]["wait_times"], expected);
}

TEST(StatisticsAsJson, HaveIntegersWhole) {
  DatabaseStatistics statistics{.wal_bytes = kMost};
  statistics.readers.hold_times.record_value(kMost);
  const json all = json::parse(statistics.to_json());
  EXPECT_EQ(all["wal_bytes"].get<std::uint64_t>(), kMost);
  EXPECT_EQ(all["readers"]["hold_times"]["max"].get<std::uint64_t>(), kMost);
  EXPECT_EQ(all["readers"]["hold_times"]["p50"].get<std::uint64_t>(), kMost);
}

TEST(StatisticsAsJson, EscapeWhatAStringCannotHold) {
  const std::string text = named(
                               "a\"b\\ c\nd\te\x01"
                               "f\x1f"
                               "g\x7f/\u00e9\u20ac\U0001f4be")
                               .to_json();
  EXPECT_TRUE(mentions(text, "{\"database\":\"a\\\"b\\\\ c\\nd\\u0009e\\u0001f\\u001fg\x7f/\u00e9\u20ac\U0001f4be\","))
      << text;
  for (int c = 0; c < 0x80; ++c) {
    const std::string name(1, static_cast<char>(c));
    EXPECT_EQ(json::parse(named(name).to_json())["database"], name) << c;
  }
}

TEST(StatisticsAsJson, ReplaceBytesThatAreNotUtf8) {
  constexpr std::pair<const char*, const char*> kCases[] = {
      {"\xff", "\ufffd"},
      {"a\x80z", "a\ufffdz"},                            // goes on with nothing
      {"a\xc3", "a\ufffd"},                              // ends early
      {"\xc3z", "\ufffdz"},                              //
      {"\xe2\x82", "\ufffd\ufffd"},                      //
      {"\xe2\x82\"", "\ufffd\ufffd\""},                  //
      {"\xf0\x9f\x92z", "\ufffd\ufffd\ufffdz"},          //
      {"\xc0\x80", "\ufffd\ufffd"},                      // longer than need be
      {"\xc1\xbf", "\ufffd\ufffd"},                      //
      {"\xe0\x9f\xbf", "\ufffd\ufffd\ufffd"},            //
      {"\xf0\x8f\xbf\xbf", "\ufffd\ufffd\ufffd\ufffd"},  //
      {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},            // half a pair of UTF-16
      {"\xed\xbf\xbf", "\ufffd\ufffd\ufffd"},            //
      {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},  // beyond Unicode
      {"\xf8\x88\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},  //
      {"\xc2\x80\xdf\xbf", "\u0080\u07ff"},              // the first and the last of their length
      {"\xe0\xa0\x80\xef\xbf\xbf", "\u0800\uffff"},      //
      {"\xed\x9f\xbf\xee\x80\x80", "\ud7ff\ue000"},      //
      {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\U00010000\U0010ffff"},
  };
  for (const auto& [name, expected] : kCases) {
    EXPECT_EQ(json::parse(named(name).to_json())["database"], expected);
    EXPECT_EQ(complaint_about(named(name).to_prometheus()), "");
  }
}

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

TEST(MetricsReader, RefusesWhatIsNoText) {
  const std::string good =
      "# HELP sqlane_a_total As.\n# TYPE sqlane_a_total counter\nsqlane_a_total{database=\"d\"} 1\n"
      "# HELP sqlane_b Bs.\n# TYPE sqlane_b histogram\n"
      "sqlane_b_bucket{database=\"d\",le=\"1\"} 1\nsqlane_b_bucket{database=\"d\",le=\"2\"} 2\n"
      "sqlane_b_bucket{database=\"d\",le=\"+Inf\"} 2\nsqlane_b_sum{database=\"d\"} 3\n"
      "sqlane_b_count{database=\"d\"} 2\n";
  EXPECT_EQ(complaint_about(good), "");
  struct Case {
    const char* from;
    const char* to;
    const char* complaint;
  };
  constexpr Case kCases[] = {
      {"sqlane_b_count{database=\"d\"} 2\n", "sqlane_b_count{database=\"d\"} 2", "an unfinished line"},
      {"# HELP sqlane_b", "\n# HELP sqlane_b", "an empty line"},
      {"# HELP sqlane_b Bs.\n", "", "no HELP"},
      {"sqlane_a_total As", "other_a_total As", "a foreign name"},
      {"sqlane_a_total As.", "sqlane_a_total ", "no help"},
      {"Bs.", "As.", "help for two families"},
      {"# TYPE sqlane_b ", "# TYPE sqlane_c ", "no TYPE"},
      {"counter", "summary", "an unknown type"},
      {"counter", "gauge", "a name of another type"},
      {"histogram", "counter", "a name of another type"},
      {"sqlane_a_total{database=\"d\"} 1\n", "", "a family without samples"},
      {"sqlane_a_total{", "sqlane_b_total{", "a sample of no family"},
      {"sqlane_a_total{database=\"d\"}", "sqlane_a_total", "no labels"},
      {"database=\"d\"} 1", "database=\"d\",database=\"d\"} 1", "a label that cannot be"},
      {"database=\"d\"} 1", "__name=\"d\"} 1", "a label that cannot be"},
      {"database=\"d\"} 1", "other=\"d\"} 1", "no database"},
      {"database=\"d\"} 1", "9=\"d\"} 1", "no name"},
      {"\"d\"} 1", "d} 1", "no quote"},
      {"\"d\"} 1", "\"d} 1", "no closing quote"},
      {"\"d\"} 1", "\"\\d\"} 1", "an unknown escape"},
      {"\"d\"} 1", "\"\xff\"} 1", "invalid UTF-8"},
      {"\"d\"} 1", "\"d\"}1", "no end of labels"},
      {"\"d\"} 1", "\"d\"} 1,5", "no number"},
      {"\"d\"} 1", "\"d\"} -1", "a number that nothing can have"},
      {"\"d\"} 1", "\"d\"} nan", "a number that nothing can have"},
      {"sqlane_a_total{database=\"d\"} 1\n", "sqlane_a_total{database=\"d\"} 1\nsqlane_a_total{database=\"d\"} 1\n",
       "a sample again"},
      {"# HELP sqlane_b Bs.",
       "# HELP sqlane_a_total Cs.\n# TYPE sqlane_a_total counter\nsqlane_a_total{database=\"e\"} 1\n# HELP sqlane_b "
       "Bs.",
       "a family again"},
      {"le=\"1\"", "le=\"2\"", "a sample again"},
      {"le=\"1\"", "le=\"3\"", "bounds that do not rise"},
      {"le=\"1\"} 1", "le=\"1\"} 3", "buckets that do not add up"},
      {"le=\"+Inf\"", "le=\"9\"", "an infinity elsewhere than at the end"},
      {"le=\"1\"", "ge=\"1\"", "no bound"},
      {"_sum", "_total", "no sum"},
      {"_count{database=\"d\"} 2", "_count{database=\"d\"} 3", "another count"},
  };
  for (const auto& [from, to, complaint] : kCases) {
    std::string bad = good;
    bad.replace(bad.find(from), std::string_view(from).size(), to);
    EXPECT_TRUE(mentions(complaint_about(bad), complaint)) << complaint_about(bad) << " instead of " << complaint;
  }
}

}  // namespace
}  // namespace sqlane
