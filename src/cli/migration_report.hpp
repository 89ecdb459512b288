#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <sqlane/sqlane.hpp>
#include <string>

#include "cli/console.hpp"

namespace sqlane::cli {

// A table of all migrations that a database has or could have, and a sentence
// on how it stands.
[[nodiscard]] std::string format_status(const Console& console, const MigrationStatus& status,
                                        const Migrations& migrations);
[[nodiscard]] nlohmann::json to_json(const MigrationStatus& status);

// What would be executed, as SQL with comments.
[[nodiscard]] std::string format_plan(std::span<const MigrationStep> steps);
[[nodiscard]] nlohmann::json to_json(std::span<const MigrationStep> steps);

// A line for each step that was done, and one for what it comes to.
[[nodiscard]] std::string format_report(const Console& console, const MigrationReport& report);
[[nodiscard]] nlohmann::json to_json(const MigrationReport& report);

// How far a migration is: from 0 to 1, and what is said beside it.
[[nodiscard]] double fraction_of(const MigrationProgress& progress);
[[nodiscard]] std::string format_progress(const MigrationProgress& progress);

}  // namespace sqlane::cli
