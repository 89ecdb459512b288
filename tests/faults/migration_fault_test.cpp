#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "support/counting_vfs.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_process.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

// A migration of five steps is struck at each operation on its files. Whatever
// happened, the database is then that of a whole number of steps, and the rest
// applies.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::CountingVfs;
using testing::expected_state;
using testing::five_migrations;
using testing::LinePipe;
using testing::MigratedState;
using testing::state_of;
using testing::Strike;
using testing::TemporaryFolder;

// Small caches, so that steps spill pages before they commit, and checkpoints on the way.
Options options() { return {.readers = 1, .page_cache = 40'000, .checkpoint_pages = 20}; }

const std::vector<MigratedState>& expected_states() {
  static const std::vector<MigratedState> states = [] {
    std::vector<MigratedState> all;
    for (int version = 0; version <= 5; ++version) all.push_back(expected_state(version));
    return all;
  }();
  return states;
}

// Returns the version that was found.
int expect_whole_steps_and_finish(const fs::path& path, Atomicity atomicity) {
  Database db = Database::open(path, options());
  const int version = migration_status(db, five_migrations()).version;
  EXPECT_EQ(state_of(db), expected_states().at(static_cast<std::size_t>(version)));
  if (atomicity == Atomicity::all) {
    EXPECT_TRUE(version == 0 || version == 5) << version;
  }
  const MigrationReport report = db.migrate(five_migrations());
  EXPECT_EQ(report.from, version);
  EXPECT_EQ(report.to, 5);
  EXPECT_EQ(report.steps.size(), static_cast<std::size_t>(5 - version));
  EXPECT_EQ(state_of(db), expected_states()[5]);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM pragma_foreign_key_check"), 0);
  db.close();
  return version;
}

class MigrationFaults : public ::testing::TestWithParam<Atomicity> {
 protected:
  void migrate(const fs::path& path) const {
    Database db = Database::open(path, options());
    db.migrate(five_migrations(), {.atomicity = GetParam()});
    db.close();
  }
};

INSTANTIATE_TEST_SUITE_P(Atomicity, MigrationFaults, ::testing::Values(Atomicity::each, Atomicity::all),
                         [](const auto& kind) { return kind.param == Atomicity::each ? "Each" : "All"; });

TEST_P(MigrationFaults, OfEachFileOperationLeaveWholeSteps) {
  const std::size_t files_before = testing::count_open_files();
  std::vector<int> found(6);
  for (const Strike how : {Strike::fail, Strike::fail_afterwards}) {
    long at = 1;
    for (bool has_struck = true; has_struck && !HasFailure(); ++at) {
      SCOPED_TRACE("operation " + std::to_string(at) + (how == Strike::fail ? "" : ", afterwards"));
      const TemporaryFolder folder;
      CountingVfs vfs;
      vfs.strike(how, at);
      bool failed = false;
      try {
        migrate(folder / "app.db");
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(dynamic_cast<const MigrationError*>(&error), nullptr) << error.what();
      }
      has_struck = vfs.has_struck();
      EXPECT_TRUE(has_struck || !failed);
      vfs.stop_striking();
      ++found[static_cast<std::size_t>(expect_whole_steps_and_finish(folder / "app.db", GetParam()))];
    }
    EXPECT_GT(at, 40);
  }
  EXPECT_GT(found[0], 0);
  EXPECT_GT(found[5], 0);
  if (GetParam() == Atomicity::each) {
    EXPECT_GT(found[3], 0);
  }
  EXPECT_EQ(testing::count_open_files(), files_before);
}

// The process ends there, as it does with kill -9.
TEST_P(MigrationFaults, ThatKillTheProcessAtEachFileOperationLeaveWholeSteps) {
  std::vector<int> found(6);
  for (const Strike how : {Strike::kill, Strike::kill_half_way}) {
    long at = 1;
    for (bool was_killed = true; was_killed && !HasFailure(); ++at) {
      SCOPED_TRACE("operation " + std::to_string(at) + (how == Strike::kill ? "" : ", half-way"));
      const TemporaryFolder folder;
      ChildProcess child([&](const LinePipe&, const LinePipe&) {
        CountingVfs vfs;
        vfs.strike(how, at);
        migrate(folder / "app.db");
      });
      const int status = child.join();
      EXPECT_TRUE(status == 0 || status == -1) << status;
      was_killed = status != 0;
      ++found[static_cast<std::size_t>(expect_whole_steps_and_finish(folder / "app.db", GetParam()))];
    }
    EXPECT_GT(at, 40);
  }
  EXPECT_GT(found[0], 0);
  EXPECT_GT(found[5], 0);
  if (GetParam() == Atomicity::each) {
    EXPECT_GT(found[3], 0);
  }
}

// Without a transaction: what is not `dirty` is whole.

Migrations with_one_alone() {
  Migrations migrations = five_migrations();
  migrations.add({.version = 6,
                  .name = "alone",
                  .up = "-- sqlane: no-transaction\n"
                        "CREATE TABLE alone AS SELECT id FROM visit; VACUUM; INSERT INTO alone VALUES (1000);"});
  return migrations;
}

void migrate_alone(const fs::path& path) {
  Database db = Database::open(path, options());
  db.migrate(with_one_alone());
  db.close();
}

// Each begins with a copy of the same.
void make_database_before_the_one_alone(const fs::path& path) {
  static const TemporaryFolder kept;
  const fs::path made = kept / "app.db";
  if (!fs::exists(made)) Database::open(made, options()).migrate(five_migrations());
  fs::copy_file(made, path);
}

enum class Found { before, between, after };

Found expect_whole_or_dirty(const fs::path& path) {
  Database db = Database::open(path, options());
  const MigrationStatus status = migration_status(db, with_one_alone());
  const bool has_table = db.query_one<bool>("SELECT count(*) FROM sqlite_master WHERE name = 'alone'");
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  if (status.refusal) {
    EXPECT_EQ(status.refusal->problem(), MigrationProblem::dirty);
    return Found::between;
  }
  EXPECT_EQ(has_table, status.version == 6) << status.version;
  if (has_table) {
    EXPECT_EQ(db.query_one<int>("SELECT max(id) FROM alone"), 1000);
  }
  EXPECT_EQ(db.migrate(with_one_alone()).to, 6);
  return status.version == 6 ? Found::after : Found::before;
}

TEST(MigrationFaultsWithoutATransaction, OfEachFileOperationLeaveItWholeOrDirty) {
  std::map<Found, int> found;
  for (const Strike how : {Strike::fail, Strike::fail_afterwards}) {
    long at = 1;
    for (bool has_struck = true; has_struck && !::testing::Test::HasFailure(); ++at) {
      SCOPED_TRACE("operation " + std::to_string(at) + (how == Strike::fail ? "" : ", afterwards"));
      const TemporaryFolder folder;
      make_database_before_the_one_alone(folder / "app.db");
      CountingVfs vfs;
      vfs.strike(how, at);
      try {
        migrate_alone(folder / "app.db");
      } catch (const Error&) {
      }
      has_struck = vfs.has_struck();
      vfs.stop_striking();
      ++found[expect_whole_or_dirty(folder / "app.db")];
    }
  }
  EXPECT_GT(found[Found::before], 0);
  EXPECT_GT(found[Found::between], 0);
  EXPECT_GT(found[Found::after], 0);
}

TEST(MigrationFaultsWithoutATransaction, ThatKillTheProcessLeaveItWholeOrDirty) {
  std::map<Found, int> found;
  for (const Strike how : {Strike::kill, Strike::kill_half_way}) {
    long at = 1;
    for (bool was_killed = true; was_killed && !::testing::Test::HasFailure(); ++at) {
      SCOPED_TRACE("operation " + std::to_string(at) + (how == Strike::kill ? "" : ", half-way"));
      const TemporaryFolder folder;
      make_database_before_the_one_alone(folder / "app.db");
      ChildProcess child([&](const LinePipe&, const LinePipe&) {
        CountingVfs vfs;
        vfs.strike(how, at);
        migrate_alone(folder / "app.db");
      });
      was_killed = child.join() != 0;
      ++found[expect_whole_or_dirty(folder / "app.db")];
    }
  }
  EXPECT_GT(found[Found::before], 0);
  EXPECT_GT(found[Found::between], 0);
  EXPECT_GT(found[Found::after], 0);
}

}  // namespace
}  // namespace sqlane
