#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sqlane/migration.hpp"

namespace sqlane::detail {

struct PlannedMigration {
  MigrationDirection direction;
  const Migration* migration;  // of the list that was given
};

// What a database looks like to a plan.
struct MigratedDatabase {
  std::span<const AppliedMigration> applied;  // ascending; the table sqlane_migration
  bool has_history = false;                   // that table is there
  bool has_schema = false;                    // there are tables, views or the like besides it
  std::int32_t user_version = 0;
};

// The steps from what was applied to `target` (unset: the newest available), in
// their order. Pure. Throws the MigrationError that keeps it from that: unmanaged,
// dirty, missing, reordered, changed, superseded, irreversible; and missing where
// there is no version `target`.
[[nodiscard]] std::vector<PlannedMigration> plan_steps(const MigratedDatabase& database, const Migrations& available,
                                                       std::optional<std::int32_t> target);

}  // namespace sqlane::detail
