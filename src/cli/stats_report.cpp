#include "cli/stats_report.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/format.hpp"

namespace sqlane::cli {
namespace {

std::string count_of(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

double share_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

ScreenLine entry(std::string_view label, std::string_view text, Color color = Color::none) {
  return {fmt::format("{:<17}{}", label, text), color};
}

// The mark as the four letters that many programs make of it.
std::string format_application_id(std::int64_t id) {
  if (id == 0) return "0";
  const auto bits = static_cast<std::uint32_t>(id);
  std::string letters;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto letter = static_cast<unsigned char>(bits >> static_cast<unsigned>(shift));
    if (std::isprint(letter) == 0) return fmt::format("0x{:08x}", bits);
    letters += static_cast<char>(letter);
  }
  return fmt::format("0x{:08x} \"{}\"", bits, letters);
}

std::string format_schema(const SchemaCounts& counts) {
  std::string text = count_of(counts.tables, "table", "tables");
  if (counts.virtual_tables > 0) text += fmt::format(", {} virtual", counts.virtual_tables);
  return text + ", " + count_of(counts.indexes, "index", "indexes") + ", " + count_of(counts.views, "view", "views") +
         ", " + count_of(counts.triggers, "trigger", "triggers");
}

std::string format_checkpointed(std::uint64_t frames, std::optional<std::uint64_t> checkpointed) {
  if (frames == 0) return "";
  if (!checkpointed) return "not known how many are checkpointed";
  if (*checkpointed == frames) return "all checkpointed";
  if (*checkpointed == 0) return "none checkpointed";
  return fmt::format("{} checkpointed", *checkpointed);
}

std::string format_log(const FileStats& stats) {
  const LogStats& log = stats.log;
  if (log.file_bytes == 0) return stats.journal_mode == "wal" ? "empty" : "none: the database is not in WAL mode";
  std::string text = format_bytes(log.file_bytes) + ": ";
  if (log.is_unreadable) {
    text += "its header is damaged, and SQLite passes over all of it";
  } else if (log.frames == 0) {
    text += "no commits in it";
  } else {
    text += count_of(log.frames, "frame", "frames") + " of " + count_of(log.commits, "commit", "commits") + ", " +
            format_checkpointed(log.frames, log.checkpointed_frames);
  }
  if (log.commits_beyond > 1) {
    text += fmt::format(", and {} commits after a damaged frame, which SQLite does not read", log.commits_beyond);
  }
  if (log.frames > 0 && log.uncommitted_frames > 0)
    text += fmt::format(", {} more not committed", log.uncommitted_frames);
  return text;
}

std::string format_page_cache(const FileStats& stats) {
  return fmt::format("{} MiB for each connection hold all of it (page_cache={}MiB)", stats.page_cache_for_all >> 20U,
                     stats.page_cache_for_all >> 20U);
}

std::vector<ScreenLine> table_lines(const FileStats& stats, const ReportLayout& layout, std::size_t limit) {
  std::vector<ScreenLine> lines;
  if (!stats.objects_note.empty()) lines.push_back({"note: " + stats.objects_note, Color::yellow});
  const std::size_t shown = std::min(limit, stats.objects.size());
  if (shown == 0) return lines;
  constexpr std::size_t kFigures = 6 + 11 + 9 + 13;
  const std::size_t width = std::clamp<std::size_t>(layout.columns, kFigures + 12, 100) - kFigures;
  lines.push_back(
      {fmt::format("{}{:>6}{:>11}{:>9}{:>13}", fit("largest", width), "", "bytes", "share", "rows"), Color::bold});
  const std::uint64_t whole = stats.page_count * stats.page_size;
  for (const StoredObject& object : std::span(stats.objects).first(shown)) {
    const bool is_index = object.kind == "index";
    const std::string bytes = object.bytes ? format_bytes(*object.bytes) : "-";
    const std::string share = object.bytes ? fmt::format("{:.1f} %", share_of(*object.bytes, whole)) : "-";
    const std::string rows = object.rows ? fmt::format("{:>13}", *object.rows) : fmt::format("{:>13}", "-");
    lines.push_back({fmt::format("{} {:<5}{:>11}{:>9}{}", fit(printable(object.name), width), is_index ? "index" : "",
                                 bytes, share, is_index ? "" : rows)});
  }
  if (shown < stats.objects.size()) {
    lines.push_back({fmt::format("and {} more", stats.objects.size() - shown), Color::faint});
  }
  return lines;
}

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

// JSON is UTF-8; a name or a path need not be.
std::string as_utf8(const std::string& text) {
  const std::string dumped = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(dumped).get<std::string>();
}

nlohmann::json objects_to_json(const FileStats& stats, std::size_t limit) {
  nlohmann::json objects = nlohmann::json::array();
  for (const StoredObject& object : std::span(stats.objects).first(std::min(limit, stats.objects.size()))) {
    objects.push_back({{"name", as_utf8(object.name)},
                       {"kind", object.kind},
                       {"table", as_utf8(object.table)},
                       {"bytes", or_null(object.bytes)},
                       {"rows", or_null(object.rows)}});
  }
  return objects;
}

std::string format_growth(std::int64_t bytes) {
  if (bytes == 0) return "not grown";
  const std::string size = format_bytes(static_cast<std::uintmax_t>(std::abs(bytes)));
  return bytes > 0 ? "+" + size : "-" + size;
}

}  // namespace

std::vector<ScreenLine> stats_lines(const FileStats& stats, const ReportLayout& layout) {
  std::vector<ScreenLine> lines;
  lines.push_back({printable(stats.path.string()), Color::bold});
  lines.push_back(
      entry("file", fmt::format("{}: {} of {} B, {} of them free ({:.1f} %)", format_bytes(stats.file_bytes),
                                count_of(stats.page_count, "page", "pages"), stats.page_size, stats.free_pages,
                                share_of(stats.free_pages, stats.page_count))));
  lines.push_back(entry("settings", fmt::format("journal mode {}, {}, auto_vacuum {}", stats.journal_mode,
                                                stats.encoding, stats.auto_vacuum)));
  lines.push_back(entry("marks", fmt::format("user_version {}, application_id {}", stats.user_version,
                                             format_application_id(stats.application_id))));
  lines.push_back(entry("schema", format_schema(stats.schema)));
  lines.push_back(entry("write-ahead log", format_log(stats)));
  lines.push_back(entry("page cache", format_page_cache(stats)));
  lines.push_back(entry("SQLite", stats.engine));
  lines.push_back({});
  for (ScreenLine& line : table_lines(stats, layout, layout.tables)) lines.push_back(std::move(line));
  return lines;
}

nlohmann::json to_json(const FileStats& stats, std::size_t tables) {
  return {{"path", as_utf8(stats.path.string())},
          {"engine", stats.engine},
          {"file_bytes", stats.file_bytes},
          {"page_size", stats.page_size},
          {"page_count", stats.page_count},
          {"free_pages", stats.free_pages},
          {"journal_mode", stats.journal_mode},
          {"encoding", stats.encoding},
          {"auto_vacuum", stats.auto_vacuum},
          {"user_version", stats.user_version},
          {"application_id", stats.application_id},
          {"schema",
           {{"tables", stats.schema.tables},
            {"virtual_tables", stats.schema.virtual_tables},
            {"indexes", stats.schema.indexes},
            {"views", stats.schema.views},
            {"triggers", stats.schema.triggers}}},
          {"wal",
           {{"file_bytes", stats.log.file_bytes},
            {"frames", stats.log.frames},
            {"commits", stats.log.commits},
            {"uncommitted_frames", stats.log.uncommitted_frames},
            {"commits_beyond", stats.log.commits_beyond},
            {"unreadable", stats.log.is_unreadable},
            {"checkpointed_frames", or_null(stats.log.checkpointed_frames)}}},
          {"page_cache_for_all", stats.page_cache_for_all},
          {"objects", objects_to_json(stats, tables)},
          {"objects_note", stats.objects_note}};
}

std::vector<ScreenLine> workload_screen(const Workload& workload, const ReportLayout& layout) {
  const WorkloadInterval& last = workload.last;
  std::vector<ScreenLine> lines;
  const std::string title = printable(workload.path.string());
  const std::string state =
      fmt::format("every {:g} s, for {:.0f} s; Ctrl-C ends", workload.interval.count(), last.elapsed.count());
  const std::size_t used = count_characters(title) + count_characters(state);
  const bool fits = used + 2 <= layout.columns;
  lines.push_back({fits ? title + std::string(layout.columns - used, ' ') + state : title, Color::bold});
  lines.push_back({});
  lines.push_back(
      entry("commits", fmt::format("{}{}", format_rate(last.per_second(last.log.commits)),
                                   last.log.is_incomplete ? " at least: the log started over unseen" : "")));
  const std::vector<double> history(workload.commits_per_second.begin(), workload.commits_per_second.end());
  constexpr std::size_t kLabel = 17;
  const std::size_t room = layout.columns > kLabel ? layout.columns - kLabel : 0;
  lines.push_back({std::string(kLabel, ' ') + sparkline(history, room, layout.charset), Color::green});
  lines.push_back(
      entry("pages", last.log.commits == 0 ? "-" : fmt::format("{:.1f} a commit", last.frames_per_commit())));
  lines.push_back(entry("written", format_bytes(static_cast<std::uintmax_t>(last.per_second(last.log.bytes))) + "/s"));
  std::string log = last.log_bytes == 0 ? "none" : format_bytes(last.log_bytes);
  if (last.log_frames > 0) {
    log += fmt::format(": {}, {}", count_of(last.log_frames, "frame", "frames"),
                       format_checkpointed(last.log_frames, last.checkpointed_frames));
  }
  lines.push_back(entry("write-ahead log", log));
  lines.push_back(entry("seen so far", count_of(workload.total.commits, "commit", "commits") + ", " +
                                           count_of(workload.checkpoints, "checkpoint", "checkpoints") + ", " +
                                           count_of(workload.total.restarts, "restart", "restarts")));
  lines.push_back(entry("database", last.database_bytes == 0 ? "-"
                                                             : fmt::format("{}, {}", format_bytes(last.database_bytes),
                                                                           format_growth(last.growth))));
  lines.push_back({});
  if (!workload.tables_note.empty()) lines.push_back({printable(workload.tables_note), Color::yellow});
  if (workload.tables && lines.size() + 3 <= layout.rows) {
    const std::size_t room_below = layout.rows - lines.size() - 3;  // a note, the heading, "and more"
    for (ScreenLine& line : table_lines(*workload.tables, layout, std::min(layout.tables, room_below))) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

std::string workload_line(const Workload& workload) {
  const WorkloadInterval& last = workload.last;
  return fmt::format(
      "{:6.1f} s  {:>10} commits  {:5.1f} pages each  {:>9}/s  wal {:>9}  checkpoints {}  restarts {}  "
      "database {}{}",
      last.elapsed.count(), format_rate(last.per_second(last.log.commits)), last.frames_per_commit(),
      format_bytes(static_cast<std::uintmax_t>(last.per_second(last.log.bytes))), format_bytes(last.log_bytes),
      last.checkpoints, last.log.restarts, format_bytes(last.database_bytes),
      last.log.is_incomplete ? "  (at least)" : "");
}

nlohmann::json to_json(const Workload& workload, std::size_t tables) {
  const WorkloadInterval& last = workload.last;
  nlohmann::json json = {{"elapsed", last.elapsed.count()},
                         {"seconds", last.length.count()},
                         {"commits", last.log.commits},
                         {"commits_per_second", last.per_second(last.log.commits)},
                         {"frames", last.log.frames},
                         {"bytes", last.log.bytes},
                         {"is_incomplete", last.log.is_incomplete},
                         {"checkpoints", last.checkpoints},
                         {"restarts", last.log.restarts},
                         {"wal_bytes", last.log_bytes},
                         {"wal_frames", last.log_frames},
                         {"checkpointed_frames", or_null(last.checkpointed_frames)},
                         {"database_bytes", last.database_bytes},
                         {"growth", last.growth}};
  if (workload.tables) json["objects"] = objects_to_json(*workload.tables, tables);
  return json;
}

}  // namespace sqlane::cli
