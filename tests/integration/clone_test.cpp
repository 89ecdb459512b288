#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sqlane/testing.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using testing::clone;
using testing::error_of;
using testing::load;
using testing::mentions;
using testing::save;

using Titles = std::vector<std::string>;

Titles titles(const Database& db) { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
void add(Database& db, const std::string& title) { db.execute("INSERT INTO note VALUES (?)", title); }
void fill(Database& db) {
  db.execute("CREATE TABLE note (title TEXT)");
  add(db, "a");
}
void grow(Database& db, int rows) {
  db.execute("CREATE TABLE IF NOT EXISTS large (a INTEGER PRIMARY KEY, b BLOB)");
  db.execute(
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) "
      "INSERT INTO large (b) SELECT zeroblob(500 + x % 700) FROM n",
      rows);
}
std::string integrity(const Database& db) {
  return db.query_one<std::string>("SELECT integrity_check FROM pragma_integrity_check");
}

TEST(Clone, HasWhatWasCommittedAndGoesItsOwnWay) {
  Database original = Database::in_memory();
  fill(original);
  Database copy = clone(original);
  add(original, "original");
  add(copy, "copy");
  EXPECT_EQ(titles(original), (Titles{"a", "original"}));
  EXPECT_EQ(titles(copy), (Titles{"a", "copy"}));
  Database second = clone(copy);
  copy.execute("DELETE FROM note");
  EXPECT_EQ(titles(second), (Titles{"a", "copy"}));
}

TEST(Clone, OutlivesItsOriginal) {
  auto original = std::make_unique<Database>(Database::in_memory("original"));
  fill(*original);
  grow(*original, 2000);
  Database copy = clone(*original);
  original.reset();
  EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM large"), 2000);
  copy.execute("UPDATE large SET b = zeroblob(900)");
  EXPECT_EQ(integrity(copy), "ok");
}

// Whatever either side does to the pages that they share.
TEST(Clone, KeepsManyCopiesApart) {
  Database original = Database::in_memory();
  grow(original, 3000);
  std::vector<Database> copies;
  for (int i = 0; i < 5; ++i) {
    copies.push_back(clone(original));
    original.execute("UPDATE large SET b = zeroblob(?) WHERE a % 5 = ?", 100 + i, i);
    copies.back().execute("DELETE FROM large WHERE a % 5 = ?", i);
    copies.back().execute("VACUUM");
  }
  for (int i = 0; i < 5; ++i) {
    SCOPED_TRACE(i);
    const Database& copy = copies[static_cast<std::size_t>(i)];
    EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM large"), 2400);
    EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM large WHERE length(b) < 500"), i * 600);
    EXPECT_EQ(integrity(copy), "ok");
  }
  EXPECT_EQ(integrity(original), "ok");
}

// A snapshot of an older state keeps the log from being copied whole; an open
// transaction is not committed yet.
TEST(Clone, IsOfTheNewestCommittedStateWhoeverReads) {
  Database original = Database::in_memory();
  fill(original);
  const Snapshot old = original.snapshot();
  add(original, "b");
  Database copy = clone(original);
  EXPECT_EQ(titles(copy), (Titles{"a", "b"}));
  EXPECT_EQ(old.query_one<int>("SELECT count(*) FROM note"), 1);
  add(copy, "c");
  EXPECT_EQ(titles(original), (Titles{"a", "b"}));
}

TEST(Clone, WaitsForAWriteThatIsUnderWay) {
  Database original = Database::in_memory();
  fill(original);
  std::latch has_begun(1);
  std::jthread writer([&] {
    original.write([&](Transaction& tx) {
      tx.execute("INSERT INTO note VALUES ('b')");
      has_begun.count_down();
    });
  });
  has_begun.wait();
  Database copy = clone(original);
  EXPECT_EQ(titles(copy), (Titles{"a", "b"}));
  original.write([&](Transaction&) { EXPECT_THROW(static_cast<void>(clone(original)), UsageError); });
}

TEST(Clone, OfAFileIsInMemory) {
  const testing::TemporaryFolder folder;
  for (const Locking locking : {Locking::shared, Locking::exclusive}) {
    Database file = Database::open(folder / "app.db", {.locking = locking});
    file.execute("DROP TABLE IF EXISTS note");
    fill(file);
    Database copy = clone(file);
    add(copy, "copy");
    EXPECT_EQ(titles(copy), (Titles{"a", "copy"}));
    EXPECT_EQ(titles(file), (Titles{"a"}));
    file.close();
    EXPECT_EQ(titles(copy), (Titles{"a", "copy"}));
  }
}

TEST(Clone, KeepsToItsOwnOptions) {
  Database original = Database::in_memory();
  grow(original, 2000);
  EXPECT_THROW(static_cast<void>(clone(original, {.memory_limit = 100'000})), DiskFullError);
  const Snapshot old = original.snapshot();
  grow(original, 1);
  EXPECT_THROW(static_cast<void>(clone(original, {.memory_limit = 100'000})), DiskFullError);
  Database copy = clone(original, {.readers = 2, .memory_limit = 4U << 20U});
  EXPECT_EQ(copy.options().readers, 2U);
  EXPECT_THROW(grow(copy, 10'000), DiskFullError);
  EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM large"), 2001);
}

TEST(Clone, OfAClosedDatabaseIsRefused) {
  Database original = Database::in_memory();
  original.close();
  EXPECT_THROW(static_cast<void>(clone(original)), ClosedError);
}

TEST(SaveAndLoad, BringAMemoryDatabaseBack) {
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  Database original = Database::in_memory();
  fill(original);
  grow(original, 500);
  save(original, folder / "saved.db");
  add(original, "later");
  EXPECT_FALSE(fs::exists(folder / "saved.db-wal"));
  const std::string bytes = testing::bytes_of(folder / "saved.db");
  Database copy = load(folder / "saved.db");
  add(copy, "copy");
  EXPECT_EQ(titles(copy), (Titles{"a", "copy"}));
  EXPECT_EQ(copy.query_one<int>("SELECT count(*) FROM large"), 500);
  EXPECT_EQ(testing::bytes_of(folder / "saved.db"), bytes);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
  EXPECT_EQ(testing::count_open_files(), open_files);
  Database file = Database::open(folder / "saved.db");
  EXPECT_EQ(titles(file), (Titles{"a"}));
  EXPECT_EQ(integrity(file), "ok");
}

TEST(SaveAndLoad, RefuseToWriteOverAFile) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "there.txt") << "precious";
  Database original = Database::in_memory();
  fill(original);
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { save(original, folder / "there.txt"); }), "there.txt"));
  EXPECT_EQ(testing::bytes_of(folder / "there.txt"), "precious");
  EXPECT_THROW(save(original, folder / "no-such-folder" / "a.db"), OpenError);
}

// As a crash leaves it: the newest commits are in the log alone.
TEST(SaveAndLoad, TakeWhatTheLogHasAsWell) {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "crashed");
  {
    Database db = Database::open(folder / "app.db");
    fill(db);
    add(db, "in the log");
    for (const char* part : {"app.db", "app.db-wal"}) fs::copy(folder / part, folder / "crashed" / part);
  }
  Database copy = load(folder / "crashed" / "app.db");
  EXPECT_EQ(titles(copy), (Titles{"a", "in the log"}));
  EXPECT_TRUE(fs::exists(folder / "crashed" / "app.db-wal"));
}

TEST(SaveAndLoad, RefuseWhatOpeningWouldNotTakeForItsFiles) {
  const testing::TemporaryFolder folder;
  save(Database::in_memory(), folder / "app.db");
  std::ofstream(folder / "private") << "not a log";
  fs::create_symlink(folder / "app.db", folder / "link.db");
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(load(folder / "link.db")); }), "symbolic link"));
  for (const char* suffix : {"-wal", "-journal"}) {
    const fs::path beside = (folder / "app.db").string() + suffix;
    fs::create_symlink(folder / "private", beside);
    EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(load(folder / "app.db")); }), "symbolic link"));
    fs::remove(beside);
  }
  EXPECT_NO_THROW(static_cast<void>(load(folder / "app.db")));
}

TEST(SaveAndLoad, RefuseWhatIsNoDatabaseOrIsOpenHere) {
  const testing::TemporaryFolder folder;
  EXPECT_THROW(static_cast<void>(load(folder / "missing.db")), OpenError);
  std::ofstream(folder / "text.db") << std::string(5000, 'x');
  EXPECT_TRUE(mentions(error_of<OpenError>([&] { static_cast<void>(load(folder / "text.db")); }), "text.db"));
  Database db = Database::open(folder / "app.db");
  fill(db);
  EXPECT_THROW(static_cast<void>(load(folder / "app.db")), UsageError);
  db.close();
  EXPECT_EQ(titles(load(folder / "app.db")), (Titles{"a"}));
  EXPECT_THROW(static_cast<void>(load(folder / "app.db", {.memory_limit = 5000})), DiskFullError);
}

}  // namespace
}  // namespace sqlane
