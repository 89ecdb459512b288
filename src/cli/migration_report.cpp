#include "cli/migration_report.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/format.hpp"
#include "cli/screen.hpp"

namespace sqlane::cli {
namespace {

std::string_view name_of(AppliedMigration::State state) {
  switch (state) {
    case AppliedMigration::State::applied: return "applied";
    case AppliedMigration::State::baseline: return "baseline";
    case AppliedMigration::State::running: return "unfinished";
  }
  return "";
}

std::string_view arrow_of(MigrationDirection direction) { return direction == MigrationDirection::up ? "up" : "down"; }

std::string verdict_on(const Console& console, const MigrationStatus& status, const Migrations& migrations) {
  if (status.refusal) return paint(console, Color::red, printable_lines(status.refusal->what()));
  if (status.pending.empty()) {
    return paint(console, Color::green, fmt::format("up to date, at version {}", status.version));
  }
  return paint(
      console, Color::yellow,
      fmt::format("at version {} of {}: {} to apply", status.version, migrations.newest(), status.pending.size()));
}

nlohmann::json to_json(const MigrationStep& step) {
  return {{"direction", arrow_of(step.direction)},
          {"version", step.version},
          {"name", step.name},
          {"file", step.file},
          {"statements", step.statements},
          {"duration_ms", step.duration.count()}};
}

}  // namespace

std::string format_status(const Console& console, const MigrationStatus& status, const Migrations& migrations) {
  std::size_t width = 4;
  for (const Migration& migration : migrations.list()) width = std::max(width, migration.name.size());
  for (const AppliedMigration& applied : status.applied) width = std::max(width, applied.name.size());
  width = std::min(width, console.columns < 60 ? std::size_t{16} : console.columns - 44);

  std::string text = paint(console, Color::bold,
                           fmt::format("{:>7}  {:<{}}  {:<10}  {:<20}", "version", "name", width, "state", "since")) +
                     "\n";
  const auto line = [&](std::int32_t version, const std::string& name, std::string_view state, std::string_view since,
                        Color color) {
    text += fmt::format("{:>7}  {:<{}.{}}  {}  {}\n", version, printable(name), width, width,
                        paint(console, color, fmt::format("{:<10}", state)), printable(since));
  };
  for (const AppliedMigration& applied : status.applied) {
    const bool is_whole = applied.state != AppliedMigration::State::running;
    line(applied.version, applied.name, name_of(applied.state), std::string_view(applied.applied_at).substr(0, 19),
         is_whole ? Color::green : Color::red);
  }
  for (const Migration& migration : migrations.list()) {
    const bool is_applied =
        std::ranges::find(status.applied, migration.version, &AppliedMigration::version) != status.applied.end();
    if (!is_applied) line(migration.version, migration.name, "pending", "", Color::yellow);
  }
  return text + verdict_on(console, status, migrations) + "\n";
}

nlohmann::json to_json(const MigrationStatus& status) {
  nlohmann::json applied = nlohmann::json::array();
  for (const AppliedMigration& one : status.applied) {
    applied.push_back({{"version", one.version},
                       {"name", one.name},
                       {"state", name_of(one.state)},
                       {"checksum", one.checksum},
                       {"applied_at", one.applied_at},
                       {"duration_ms", one.duration.count()},
                       {"sqlane_version", one.sqlane_version}});
  }
  nlohmann::json json{
      {"version", status.version}, {"applied", applied}, {"pending", to_json(std::span(status.pending))}};
  json["refusal"] = status.refusal ? nlohmann::json(status.refusal->what()) : nlohmann::json();
  json["superseded"] = status.has_been_superseded();
  return json;
}

std::string format_plan(std::span<const MigrationStep> steps) {
  if (steps.empty()) return "-- nothing to do\n";
  std::string text;
  for (const MigrationStep& step : steps) {
    text += fmt::format("-- {}, {}\n", printable(step.file), arrow_of(step.direction));
    if (step.statements.empty()) text += "-- (comments alone, or a function)\n";
    for (const std::string& statement : step.statements) text += printable_lines(statement) + ";\n";
  }
  return text;
}

nlohmann::json to_json(std::span<const MigrationStep> steps) {
  nlohmann::json json = nlohmann::json::array();
  for (const MigrationStep& step : steps) json.push_back(to_json(step));
  return json;
}

std::string format_report(const Console& console, const MigrationReport& report) {
  std::string text;
  for (const MigrationStep& step : report.steps) {
    const std::string duration = step.duration.count() > 0 ? format_duration(step.duration) : "below 1 ms";
    text += fmt::format("{:>4}  {}  {}\n", arrow_of(step.direction), printable(step.file),
                        paint(console, Color::faint, duration));
  }
  for (const std::string& warning : report.warnings) {
    text += paint(console, Color::yellow, "warning: " + printable(warning)) + "\n";
  }
  if (!report.backup.empty()) text += "copied before to " + printable(report.backup.string()) + "\n";
  return text +
         (report.steps.empty()
              ? fmt::format("nothing to do: at version {}\n", report.to)
              : paint(console, Color::green, fmt::format("from version {} to {}", report.from, report.to)) + "\n");
}

nlohmann::json to_json(const MigrationReport& report) {
  return {{"from", report.from},
          {"to", report.to},
          {"steps", to_json(std::span(report.steps))},
          {"backup", report.backup.string()},
          {"warnings", report.warnings}};
}

// Within a step by its statements; within a statement that rewrites the database
// by what it has written, as far as that can be known.
double fraction_of(const MigrationProgress& progress) {
  const auto statements = static_cast<double>(std::max<std::size_t>(progress.step.statements.size(), 1));
  const double written = progress.database_bytes == 0 ? 0
                                                      : static_cast<double>(progress.bytes_written) /
                                                            static_cast<double>(progress.database_bytes);
  double of_step = 0;
  switch (progress.phase) {
    case MigrationPhase::backup: of_step = 0; break;
    case MigrationPhase::statement: {
      const double begun = static_cast<double>(progress.statement_number - 1) / statements;
      of_step = std::max(begun, std::min(written, 0.9));
      break;
    }
    case MigrationPhase::checking_keys: of_step = 0.95; break;
    case MigrationPhase::committing: of_step = 0.98; break;
  }
  return (static_cast<double>(progress.step_number - 1) + of_step) / static_cast<double>(progress.steps);
}

std::string format_progress(const MigrationProgress& progress) {
  std::string text = progress.step.file + ": ";
  switch (progress.phase) {
    case MigrationPhase::backup: text += "copying"; break;
    case MigrationPhase::statement:
      text += fmt::format("statement {} of {}", progress.statement_number,
                          std::max<std::size_t>(progress.step.statements.size(), 1));
      break;
    case MigrationPhase::checking_keys: text += "checking foreign keys"; break;
    case MigrationPhase::committing: text += "committing"; break;
  }
  const bool writes = progress.phase == MigrationPhase::backup || progress.phase == MigrationPhase::statement;
  if (writes && progress.bytes_written > 0) text += ", " + format_bytes(progress.bytes_written);
  if (progress.elapsed.count() > 0) text += ", " + format_duration(progress.elapsed);
  return text;
}

}  // namespace sqlane::cli
