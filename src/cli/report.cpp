#include "cli/report.hpp"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/format.hpp"

namespace sqlane::cli {
namespace {

double share_per_second(const Histogram& histogram, const LoadResult& load) {
  return static_cast<double>(histogram.count()) / load.elapsed.count();
}

nlohmann::json to_json(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_ns", histogram.quantile(0.5).count()},
          {"p99_ns", histogram.quantile(0.99).count()},
          {"max_ns", histogram.max().count()}};
}

nlohmann::json to_json(const LoadResult& load) {
  return {{"seconds", load.elapsed.count()},
          {"operations_per_second", load.per_second()},
          {"reads", to_json(load.reads)},
          {"writes", to_json(load.writes)},
          {"busy_errors", load.busy_errors},
          {"other_errors", load.other_errors},
          {"first_error", load.first_error},
          {"misses", load.misses},
          {"least_served_thread", load.least_served},
          {"starved_threads", load.starved}};
}

}  // namespace

std::string format_glance(const std::string& subject, const LoadGlance& glance, std::uintmax_t wal_bytes) {
  return fmt::format("{:<21} {:4.1f} s {:>10}  reads {} / {}  writes {} / {}  waiting {}  wal {:.1f} MB", subject,
                     glance.elapsed.count(), format_rate(glance.operations_per_second),
                     format_duration(glance.read_p50), format_duration(glance.read_p99),
                     format_duration(glance.write_p50), format_duration(glance.write_p99), glance.waiting,
                     static_cast<double>(wal_bytes) / 1e6);
}

std::string format_report(const DemoReport& report) {
  struct Line {
    const char* label;
    std::string (*cell)(const LoadResult&);
  };
  using L = const LoadResult&;
  constexpr std::array<Line, 13> kLines{{
      {"operations", [](L load) { return format_rate(load.per_second()); }},
      {"reads", [](L load) { return format_rate(share_per_second(load.reads, load)); }},
      {"  p50", [](L load) { return format_duration(load.reads.quantile(0.5)); }},
      {"  p99", [](L load) { return format_duration(load.reads.quantile(0.99)); }},
      {"  max", [](L load) { return format_duration(load.reads.max()); }},
      {"durable writes", [](L load) { return format_rate(share_per_second(load.writes, load)); }},
      {"  p50", [](L load) { return format_duration(load.writes.quantile(0.5)); }},
      {"  p99", [](L load) { return format_duration(load.writes.quantile(0.99)); }},
      {"  max", [](L load) { return format_duration(load.writes.max()); }},
      {"BUSY errors", [](L load) { return std::to_string(load.busy_errors); }},
      {"other errors", [](L load) { return std::to_string(load.other_errors); }},
      {"least served thread", [](L load) { return fmt::format("{} operations", load.least_served); }},
      {"starved threads", [](L load) { return std::to_string(load.starved); }},
  }};
  std::string text =
      fmt::format("\n{} threads for {:g} s, {} % of the operations write transactions, durability full\n\n",
                  report.options.threads, report.options.seconds, report.options.writes_percent);
  text += fmt::format("{:<22}{:>22}{:>24}\n", "", "sqlane", "connection per thread");
  for (const Line& line : kLines) {
    text += fmt::format("{:<22}{:>22}{:>24}\n", line.label, line.cell(report.sqlane), line.cell(report.peer));
  }
  text += "(starved: less than a tenth of the mean; connection per thread: SQLiteCpp, WAL, busy timeout 5 s)\n";
  for (const LoadResult* load : {&report.sqlane, &report.peer}) {
    if (!load->first_error.empty()) text += fmt::format("first error: {}\n", load->first_error);
    if (load->misses > 0) text += fmt::format("{} look-ups found nothing\n", load->misses);
  }
  text += fmt::format("\nproof: {} writes acknowledged, {} of them missing; integrity_check {}\n", report.acknowledged,
                      report.missing, report.integrity);
  return text;
}

nlohmann::json to_json(const DemoReport& report) {
  return {
      {"engine", report.engine},
      {"database", report.database},
      {"origin", describe(report.origin)},
      {"coordinate_systems", report.coordinate_systems},
      {"migrations_applied", report.migrations_applied},
      {"threads", report.options.threads},
      {"seconds", report.options.seconds},
      {"writes_percent", report.options.writes_percent},
      {"sqlane", to_json(report.sqlane)},
      {"connection_per_thread", to_json(report.peer)},
      {"proof",
       {{"acknowledged", report.acknowledged}, {"missing", report.missing}, {"integrity_check", report.integrity}}}};
}

}  // namespace sqlane::cli
