#include <boost/pfr.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "support/expect_error.hpp"
#include "support/metrics_reader.hpp"
#include "support/some_statistics.hpp"

namespace sqlane {
namespace {

using nlohmann::json;
using testing::complaint_about;
using testing::kMost;
using testing::mentions;
using testing::named;
using testing::some_statistics;

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

}  // namespace
}  // namespace sqlane
