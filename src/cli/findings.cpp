#include "cli/findings.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/screen.hpp"

namespace sqlane::cli {
namespace {

std::string_view to_string(MigrationDirection direction) { return direction == MigrationDirection::up ? "up" : "down"; }

// JSON is UTF-8; a query file need not be, and is shown as far as it is.
std::string to_utf8(std::string_view text) {
  const auto dumped = nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(dumped).get<std::string>();
}

}  // namespace

std::string format_findings(std::span<const SqlFinding> findings) {
  std::string text;
  for (const SqlFinding& finding : findings) {
    const std::string place = finding.file.empty() ? fmt::format("\"{}\"_sql", finding.sql) : finding.file.string();
    text += fmt::format("{}:{}:{}: error: {}\n", printable_lines(place), finding.line, finding.column,
                        printable(finding.message));
  }
  return text;
}

std::string format_findings(std::span<const SchemaDifference> differences) {
  std::string text;
  for (const SchemaDifference& difference : differences) text += printable(difference.sentence) + "\n";
  return text;
}

std::string format_findings(const MigrationVerification& verification) {
  std::string text;
  for (const MigrationFinding& finding : verification.findings) {
    text += printable(finding.sentence) + (finding.differences.empty() ? "\n" : ":\n");
    for (const SchemaDifference& difference : finding.differences) text += "  " + printable(difference.sentence) + "\n";
  }
  return text;
}

nlohmann::json to_json(std::span<const SqlFinding> findings) {
  nlohmann::json array = nlohmann::json::array();
  for (const SqlFinding& finding : findings) {
    array.push_back({{"file", to_utf8(finding.file.string())},
                     {"line", finding.line},
                     {"column", finding.column},
                     {"sql", to_utf8(finding.sql)},
                     {"message", to_utf8(finding.message)}});
  }
  return array;
}

nlohmann::json to_json(std::span<const SchemaDifference> differences) {
  nlohmann::json array = nlohmann::json::array();
  for (const SchemaDifference& difference : differences) {
    array.push_back({{"kind", sqlane::to_string(difference.kind)},
                     {"type", sqlane::to_string(difference.type)},
                     {"name", difference.name},
                     {"table", difference.table},
                     {"sentence", difference.sentence}});
  }
  return array;
}

nlohmann::json to_json(const MigrationVerification& verification) {
  nlohmann::json findings = nlohmann::json::array();
  for (const MigrationFinding& finding : verification.findings) {
    findings.push_back({{"version", finding.version},
                        {"direction", to_string(finding.direction)},
                        {"sentence", finding.sentence},
                        {"differences", to_json(finding.differences)}});
  }
  return {{"newest", verification.newest}, {"irreversible", verification.irreversible}, {"findings", findings}};
}

}  // namespace sqlane::cli
