#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sqlane/migration.hpp"

namespace sqlane::detail {

// What has to change in what a database says it has, so that it says `version`.
struct Baseline {
  std::vector<const Migration*> recorded;  // ascending
  std::vector<std::int32_t> forgotten;     // such as did not come to their end
};

// Pure. Throws MigrationError: missing where there is no such version, changed or
// superseded where more, or something else, was recorded as applied.
[[nodiscard]] Baseline plan_baseline(std::span<const AppliedMigration> applied, const Migrations& available,
                                     std::int32_t version);

}  // namespace sqlane::detail
