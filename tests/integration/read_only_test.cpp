#include <filesystem>
#include <sqlite3.h>
#include <string>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using testing::error_of;
using testing::ForeignConnection;
using testing::TemporaryFolder;

class ReadOnly : public ::testing::Test {
 protected:
  ReadOnly() {
    ForeignConnection made(path_);
    made.run("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO note VALUES (1, 'first')");
  }

  TemporaryFolder folder_;
  const fs::path path_ = folder_ / "app.db";
};

TEST_F(ReadOnly, ReadsAndLeavesTheFileAsItIs) {
  const std::string before = bytes_of(path_);
  {
    const Database db = Database::open(path_, {.mode = OpenMode::read_only});
    EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "first");
    EXPECT_EQ(db.query_one<std::string>("PRAGMA journal_mode"), "delete");
    EXPECT_EQ(db.health().verdict, Verdict::healthy);
    EXPECT_EQ(db.connections().size(), 1U);
  }
  EXPECT_EQ(bytes_of(path_), before);
  EXPECT_EQ(testing::contents_of(folder_.path()).size(), 1U) << "nothing beside it";
}

TEST_F(ReadOnly, RefusesWhateverWrites) {
  Database db = Database::open(path_, {.mode = OpenMode::read_only});
  const auto error = error_of<ReadOnlyError>([&] { db.execute("DELETE FROM note"); });
  EXPECT_TRUE(testing::mentions(error, "OpenMode::read_only")) << error.what();
  EXPECT_TRUE(testing::mentions(error, "read_only_test.cpp")) << error.what();
  EXPECT_THROW(db.execute("VACUUM"), ReadOnlyError);
  EXPECT_THROW(db.write([](Transaction&) {}), ReadOnlyError);
  EXPECT_THROW(static_cast<void>(db.write_async([](Transaction&) {})), ReadOnlyError);
  EXPECT_THROW(static_cast<void>(db.begin()), ReadOnlyError);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1);
}

TEST_F(ReadOnly, SeesWhatOthersOfTheProcessWriteAndLetsThem) {
  Database reading = Database::open(path_, {.mode = OpenMode::read_only});
  Database writing = Database::open(path_);
  writing.execute("INSERT INTO note VALUES (2, 'second')");
  EXPECT_EQ(reading.query_one<int>("SELECT count(*) FROM note"), 2);
  EXPECT_EQ(writing.query_one<std::string>("PRAGMA journal_mode"), "wal");
  EXPECT_THROW(reading.execute("DELETE FROM note"), ReadOnlyError);
}

TEST_F(ReadOnly, StaysThatWhenItIsMoved) {
  Database first = Database::open(path_, {.mode = OpenMode::read_only});
  Database moved = std::move(first);
  EXPECT_THROW(moved.execute("DELETE FROM note"), ReadOnlyError);
  Database assigned = Database::in_memory();
  assigned = std::move(moved);
  EXPECT_THROW(assigned.execute("DELETE FROM note"), ReadOnlyError);
}

TEST_F(ReadOnly, MakesNoFile) {
  for (const OpenMode mode : {OpenMode::existing, OpenMode::read_only}) {
    const auto error =
        error_of<OpenError>([&] { const Database db = Database::open(folder_ / "other.db", {.mode = mode}); });
    EXPECT_TRUE(testing::mentions(error, "No such file or directory")) << error.what();
  }
  EXPECT_FALSE(fs::exists(folder_ / "other.db"));
}

TEST_F(ReadOnly, RefusesWhatIsNoDatabase) {
  testing::write_bytes(folder_ / "text", std::string(5000, 'x'));
  EXPECT_THROW(static_cast<void>(Database::open(folder_ / "text", {.mode = OpenMode::read_only})), OpenError);
}

TEST_F(ReadOnly, IsForFilesAlone) {
  EXPECT_THROW(static_cast<void>(Database::in_memory({.mode = OpenMode::read_only})), UsageError);
}

TEST_F(ReadOnly, ExistingFilesAreWrittenAsUsual) {
  Database db = Database::open(path_, {.mode = OpenMode::existing});
  db.execute("INSERT INTO note VALUES (2, 'second')");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2);
}

// Another program has written meanwhile, and ended while its log was still in use here.
TEST_F(ReadOnly, LeavesTheLogOfAnotherProgramAsItIs) {
  ForeignConnection(path_).run("PRAGMA journal_mode=WAL");
  const std::string before = bytes_of(path_);
  {
    const Database db = Database::open(path_, {.mode = OpenMode::read_only});
    ForeignConnection other(path_);
    sqlite3_db_config(other.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    other.run("INSERT INTO note VALUES (2, 'in the log')");
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2);
  }
  EXPECT_EQ(bytes_of(path_), before);
  EXPECT_GT(fs::file_size(testing::beside(path_, "-wal")), 0U);
  const Database db = Database::open(path_);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 2);
}

}  // namespace
}  // namespace sqlane
