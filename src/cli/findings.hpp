#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <sqlane/sqlane.hpp>
#include <string>

namespace sqlane::cli {

// What checks before a release have found: a line for each, in the way of a
// compiler where there is a file. Empty where nothing was found.
[[nodiscard]] std::string format_findings(std::span<const SqlFinding> findings);
[[nodiscard]] std::string format_findings(std::span<const SchemaDifference> differences);
[[nodiscard]] std::string format_findings(const MigrationVerification& verification);

// Arrays.
[[nodiscard]] nlohmann::json to_json(std::span<const SqlFinding> findings);
[[nodiscard]] nlohmann::json to_json(std::span<const SchemaDifference> differences);

[[nodiscard]] nlohmann::json to_json(const MigrationVerification& verification);

}  // namespace sqlane::cli
