#include "cli/report.hpp"

#include <nlohmann/json.hpp>

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// With every run of blanks made one.
std::string squeeze(const std::string& text) {
  std::string squeezed;
  for (const char c : text) {
    if (c != ' ' || !squeezed.ends_with(' ')) squeezed += c;
  }
  return squeezed;
}

DemoReport sample() {
  DemoReport report;
  report.options.threads = 3;
  report.sqlane.elapsed = 2s;
  report.peer.elapsed = 2s;
  for (int i = 0; i < 50'000; ++i) report.sqlane.reads.record(10us);
  report.sqlane.reads.record(2s);
  report.peer.writes.record(3ms);
  report.peer.writes.record(500ns);
  report.peer.busy_errors = 7;
  report.acknowledged = 12;
  report.integrity = "ok";
  return report;
}

TEST(Report, PutsTheTwoSideBySide) {
  const std::string text = squeeze(format_report(sample()));
  EXPECT_TRUE(contains(text, "operations 25.0 k/s 1/s\n")) << text;
  EXPECT_TRUE(contains(text, "max 2.00 s 0 ns\n")) << text;
  EXPECT_TRUE(contains(text, "p99 0 ns 3.0 ms\n")) << text;
  EXPECT_TRUE(contains(text, "BUSY errors 0 7\n")) << text;
  EXPECT_TRUE(contains(text, "12 writes acknowledged, 0 of them missing; integrity_check ok")) << text;
}

TEST(Report, TellsOfErrorsAndMisses) {
  DemoReport report = sample();
  report.sqlane.first_error = "the disk is on fire";
  report.peer.misses = 3;
  const std::string text = format_report(report);
  EXPECT_TRUE(contains(text, "first error: the disk is on fire")) << text;
  EXPECT_TRUE(contains(text, "3 look-ups found nothing")) << text;
}

TEST(Report, IsProvenOnlyWhenNothingIsMissingAndNothingFailed) {
  DemoReport report = sample();
  EXPECT_TRUE(report.is_proven());
  report.missing = 1;
  EXPECT_FALSE(report.is_proven());
  report = sample();
  report.integrity = "row 1 missing from index";
  EXPECT_FALSE(report.is_proven());
  report = sample();
  report.sqlane.other_errors = 1;
  EXPECT_FALSE(report.is_proven());
}

TEST(Report, GivesTheSameAsJson) {
  const nlohmann::json json = to_json(sample());
  EXPECT_EQ(json["sqlane"]["reads"]["count"], 50'001);
  EXPECT_EQ(json["sqlane"]["reads"]["max_ns"], 2'000'000'000);
  EXPECT_EQ(json["connection_per_thread"]["busy_errors"], 7);
  EXPECT_EQ(json["proof"]["integrity_check"], "ok");
  EXPECT_EQ(json["threads"], 3);
}

TEST(Report, ShowsAGlanceInOneLine) {
  const LoadGlance glance{.elapsed = 1500ms, .operations_per_second = 1234, .read_p50 = 5us, .waiting = 42};
  const std::string line = format_glance("sqlane", glance, 4'120'000);
  EXPECT_TRUE(contains(line, "1.5 s")) << line;
  EXPECT_TRUE(contains(line, "1234/s")) << line;
  EXPECT_TRUE(contains(line, "reads 5.0 us / 0 ns")) << line;
  EXPECT_TRUE(contains(line, "waiting 42")) << line;
  EXPECT_TRUE(contains(line, "wal 4.1 MB")) << line;
  EXPECT_FALSE(contains(line, "\n"));
}

}  // namespace
}  // namespace sqlane::cli
