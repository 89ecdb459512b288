#include <filesystem>
#include <list>
#include <map>
#include <set>
#include <string>

#include "support/five_migrations.hpp"
#include "support/foreign_process.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::expected_state;
using testing::five_migrations;
using testing::LinePipe;
using testing::state_of;
using testing::TemporaryFolder;

constexpr int kProcesses = 50;

// Migrates as soon as it is told to, and tells from where to where, in how many steps.
void migrate_when_told(const fs::path& path, const Migrations& migrations, const LinePipe& from_parent,
                       const LinePipe& to_parent) {
  std::string line;
  static_cast<void>(from_parent.read(line));
  try {
    Database db = Database::open(path, {.readers = 1});
    const MigrationReport report = db.migrate(migrations);
    const auto notes = db.query_one<int>("SELECT count(*) FROM sqlane_migration");
    to_parent.write(std::to_string(report.steps.size()) + " of " + std::to_string(notes));
  } catch (const std::exception& error) {
    to_parent.write(error.what());
  }
}

std::map<std::string, int> migrate_in_many_processes(const fs::path& path, const Migrations& migrations) {
  std::list<ChildProcess> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back([&](const LinePipe& from_parent, const LinePipe& to_parent) {
      migrate_when_told(path, migrations, from_parent, to_parent);
    });
  }
  for (ChildProcess& child : children) child.tell("go");
  std::map<std::string, int> told;
  for (ChildProcess& child : children) ++told[child.hear()];
  for (ChildProcess& child : children) EXPECT_EQ(child.join(), 0);
  return told;
}

TEST(MigrationsOfManyProcesses, AreRunByOneOfThem) {
  const TemporaryFolder folder;
  const std::map<std::string, int> told = migrate_in_many_processes(folder / "app.db", five_migrations());
  EXPECT_EQ(told, (std::map<std::string, int>{{"5 of 5", 1}, {"0 of 5", kProcesses - 1}}));
  const Database db = Database::open(folder / "app.db");
  EXPECT_EQ(state_of(db), expected_state(5));
  EXPECT_FALSE(fs::exists(folder / "app.db-migration"));
}

TEST(MigrationsOfManyProcesses, AreRunByOneOfThemWithoutATransactionToo) {
  const TemporaryFolder folder;
  Migrations migrations = five_migrations();
  migrations.add({.version = 6,
                  .name = "tidy",
                  .up = "-- sqlane: no-transaction\n"
                        "CREATE TABLE once (id INTEGER PRIMARY KEY); VACUUM; INSERT INTO once VALUES (1);"});
  const std::map<std::string, int> told = migrate_in_many_processes(folder / "app.db", migrations);
  EXPECT_EQ(told, (std::map<std::string, int>{{"6 of 6", 1}, {"0 of 6", kProcesses - 1}}));
}

}  // namespace
}  // namespace sqlane
