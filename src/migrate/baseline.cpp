#include "migrate/baseline.hpp"

#include <algorithm>
#include <string>

namespace sqlane::detail {

Baseline plan_baseline(std::span<const AppliedMigration> applied, const Migrations& available, std::int32_t version) {
  if (version < 0 || version > available.newest()) {
    throw MigrationError(MigrationProblem::missing, {},
                         "there is no migration " + std::to_string(version) +
                             "; they go from 0, for none of them, to " + std::to_string(available.newest()));
  }
  Baseline baseline;
  for (const AppliedMigration& was : applied) {
    if (was.version <= version) continue;
    if (was.state != AppliedMigration::State::running) {
      throw MigrationError(MigrationProblem::superseded, {},
                           "migration " + std::to_string(was.version) + " (" + was.name +
                               ") is recorded as applied, so the database is not at version " +
                               std::to_string(version) + "; migrate down to undo it");
    }
    baseline.forgotten.push_back(was.version);
  }
  std::int32_t expected = 1;
  for (const Migration& migration : available.list()) {
    if (migration.version > version) break;
    if (migration.version != expected++) {
      throw MigrationError(MigrationProblem::missing, {},
                           "migration " + std::to_string(expected - 1) + " is not there, but a later one is");
    }
    const auto was = std::ranges::find(applied, migration.version, &AppliedMigration::version);
    if (was == applied.end() || was->state == AppliedMigration::State::running) {
      baseline.recorded.push_back(&migration);
    } else if (was->checksum != checksum(migration)) {
      throw MigrationError(MigrationProblem::changed, migration.file,
                           "it is recorded as applied with other contents; restore the file as it was");
    }
  }
  return baseline;
}

}  // namespace sqlane::detail
