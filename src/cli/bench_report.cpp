#include "cli/bench_report.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/format.hpp"

namespace sqlane::cli {
namespace {

using Lines = std::vector<ScreenLine>;

void add_heading(Lines& lines, std::string_view title, std::string_view columns) {
  lines.push_back({});
  lines.push_back({fmt::format("{:<34}{}", title, columns), Color::bold});
}

std::string format_latency(const Latency& latency) {
  const bool has_p99 = latency.p99.count() > 0;
  return fmt::format("{:>11}{:>11}", format_duration(latency.median), has_p99 ? format_duration(latency.p99) : "-");
}

std::string rate_columns(std::string_view what) { return fmt::format("{:>12}{:>11}{:>11}", what, "median", "p99"); }

std::string count_threads(std::size_t threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }

void add_reads(Lines& lines, const ReadMeasurement& read, std::string_view label) {
  lines.push_back({fmt::format("  {:<32}{:>12}{}", label, format_rate(read.per_second), format_latency(read.latency))});
}

void add_writes(Lines& lines, const WriteMeasurement& write, std::string_view label) {
  lines.push_back(
      {fmt::format("  {:<32}{:>12}{}", label, format_rate(write.rows_per_second), format_latency(write.latency))});
}

void add_syncs(Lines& lines, const SyncMeasurement& sync) {
  add_heading(lines, "4 KiB written and synced", rate_columns(""));
  lines.push_back({fmt::format("  {:<44}{}", "appended", format_latency(sync.append))});
  lines.push_back({fmt::format("  {:<44}{}", "in place", format_latency(sync.overwrite))});
}

void add_all_reads(Lines& lines, const BenchMeasurements& found) {
  if (found.reads.empty()) {
    lines.push_back({});
    lines.push_back({"No table has rows that can be found by a key, so reads were not measured.", Color::yellow});
    return;
  }
  add_heading(lines, "one row by its key, in random order", fmt::format("{:>11}{:>11}{:>11}", "rows", "median", "p99"));
  for (const ReadMeasurement& read : found.reads) {
    add_reads(lines, read,
              fmt::format("{}, {}", read.mode == ReadMode::autocommit ? "each by itself" : "in one snapshot",
                          count_threads(read.threads)));
  }
  if (found.cache_reads.size() > 1) {
    for (const ReadMeasurement& read : found.cache_reads) {
      add_reads(lines, read, fmt::format("page_cache={}MiB, 1 thread", read.page_cache >> 20U));
    }
  }
}

void add_all_writes(Lines& lines, const BenchMeasurements& found) {
  add_heading(lines, "rows of about 100 bytes inserted", rate_columns("rows"));
  for (const WriteMeasurement& batch : found.batches) {
    add_writes(
        lines, batch,
        fmt::format("{}, {} row{} a transaction", name_of(batch.durability), batch.rows, batch.rows == 1 ? "" : "s"));
  }
  for (const WriteMeasurement& writer : found.writers) {
    add_writes(lines, writer, fmt::format("full, 1 row, {}", count_threads(writer.threads)));
  }
  for (const WriteMeasurement& write : found.locking) {
    add_writes(lines, write, fmt::format("normal, 1 row, {} locking", name_of(write.locking)));
  }
  for (const WriteMeasurement& write : found.checkpoints) {
    add_writes(lines, write, fmt::format("normal, checkpoint_pages={}", write.checkpoint_pages));
  }
  if (found.locking_reads.empty()) return;
  add_heading(lines, "rows read from the copy", rate_columns("rows"));
  for (const ReadMeasurement& read : found.locking_reads) {
    add_reads(lines, read, fmt::format("1 thread, {} locking", name_of(read.locking)));
  }
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + printable(part);
  return text;
}

// As valid UTF-8, whatever is in a name.
std::string as_utf8(const std::string& text) {
  return nlohmann::json::parse(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
      .get<std::string>();
}

nlohmann::json to_json(const Latency& latency) {
  nlohmann::json json = {{"count", latency.count}, {"median_ns", latency.median.count()}};
  if (latency.p99.count() > 0) json["p99_ns"] = latency.p99.count();
  if (latency.max.count() > 0) json["max_ns"] = latency.max.count();
  return json;
}

nlohmann::json to_json(const std::vector<ReadMeasurement>& reads) {
  nlohmann::json all = nlohmann::json::array();
  for (const ReadMeasurement& read : reads) {
    all.push_back({{"mode", name_of(read.mode)},
                   {"threads", read.threads},
                   {"locking", name_of(read.locking)},
                   {"page_cache", read.page_cache},
                   {"rows_per_second", read.per_second},
                   {"latency", to_json(read.latency)}});
  }
  return all;
}

nlohmann::json to_json(const std::vector<WriteMeasurement>& writes) {
  nlohmann::json all = nlohmann::json::array();
  for (const WriteMeasurement& write : writes) {
    all.push_back({{"durability", name_of(write.durability)},
                   {"rows_of_a_transaction", write.rows},
                   {"threads", write.threads},
                   {"locking", name_of(write.locking)},
                   {"checkpoint_pages", write.checkpoint_pages},
                   {"rows_per_second", write.rows_per_second},
                   {"latency", to_json(write.latency)}});
  }
  return all;
}

std::string format_tick_rate(double value) {
  if (value >= 1e6) return fmt::format("{:g} M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:g} k", value / 1e3);
  return fmt::format("{:g}", value);
}

std::string format_tick_time(double seconds) {
  if (seconds >= 1) return fmt::format("{:g} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:g} ms", seconds * 1e3);
  return fmt::format("{:g} us", seconds * 1e6);
}

// By what `x` says of each measurement that `is_meant`.
template <class Measurement, class IsMeant, class X, class Y>
ChartSeries series_of(std::string_view name, const std::vector<Measurement>& all, IsMeant is_meant, X x, Y y) {
  ChartSeries series{.name = std::string(name), .points = {}};
  for (const Measurement& one : all) {
    if (is_meant(one)) series.points.emplace_back(static_cast<double>(x(one)), y(one));
  }
  return series;
}

template <class Measurement, class X>
std::vector<double> ticks_at(const std::vector<Measurement>& all, X x) {
  std::vector<double> ticks;
  for (const Measurement& one : all) ticks.push_back(static_cast<double>(x(one)));
  std::sort(ticks.begin(), ticks.end());
  ticks.erase(std::unique(ticks.begin(), ticks.end()), ticks.end());
  return ticks;
}

constexpr auto kRowsOf = [](const WriteMeasurement& write) { return write.rows; };
constexpr auto kThreadsOf = [](const auto& one) { return one.threads; };
constexpr auto kPagesOf = [](const WriteMeasurement& write) { return write.checkpoint_pages; };
constexpr auto kRowRate = [](const WriteMeasurement& write) { return write.rows_per_second; };
constexpr auto kAny = [](const auto&) { return true; };

ChartPanel batches_panel(const BenchMeasurements& found) {
  ChartPanel panel{.title = "Rows a second, by rows of a transaction",
                   .x = {.label = "rows of a transaction", .scale = Scale::logarithmic, .format = format_tick_rate},
                   .y = {.label = "", .scale = Scale::logarithmic, .format = format_tick_rate},
                   .series = {}};
  panel.x.ticks = ticks_at(found.batches, kRowsOf);
  for (const Durability durability : {Durability::full, Durability::normal}) {
    panel.series.push_back(series_of(
        fmt::format("durability {}", name_of(durability)), found.batches,
        [&](const WriteMeasurement& write) { return write.durability == durability; }, kRowsOf, kRowRate));
  }
  return panel;
}

ChartPanel writers_panel(const BenchMeasurements& found) {
  ChartPanel panel{
      .title = "Durable commits a second, by threads",
      .x = {.label = "threads that write at once", .scale = Scale::logarithmic, .format = format_tick_rate},
      .y = {.label = "", .scale = Scale::linear, .format = format_tick_rate},
      .series = {series_of("one row each, durability full", found.writers, kAny, kThreadsOf, kRowRate)}};
  panel.x.ticks = ticks_at(found.writers, kThreadsOf);
  return panel;
}

ChartPanel reads_panel(const BenchMeasurements& found) {
  ChartPanel panel{.title = "Rows read a second, by reading threads",
                   .x = {.label = "threads that read at once", .scale = Scale::linear, .format = {}},
                   .y = {.label = "", .scale = Scale::linear, .format = format_tick_rate},
                   .series = {}};
  panel.x.ticks = ticks_at(found.reads, kThreadsOf);
  for (const ReadMode mode : {ReadMode::autocommit, ReadMode::snapshot}) {
    panel.series.push_back(series_of(
        mode == ReadMode::autocommit ? "each by itself" : "in one snapshot", found.reads,
        [&](const ReadMeasurement& read) { return read.mode == mode; }, kThreadsOf,
        [](const ReadMeasurement& read) { return read.per_second; }));
  }
  return panel;
}

ChartPanel latency_panel(const BenchMeasurements& found) {
  ChartPanel panel{.title = "Time of a transaction (median), by its rows",
                   .x = {.label = "rows of a transaction", .scale = Scale::logarithmic, .format = format_tick_rate},
                   .y = {.label = "", .scale = Scale::logarithmic, .format = format_tick_time},
                   .series = {}};
  panel.x.ticks = ticks_at(found.batches, kRowsOf);
  for (const Durability durability : {Durability::full, Durability::normal}) {
    panel.series.push_back(series_of(
        fmt::format("durability {}", name_of(durability)), found.batches,
        [&](const WriteMeasurement& write) { return write.durability == durability; }, kRowsOf,
        [](const WriteMeasurement& write) { return std::chrono::duration<double>(write.latency.median).count(); }));
  }
  return panel;
}

ChartPanel syncs_panel(const SyncMeasurement& sync) {
  return {.title = "Time of a sync, by share of the syncs",
          .x = {.label = "took at most so long",
                .scale = Scale::linear,
                .format = [](double share) { return fmt::format("{:g} %", share * 100); },
                .ticks = {0, 0.25, 0.5, 0.75, 1}},
          .y = {.label = "", .scale = Scale::logarithmic, .format = format_tick_time},
          .series = {{.name = "4 KiB appended", .points = sync.append_curve},
                     {.name = "in place", .points = sync.overwrite_curve}}};
}

ChartPanel checkpoints_panel(const BenchMeasurements& found) {
  ChartPanel panel{
      .title = "Rows a second, by checkpoint_pages",
      .x = {.label = "checkpoint_pages", .scale = Scale::logarithmic, .format = format_tick_rate},
      .y = {.label = "", .scale = Scale::linear, .format = format_tick_rate},
      .series = {series_of("10 rows a transaction, durability normal", found.checkpoints, kAny, kPagesOf, kRowRate)}};
  panel.x.ticks = ticks_at(found.checkpoints, kPagesOf);
  return panel;
}

}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    if (!line.empty() && count_characters(line) + 1 + count_characters(word) > columns) {
      lines.push_back(std::exchange(line, {}));
    }
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

std::vector<ScreenLine> bench_lines(const BenchMeasurements& found, std::span<const Recommendation> recommendations,
                                    std::size_t columns) {
  Lines lines;
  lines.push_back({printable(found.path.string()), Color::bold});
  std::string setting =
      fmt::format("{} in pages of {} B, SQLite {}, {} core{}, {:g} s each, seed {}.", format_bytes(found.file_bytes),
                  found.page_size, found.engine, found.cores, found.cores == 1 ? "" : "s", found.seconds, found.seed);
  if (found.keys > 0) setting += fmt::format(" {} rows of {} were read.", found.keys, join(found.tables));
  setting += found.is_copy ? " Writes went to a copy, which is gone again." : " Note: " + found.write_note + ".";
  for (std::string& line : wrap(setting, columns)) lines.push_back({std::move(line), Color::faint});
  add_syncs(lines, found.sync);
  add_all_reads(lines, found);
  add_all_writes(lines, found);
  lines.push_back({});
  lines.push_back({"Recommended for this file on this disk", Color::bold});
  constexpr std::size_t kIndent = 4;
  for (const Recommendation& one : recommendations) {
    lines.push_back({fmt::format("  {}: {}", one.setting, one.advice), Color::green});
    for (const std::string& line : wrap(one.reason, columns > 40 ? columns - kIndent : 40)) {
      lines.push_back({std::string(kIndent, ' ') + line});
    }
  }
  return lines;
}

nlohmann::json to_json(const BenchMeasurements& found, std::span<const Recommendation> recommendations) {
  nlohmann::json advice = nlohmann::json::array();
  for (const Recommendation& one : recommendations) {
    advice.push_back({{"setting", one.setting}, {"advice", one.advice}, {"reason", one.reason}});
  }
  nlohmann::json tables = nlohmann::json::array();
  for (const std::string& table : found.tables) tables.push_back(as_utf8(table));
  return {{"path", as_utf8(found.path.string())},
          {"engine", found.engine},
          {"seed", found.seed},
          {"cores", found.cores},
          {"seconds", found.seconds},
          {"file_bytes", found.file_bytes},
          {"page_size", found.page_size},
          {"journal_mode", found.journal_mode},
          {"page_cache_for_all", found.page_cache_for_all},
          {"sync", {{"append", to_json(found.sync.append)}, {"overwrite", to_json(found.sync.overwrite)}}},
          {"tables", tables},
          {"keys", found.keys},
          {"reads", to_json(found.reads)},
          {"cache_reads", to_json(found.cache_reads)},
          {"is_copy", found.is_copy},
          {"write_note", found.write_note},
          {"batches", to_json(found.batches)},
          {"writers", to_json(found.writers)},
          {"locking", to_json(found.locking)},
          {"locking_reads", to_json(found.locking_reads)},
          {"checkpoints", to_json(found.checkpoints)},
          {"recommendations", advice}};
}

Chart chart_of(const BenchMeasurements& found) {
  Chart chart{.title = "sqlane bench " + as_utf8(found.path.filename().string()),
              .subtitle = fmt::format("{} in pages of {} B, SQLite {}, {} core{}, {:g} s a measurement",
                                      format_bytes(found.file_bytes), found.page_size, found.engine, found.cores,
                                      found.cores == 1 ? "" : "s", found.seconds),
              .panels = {}};
  chart.panels.push_back(batches_panel(found));
  chart.panels.push_back(latency_panel(found));
  chart.panels.push_back(writers_panel(found));
  if (!found.reads.empty()) chart.panels.push_back(reads_panel(found));
  chart.panels.push_back(syncs_panel(found.sync));
  chart.panels.push_back(checkpoints_panel(found));
  return chart;
}

}  // namespace sqlane::cli
