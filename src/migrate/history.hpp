#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "migrate/plan.hpp"
#include "sqlane/migration.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {

// What a database says of itself: the table sqlane_migration, and its header.
struct MigrationHistory {
  std::vector<AppliedMigration> applied;  // ascending
  bool has_table = false;
  bool has_schema = false;
  std::int32_t user_version = 0;
  std::int32_t application_id = 0;

  [[nodiscard]] MigratedDatabase view() const {
    return {.applied = applied, .has_history = has_table, .has_schema = has_schema, .user_version = user_version};
  }
  [[nodiscard]] std::int32_t version() const { return applied.empty() ? 0 : applied.back().version; }
};

// Requires: a transaction, so that all of it is of one state.
[[nodiscard]] MigrationHistory read_history(Connection& connection);

// These change it, and need the write lock. The version of the database is the
// newest that is written there; PRAGMA user_version says the same to others, unless
// it is another program's: not 0 before the table was made, or changed since.
void create_history(Connection& connection);
void record_migration(Connection& connection, const Migration& migration, AppliedMigration::State state,
                      std::chrono::milliseconds duration);
void forget_migration(Connection& connection, std::int32_t version);
void set_application_id(Connection& connection, std::int32_t id);

}  // namespace sqlane::detail
