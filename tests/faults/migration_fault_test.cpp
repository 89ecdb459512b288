#include <filesystem>
#include <functional>
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

}  // namespace
}  // namespace sqlane
