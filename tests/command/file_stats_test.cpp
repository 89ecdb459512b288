#include "cli/file_stats.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <stdexcept>

#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;
using sqlane::testing::contents_of;
using sqlane::testing::ForeignConnection;
using sqlane::testing::ForeignProcess;
using sqlane::testing::TemporaryFolder;

const StoredObject& object_named(const FileStats& stats, const std::string& name) {
  const auto found = std::find_if(stats.objects.begin(), stats.objects.end(),
                                  [&](const StoredObject& object) { return object.name == name; });
  if (found == stats.objects.end()) throw std::runtime_error("there is no " + name);
  return *found;
}

class StatsOfAFile : public ::testing::Test {
 protected:
  void make(const std::string& sql) { ForeignConnection(path).run(sql); }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "test.db";
};

TEST_F(StatsOfAFile, AreItsSettingsAndItsSchema) {
  make(
      "PRAGMA page_size = 1024; PRAGMA encoding = 'UTF-16le'; PRAGMA auto_vacuum = FULL; PRAGMA user_version = 7;"
      "PRAGMA application_id = 1234; CREATE TABLE t (a UNIQUE, b); CREATE INDEX by_b ON t (b);"
      "CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5 (x);"
      "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END");
  const FileStats stats = read_file_stats(path, 10s);
  EXPECT_EQ(stats.page_size, 1024U);
  EXPECT_EQ(stats.file_bytes, stats.page_count * 1024);
  EXPECT_EQ(stats.encoding, "UTF-16le");
  EXPECT_EQ(stats.auto_vacuum, "full");
  EXPECT_EQ(stats.journal_mode, "delete");
  EXPECT_EQ(stats.user_version, 7);
  EXPECT_EQ(stats.application_id, 1234);
  EXPECT_EQ(stats.schema.tables, 6U);  // t, and five in which fts5 keeps f
  EXPECT_EQ(stats.schema.virtual_tables, 1U);
  EXPECT_EQ(stats.schema.indexes, 2U);
  EXPECT_EQ(stats.schema.views, 1U);
  EXPECT_EQ(stats.schema.triggers, 1U);
}

TEST_F(StatsOfAFile, CountTheRowsOfEachTableWhicheverTreeItIs) {
  make(
      "CREATE TABLE plain (id INTEGER PRIMARY KEY, x); CREATE TABLE keyed (k TEXT PRIMARY KEY, x) WITHOUT ROWID;"
      "CREATE TABLE empty (x); CREATE TABLE \"od\"\"d name\" (x);"
      "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
      "  INSERT INTO plain SELECT i, hex(randomblob(40)) FROM n;"
      "INSERT INTO keyed SELECT 'key ' || id, x FROM plain;"
      "INSERT INTO \"od\"\"d name\" VALUES (randomblob(100000)), (1)");
  const FileStats stats = read_file_stats(path, 10s);
  EXPECT_TRUE(stats.objects_note.empty()) << stats.objects_note;
  EXPECT_EQ(object_named(stats, "plain").rows, 5000U);
  EXPECT_EQ(object_named(stats, "keyed").rows, 5000U);
  EXPECT_EQ(object_named(stats, "empty").rows, 0U);
  EXPECT_EQ(object_named(stats, "od\"d name").rows, 2U);
  EXPECT_GT(object_named(stats, "od\"d name").bytes, 100'000U);
  std::uint64_t bytes = 0;
  for (const StoredObject& object : stats.objects) bytes += object.bytes.value_or(0);
  EXPECT_EQ(bytes + stats.free_pages * stats.page_size, stats.file_bytes);  // every page belongs to something
  EXPECT_TRUE(std::is_sorted(stats.objects.begin(), stats.objects.end(),
                             [](const StoredObject& a, const StoredObject& b) { return a.bytes > b.bytes; }));
}

TEST_F(StatsOfAFile, AreReadWithinALimitOfTime) {
  make(
      "CREATE TABLE t (x); CREATE TABLE analyzed (x); CREATE INDEX i ON analyzed (x);"
      "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
      "  INSERT INTO t SELECT hex(randomblob(100)) FROM n;"
      "INSERT INTO analyzed VALUES (1), (2), (3); ANALYZE analyzed");
  const FileStats stats = read_file_stats(path, 0ms);
  EXPECT_NE(stats.objects_note.find("took longer"), std::string::npos) << stats.objects_note;
  EXPECT_FALSE(object_named(stats, "t").bytes);
  EXPECT_EQ(stats.schema.tables, 3U);  // with sqlite_stat1
}

TEST_F(StatsOfAFile, SayWhatIsFree) {
  make("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(50000)); DELETE FROM t");
  EXPECT_GE(read_file_stats(path, 10s).free_pages, 12U);
}

TEST_F(StatsOfAFile, HaveTheLogThatAnotherProcessWrites) {
  ForeignProcess writer(path);
  writer.open();
  for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0", "CREATE TABLE t (x)",
                          "INSERT INTO t VALUES (1)", "PRAGMA wal_checkpoint"}) {
    ASSERT_EQ(writer.run(sql).front(), '0') << sql;
  }
  FileStats stats = read_file_stats(path, 10s);
  EXPECT_EQ(stats.journal_mode, "wal");
  EXPECT_EQ(stats.log.commits, 2U);
  EXPECT_EQ(stats.log.frames, 3U);
  EXPECT_EQ(stats.log.checkpointed_frames, 3U);
  EXPECT_EQ(stats.log.file_bytes, 32 + 3 * (24 + stats.page_size));
  writer.run("INSERT INTO t VALUES (2)");  // the log starts over
  stats = read_file_stats(path, 10s);
  EXPECT_EQ(stats.log.commits, 1U);
  EXPECT_EQ(stats.log.checkpointed_frames, 0U);
  EXPECT_EQ(object_named(stats, "t").rows, 2U);
}

TEST_F(StatsOfAFile, LeaveItAsItWas) {
  make("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  const auto before = contents_of(folder.path());
  static_cast<void>(read_file_stats(path, 10s));
  EXPECT_EQ(contents_of(folder.path()), before);
}

TEST(PageCache, HoldsAllPagesWithWhatIsKeptBesideThem) {
  constexpr std::uint64_t kMebibyte = 1U << 20U;
  EXPECT_EQ(page_cache_for(0, 4096), kMebibyte);
  EXPECT_EQ(page_cache_for(256, 4096), 2 * kMebibyte);  // 1 MiB of pages alone
  EXPECT_EQ(page_cache_for(2022, 4096), 9 * kMebibyte);
}

}  // namespace
}  // namespace sqlane::cli
