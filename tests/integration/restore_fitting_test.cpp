#include <cstddef>
#include <filesystem>
#include <string>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

// Restoring what has other pages, other texts or a schema that cannot be read here.

namespace sqlane {
namespace {

using testing::bytes_of;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

class RestoreOfAnotherKind : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    return GetParam() ? Database::in_memory(options) : Database::open(folder / "app.db", options);
  }

  std::filesystem::path make(const std::string& settings) const {
    const std::filesystem::path from = folder / "from.db";
    ForeignConnection(from).run(settings + "; CREATE TABLE note (title); INSERT INTO note VALUES ('Grüße')");
    return from;
  }

  static void expect_own(Database& db) {
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "own");
    db.execute("INSERT INTO note VALUES ('more')");
    db.execute("DELETE FROM note WHERE title = 'more'");
    EXPECT_EQ(db.health().verdict, Verdict::healthy);
  }

  static void expect_restored(Database& db) {
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "Grüße");
    db.write([](Transaction& tx) {
      EXPECT_EQ(tx.query_one<std::string>("SELECT title FROM note"), "Grüße");
      tx.execute("UPDATE note SET title = title || '!'");
    });
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "Grüße!");
    EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
    EXPECT_EQ(db.health().verdict, Verdict::healthy);
  }

  TemporaryFolder folder;
};

TEST_P(RestoreOfAnotherKind, RefusesAnotherEncodingBeforeTheFirstPage) {
  for (const char* encoding : {"UTF-16le", "UTF-16be"}) {
    const std::filesystem::path from = make(std::string("PRAGMA encoding='") + encoding + "'");
    Database db = open();
    db.execute("DROP TABLE IF EXISTS note");
    db.execute("CREATE TABLE note (title)");
    db.execute("INSERT INTO note VALUES ('own')");
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "own");
    const auto error = error_of<OpenError>([&] { db.restore_from(from); });
    EXPECT_TRUE(mentions(error, encoding, "UTF-8", "new database")) << error.what();
    expect_own(db);
    std::filesystem::remove(from);
  }
}

TEST_P(RestoreOfAnotherKind, RefusesUtf8WhereTextsAreUtf16) {
  if (GetParam()) GTEST_SKIP() << "a memory database is made by sqlane, in UTF-8";
  ForeignConnection(folder / "app.db")
      .run("PRAGMA encoding='UTF-16le'; CREATE TABLE note (title); INSERT INTO note VALUES ('own')");
  Database db = open();
  const auto error = error_of<OpenError>([&] { db.restore_from(make("SELECT 1")); });
  EXPECT_TRUE(mentions(error, "UTF-16le", "UTF-8")) << error.what();
  expect_own(db);
}

TEST_P(RestoreOfAnotherKind, TakesAnotherEncodingWhileItIsEmpty) {
  Database db = open({.readers = 2});
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM sqlite_master"), 0);
  db.restore_from(make("PRAGMA encoding='UTF-16le'"));
  expect_restored(db);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA encoding"), "UTF-16le");
}

TEST_P(RestoreOfAnotherKind, TakesAnotherEncodingWhenItIsEmptyAgain) {
  Database db = open({.readers = 2});
  db.execute("CREATE TABLE early (a)");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM early"), 0);
  db.execute("DROP TABLE early");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM sqlite_master"), 0);
  db.restore_from(make("PRAGMA encoding='UTF-16be'"));
  expect_restored(db);
}

TEST_P(RestoreOfAnotherKind, RestoresUtf16ToUtf16) {
  const std::filesystem::path from = make("PRAGMA encoding='UTF-16le'");
  Database db = open();
  db.restore_from(from);
  db.execute("DELETE FROM note");
  db.restore_from(from);
  expect_restored(db);
}

TEST_P(RestoreOfAnotherKind, RefusesOtherPages) {
  const std::filesystem::path from = make("PRAGMA page_size=8192");
  Database db = open();
  db.execute("CREATE TABLE note (title)");
  db.execute("INSERT INTO note VALUES ('own')");
  const auto error = error_of<OpenError>([&] { db.restore_from(from); });
  EXPECT_TRUE(mentions(error, "8192", "Options::page_size = 8192")) << error.what();
  expect_own(db);
}

TEST_P(RestoreOfAnotherKind, TakesOtherPagesWhereItWasOpenedWithThem) {
  for (const std::size_t size : {512U, 8192U, 65536U}) {
    const std::filesystem::path from = make("PRAGMA page_size=" + std::to_string(size));
    Database db = open({.page_size = size});
    db.restore_from(from);
    expect_restored(db);
    db.close();
    std::filesystem::remove(from);
    std::filesystem::remove(folder / "app.db");
  }
}

TEST_P(RestoreOfAnotherKind, RefusesASchemaThatCannotBeRead) {
  const std::filesystem::path from = make("SELECT 1");
  ForeignConnection(from).run(
      "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = 'CREATE TABLE note (title) OF TOMORROW'");
  Database db = open();
  db.execute("CREATE TABLE note (title)");
  db.execute("INSERT INTO note VALUES ('own')");
  for (const auto verification : {BackupOptions::Verification::integrity, BackupOptions::Verification::none}) {
    EXPECT_THROW(db.restore_from(from, {.verification = verification}), Error);
    expect_own(db);
  }
}

// In spite of its contract, and after the commit.
TEST_P(RestoreOfAnotherKind, IsASuccessThoughTheCallbackThrowsAtItsEnd) {
  Database db = open();
  const std::filesystem::path from = make("SELECT 1");
  db.restore_from(from, {.on_progress = [&](const BackupProgress& progress) {
                    if (!progress.is_verifying && progress.copied_bytes == progress.total_bytes) throw 1;
                  }});
  expect_restored(db);
}

INSTANTIATE_TEST_SUITE_P(Places, RestoreOfAnotherKind, ::testing::Bool(),
                         [](const auto& is_memory) { return is_memory.param ? "Memory" : "File"; });

// Another program can do what is refused here; SQLite lets it.
class ReplacedByAnotherProgram : public ::testing::Test {
 protected:
  ReplacedByAnotherProgram() {
    db.execute("CREATE TABLE note (title)");
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
    ForeignConnection source(folder / "from.db");
    source.run("PRAGMA encoding='UTF-16le'; CREATE TABLE note (title); INSERT INTO note VALUES ('theirs')");
    const ForeignConnection own(folder / "app.db");
    sqlite3_backup* const backup = sqlite3_backup_init(own.handle(), "main", source.handle(), "main");
    EXPECT_EQ(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    EXPECT_EQ(sqlite3_backup_finish(backup), SQLITE_OK);
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 1});
};

TEST_F(ReplacedByAnotherProgram, IsUnhealthyUntilTheConnectionsAreOpenedAnew) {
  EXPECT_EQ(db.health().verdict, Verdict::unhealthy);
  EXPECT_EQ(db.health().verdict, Verdict::healthy);
}

TEST_F(ReplacedByAnotherProgram, IsReadAndWrittenByNewConnections) {
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "theirs");
  const auto write = [&] { db.execute("INSERT INTO note VALUES ('ours')"); };
  EXPECT_TRUE(error_of<SchemaError>(write).is_retryable());  // it may have run: Retry::if_not_run
  write();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2);
}

}  // namespace
}  // namespace sqlane
