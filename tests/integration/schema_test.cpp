#include "sqlane/schema.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "sqlane/sqlane.hpp"
#include "support/files.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::run_in_shell;
using testing::ShellResult;
using testing::success;
using testing::TemporaryFolder;
using testing::write_bytes;

const fs::path kProj = "/usr/share/proj/proj.db";

std::vector<std::string> sentences(const std::vector<SchemaDifference>& differences) {
  std::vector<std::string> all;
  for (const SchemaDifference& difference : differences) all.push_back(difference.sentence);
  return all;
}

class SchemaOfProj : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kProj)) GTEST_SKIP() << kProj << " is not there (package proj-data)";
    fs::copy_file(kProj, copy_);
    fs::permissions(copy_, fs::perms::owner_read | fs::perms::owner_write);
  }

  TemporaryFolder folder_;
  const fs::path copy_ = folder_ / "proj.db";
};

TEST_F(SchemaOfProj, IsTheSameAfterVacuumAndAnalyze) {
  Database db = Database::open(copy_);
  const Schema before = read_schema(db);
  EXPECT_GT(before.tables.size(), 30U);
  EXPECT_GT(before.views.size(), 5U);
  EXPECT_GT(before.triggers.size(), 30U);
  db.execute("VACUUM");
  db.execute("ANALYZE");
  EXPECT_EQ(sentences(compare_schemas(before, read_schema(db))), std::vector<std::string>());
}

TEST_F(SchemaOfProj, IsTheSameInADatabaseMadeFromItsDump) {
  const fs::path reloaded = folder_ / "reloaded.db";
  const ShellResult dump = run_in_shell(copy_, ".dump");
  ASSERT_EQ(dump.status, 0);
  write_bytes(folder_ / "dump.sql", dump.output);
  ASSERT_EQ(run_in_shell(reloaded, ".read " + (folder_ / "dump.sql").string()), success());
  const Database original = Database::open(copy_);
  const Database other = Database::open(reloaded);
  EXPECT_EQ(sentences(compare_schemas(read_schema(original), read_schema(other))), std::vector<std::string>());
}

TEST_F(SchemaOfProj, ShowsASingleChange) {
  Database db = Database::open(copy_);
  const Schema before = read_schema(db);
  db.execute("ALTER TABLE extent ADD COLUMN area FLOAT CHECK (area > 0)");
  db.execute("DROP TRIGGER ellipsoid_insert_trigger");
  EXPECT_EQ(sentences(compare_schemas(before, read_schema(db))),
            (std::vector<std::string>{"table extent: column area is not expected",
                                      "table extent: CHECK (area > 0) is not expected",
                                      "trigger ellipsoid_insert_trigger on ellipsoid is missing"}));
}

TEST(SchemaReading, SeesOneState) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE t (a)");
  const Snapshot snapshot = db.snapshot();
  db.execute("ALTER TABLE t ADD COLUMN b");
  EXPECT_EQ(read_schema(snapshot).tables.at(0).columns.size(), 1U);
  EXPECT_EQ(read_schema(db).tables.at(0).columns.size(), 2U);
}

TEST(SchemaReading, NeedsNoModuleOfAVirtualTable) {
  const TemporaryFolder folder;
  const fs::path file = folder / "virtual.db";
  ASSERT_EQ(run_in_shell(file,
                         "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('table', 'f', 'f', 0,"
                         " 'CREATE VIRTUAL TABLE f USING nowhere(a, B)')"),
            success());
  const Database db = Database::open(file);
  const Schema schema = read_schema(db);
  ASSERT_EQ(schema.tables.size(), 1U);
  EXPECT_EQ(schema.tables[0].module, "nowhere(a, B)");
}

}  // namespace
}  // namespace sqlane
