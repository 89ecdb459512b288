#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sqlane/migration.hpp"
#include "sqlane/schema.hpp"

namespace sqlane {

// Something that is wrong with a migration.
struct MigrationFinding {
  std::int32_t version = 0;
  MigrationDirection direction = MigrationDirection::up;  // found after having gone so
  // "0003_add_index.down.sql does not lead back to version 2: index visit_by_crs on visit is not expected"
  std::string sentence{};
  std::vector<SchemaDifference> differences{};  // the schema against that of the first way up; can be empty
};

struct MigrationVerification {
  std::int32_t newest = 0;                   // the version that was reached
  std::vector<MigrationFinding> findings{};  // in the order in which they came
  std::vector<std::int32_t> irreversible{};  // versions that cannot be undone; no fault in itself

  [[nodiscard]] bool is_clean() const noexcept { return findings.empty(); }
};

// Tries all migrations on memory databases before they are tried on anybody's
// data: up one by one; down again as far as each says how, and around those that
// do not; and up once more. The schema at each version has to be the same every
// time. Also checked, at both ends: integrity, foreign keys, and that each view,
// trigger, table and index of the newest schema compiles. What becomes of rows is not
// looked at. Throws MigrationError when a migration fails.
[[nodiscard]] MigrationVerification verify_migrations(const Migrations& migrations);

// What a new database has after all of them; compare it with read_schema() of
// one that exists. Throws MigrationError.
[[nodiscard]] Schema schema_of(const Migrations& migrations);

}  // namespace sqlane
