#include "migrate/plan.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "migrate/file_name.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

using Applied = std::span<const AppliedMigration>;

[[noreturn]] void refuse(MigrationProblem problem, const std::string& file, const std::string& message) {
  throw MigrationError(problem, file, message);
}

std::string file_of(const AppliedMigration& row) { return file_name_of(row.version, row.name); }

std::string in_words(std::int32_t version) { return "version " + std::to_string(version); }

std::int32_t newest(Applied applied) { return applied.empty() ? 0 : applied.back().version; }

// The program's migrations, with what a plan looks them up by.
class Available {
 public:
  explicit Available(const Migrations& migrations) : list_(migrations.list()) {
    for (const Migration& migration : list_) {
      by_version_.emplace(migration.version, Entry{&migration, checksum(migration)});
    }
  }

  struct Entry {
    const Migration* migration;
    std::string checksum;
  };

  [[nodiscard]] std::span<const Migration> list() const { return list_; }
  [[nodiscard]] std::int32_t newest() const { return list_.empty() ? 0 : list_.back().version; }
  [[nodiscard]] const Entry* at(std::int32_t version) const {
    const auto found = by_version_.find(version);
    return found == by_version_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::map<std::int32_t, Entry>& entries() const { return by_version_; }

 private:
  std::span<const Migration> list_;
  std::map<std::int32_t, Entry> by_version_;
};

void expect_clean(Applied applied) {
  const auto running = std::find_if(applied.begin(), applied.end(), [](const AppliedMigration& row) {
    return row.state == AppliedMigration::State::running;
  });
  if (running == applied.end()) return;
  refuse(
      MigrationProblem::dirty, file_of(*running),
      "it was begun, without a transaction, and is not recorded as done: either another process runs it right now, or "
      "it did not come to its end. Wait for that process; if there is none, finish or undo by hand what it did, and "
      "then say with baseline(), or sqlane migrate baseline, which version the database has");
}

void expect_managed(const MigratedDatabase& database) {
  if (database.has_history || (!database.has_schema && database.user_version == 0)) return;
  const std::string what = database.has_schema
                               ? "the database has tables already"
                               : "the database says of itself that it has " + in_words(database.user_version);
  refuse(
      MigrationProblem::unmanaged, "",
      what +
          ", and there is no record of any migration: say with baseline() which version it has, or 0 for none; in the "
          "shell with sqlane migrate baseline");
}

// Whether `row` stands in the database as it does in the program.
bool is_unchanged(const AppliedMigration& row, const Available& available) {
  const auto* const entry = available.at(row.version);
  return entry != nullptr && entry->checksum == row.checksum;
}

// A migration that has been given another number since it was applied. Two that
// do the same are no such case: each stands at its own number.
void expect_same_numbers(Applied applied, const Available& available) {
  for (const AppliedMigration& row : applied) {
    if (is_unchanged(row, available)) continue;
    for (const auto& [version, entry] : available.entries()) {
      const bool is_at_home = std::any_of(applied.begin(), applied.end(), [&, number = version](const auto& other) {
        return other.version == number && other.checksum == row.checksum;
      });
      if (entry.checksum != row.checksum || is_at_home) continue;
      refuse(MigrationProblem::reordered, entry.migration->file,
             "it was applied to this database with the number " + std::to_string(row.version) + ", as " + file_of(row) +
                 ": give it that number back");
    }
  }
}

void expect_not_superseded(Applied applied, const Available& available) {
  if (newest(applied) <= available.newest()) return;
  refuse(MigrationProblem::superseded, file_of(applied.back()),
         "the database has this migration, which the program does not know; it has been migrated to " +
             in_words(newest(applied)) + ", and the program's newest is " + std::to_string(available.newest()) +
             ": update the program, or open the database with OpenMode::read_only");
}

void expect_same_migrations(Applied applied, const Available& available) {
  for (const AppliedMigration& row : applied) {
    const auto* const entry = available.at(row.version);
    if (entry == nullptr) {
      refuse(MigrationProblem::missing, file_of(row),
             "the database has this migration, and the program does not know it any more: put the file back");
    }
    if (entry->checksum != row.checksum) {
      refuse(MigrationProblem::changed, entry->migration->file,
             "it is not what was applied to this database on " + row.applied_at +
                 ": put it back as it was, and make the change in a new migration");
    }
  }
}

void expect_no_gaps(const Available& available) {
  std::int32_t previous = 0;
  for (const Migration& migration : available.list()) {
    if (migration.version != previous + 1) {
      const std::string gap = std::to_string(previous + 1);
      refuse(MigrationProblem::missing, migration.file,
             "there is no migration " + gap + " before it: add that one, or give this one the number " + gap +
                 " if no database has it yet");
    }
    previous = migration.version;
  }
}

// One that was added below what has been applied would run behind those that it was meant to precede.
void expect_none_left_out(Applied applied, const Available& available) {
  for (const Migration& migration : available.list()) {
    if (migration.version > newest(applied)) return;
    const bool is_applied =
        std::any_of(applied.begin(), applied.end(), [&](const auto& row) { return row.version == migration.version; });
    if (is_applied) continue;
    refuse(MigrationProblem::reordered, migration.file,
           "it has not been applied to this database, but " + file_of(applied.back()) +
               ", which comes behind it, has: give it a number behind all that were released");
  }
}

std::string way_to_undo(const Migration& migration) {
  const bool is_text = std::holds_alternative<std::string>(migration.up);
  return is_text ? "add " + down_file_of(migration.file) : "set its member `down`";
}

std::int32_t checked(std::optional<std::int32_t> target, const Available& available) {
  const std::int32_t result = target.value_or(available.newest());
  if (result >= 0 && result <= available.newest()) return result;
  refuse(MigrationProblem::missing, "",
         "there is no " + in_words(result) + " to go to: the program knows those from 0 to " +
             std::to_string(available.newest()));
}

}  // namespace

std::vector<PlannedMigration> plan_steps(const MigratedDatabase& database, const Migrations& migrations,
                                         std::optional<std::int32_t> target) {
  const Available available(migrations);
  const Applied applied = database.applied;
  expect_clean(applied);
  expect_managed(database);
  expect_same_numbers(applied, available);
  expect_not_superseded(applied, available);
  expect_same_migrations(applied, available);
  expect_no_gaps(available);
  expect_none_left_out(applied, available);
  const std::int32_t goal = checked(target, available);
  const std::int32_t now = newest(applied);

  std::vector<PlannedMigration> steps;
  for (const Migration& migration : available.list()) {
    if (migration.version > now && migration.version <= goal) steps.push_back({MigrationDirection::up, &migration});
  }
  for (auto row = applied.rbegin(); row != applied.rend() && row->version > goal; ++row) {
    const Migration& migration = *available.at(row->version)->migration;
    if (!migration.down) {
      refuse(MigrationProblem::irreversible, migration.file,
             "it does not say how to undo it: " + way_to_undo(migration) + ", or restore a backup from before it");
    }
    steps.push_back({MigrationDirection::down, &migration});
  }
  return steps;
}

}  // namespace sqlane::detail
