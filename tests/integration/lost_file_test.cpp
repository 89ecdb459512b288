#include <chrono>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <sqlite3.h>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "support/accidents.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::Accident;
using testing::accidents;
using testing::another_database;
using testing::beside;
using testing::copy_over;
using testing::cut;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

std::pair<time_t, long> time_of_change(const fs::path& file) {
  struct stat status {};
  EXPECT_EQ(::stat(file.c_str(), &status), 0);
  return {status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

class LostFile : public ::testing::TestWithParam<std::tuple<Accident, Locking>> {
 protected:
  LostFile() {
    fs::create_directory(path.parent_path());
    db.emplace(Database::open(path, {.readers = 2, .locking = std::get<Locking>(GetParam())}));
    db->execute("CREATE TABLE note (title TEXT)");
    db->execute("INSERT INTO note VALUES ('before')");
    EXPECT_EQ(titles(), std::vector<std::string>{"before"});
  }

  [[nodiscard]] std::vector<std::string> titles() const { return db->query<std::string>("SELECT title FROM note"); }
  void insert() { db->execute("INSERT INTO note VALUES ('lost')"); }
  [[nodiscard]] const Accident& accident() const { return std::get<Accident>(GetParam()); }
  void happen() { accident().happen(path); }
  // Until a change of the database from now on has another time than the last one.
  void await_tick() const {
    const fs::path clock = folder / "clock";
    do {
      write_bytes(clock, "tick");
    } while (time_of_change(clock) <= time_of_change(path));
  }

  TemporaryFolder folder;
  fs::path path = folder / "here" / "app.db";
  std::optional<Database> db;
};

TEST_P(LostFile, FailsTheNextWrite) {
  happen();
  const IoError error = error_of<IoError>([&] { insert(); });
  EXPECT_TRUE(mentions(error, path.string())) << error.what();
  EXPECT_TRUE(mentions(error, accident().said, "call reopen()")) << error.what();
  EXPECT_FALSE(error.is_retryable());
}

// A file that was not touched for a tick of its file system's clock is not looked up by its name each time.
TEST_P(LostFile, FailsTheNextWriteAfterManyThatFoundItUntouched) {
  await_tick();
  for (int i = 0; i < 3; ++i) db->execute("INSERT INTO note VALUES ('before')");
  happen();
  EXPECT_TRUE(mentions(error_of<IoError>([&] { insert(); }), accident().said));
  EXPECT_THROW(insert(), IoError);
}

TEST_P(LostFile, FailsAllWritesAfterThat) {
  happen();
  EXPECT_THROW(insert(), IoError);
  EXPECT_THROW(db->write([](Transaction& tx) { tx.execute("INSERT INTO note VALUES ('lost')"); }), IoError);
  EXPECT_THROW(db->write_async([](Transaction& tx) { tx.execute("INSERT INTO note VALUES ('lost')"); }).get(), IoError);
  EXPECT_THROW(
      {
        Transaction tx = db->begin();
        tx.execute("INSERT INTO note VALUES ('lost')");
        tx.commit();
      },
      IoError);
  EXPECT_THROW(db->execute("VACUUM"), IoError);
}

TEST_P(LostFile, FailsAGuardThatBeganBefore) {
  Transaction tx = db->begin();
  tx.execute("INSERT INTO note VALUES ('lost')");
  happen();
  EXPECT_THROW(tx.commit(), IoError);
  EXPECT_NE(tx.state(), TransactionState::committed);
}

TEST_P(LostFile, FailsReadsWhereTheDatabaseIsAnother) {
  happen();
  EXPECT_THROW(insert(), IoError);
  if (accident().takes_database) {
    EXPECT_THROW(static_cast<void>(titles()), IoError);
    EXPECT_THROW(static_cast<void>(db->snapshot()), IoError);
  } else if (accident().name == "LogHollowed") {
    EXPECT_THROW(static_cast<void>(titles()), IoError);  // its pages are gone
  } else {
    EXPECT_EQ(titles().front(), "before");
  }
}

// It would take the log and the database for those of each other.
TEST_P(LostFile, IsNotOpenedByFurtherReaders) {
  const Snapshot held = db->snapshot();
  happen();
  if (accident().said == "was cut short" || accident().said == "was written over by another program") {
    EXPECT_THROW(insert(), IoError);  // what a look at the names does not tell
    if (!accident().takes_database) return;
  }
  EXPECT_THROW(static_cast<void>(titles()), IoError);
}

TEST_P(LostFile, IsNoticedByHealth) {
  happen();
  const Health health = db->health();
  EXPECT_EQ(health.verdict, Verdict::unhealthy);
  ASSERT_FALSE(health.reasons.empty());
}

// As of the accident, the files belong to others.
TEST_P(LostFile, ChangesNothingWhenItIsClosed) {
  happen();
  EXPECT_THROW(insert(), IoError);
  const auto before = testing::contents_of(path.parent_path());
  db.reset();
  EXPECT_TRUE(testing::contents_of(path.parent_path()) == before);
}

INSTANTIATE_TEST_SUITE_P(By, LostFile,
                         ::testing::Combine(::testing::ValuesIn(accidents()),
                                            ::testing::Values(Locking::shared, Locking::exclusive)),
                         [](const auto& test) {
                           return std::get<Accident>(test.param).name +
                                  (std::get<Locking>(test.param) == Locking::shared ? "Shared" : "Exclusive");
                         });

// What is no accident

class FileThatIsInUse : public ::testing::Test {
 protected:
  FileThatIsInUse() {
    db.execute("CREATE TABLE note (title TEXT)");
    insert();
  }
  void insert() { db.execute("INSERT INTO note VALUES (hex(randomblob(500)))"); }

  TemporaryFolder folder;
  fs::path path = folder / "app.db";
  Database db = Database::open(path, {.checkpoint_pages = 3});
};

TEST_F(FileThatIsInUse, MayBeCheckpointedByItself) {
  for (int i = 0; i < 100; ++i) insert();
  EXPECT_GT(db.stats().checkpoints, 10U);
}

TEST_F(FileThatIsInUse, MayBeCheckpointedByOthers) {
  ForeignConnection other(path);
  for (const char* mode : {"PASSIVE", "FULL", "RESTART", "TRUNCATE"}) {
    for (int i = 0; i < 5; ++i) {
      insert();
      other.run("INSERT INTO note VALUES ('theirs'); PRAGMA wal_checkpoint(" + std::string(mode) + ")");
      fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
      insert();
    }
  }
  EXPECT_TRUE(db.health().is_healthy());
}

TEST_F(FileThatIsInUse, MayShrink) {
  ForeignConnection other(path);
  for (int i = 0; i < 50; ++i) insert();
  db.execute("DELETE FROM note");
  db.execute("VACUUM");
  insert();
  other.run("DELETE FROM note; VACUUM; PRAGMA journal_size_limit=0; PRAGMA wal_checkpoint(TRUNCATE)");
  insert();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1);
}

TEST_F(FileThatIsInUse, MayComeBack) {
  fs::rename(path, folder / "elsewhere.db");
  EXPECT_THROW(insert(), IoError);
  EXPECT_FALSE(db.health().is_healthy());
  fs::rename(folder / "elsewhere.db", path);
  EXPECT_NO_THROW(insert());
  EXPECT_TRUE(db.health().is_healthy());
  EXPECT_NO_THROW(static_cast<void>(db.query_one<int>("SELECT count(*) FROM note")));
}

// Nothing that could be lost: the file is asked for when there is.
TEST_F(FileThatIsInUse, IsNotMissedByAWriteThatChangesNothing) {
  fs::rename(path, folder / "elsewhere.db");
  EXPECT_NO_THROW(db.write([](Transaction&) {}));
  EXPECT_NO_THROW(db.execute("UPDATE note SET title = 'lost' WHERE title = 'none'"));
  EXPECT_NO_THROW(db.begin().commit());
  EXPECT_THROW(insert(), IoError);
}

// A log that was cut is found before anything is written.
TEST_F(FileThatIsInUse, UndoesAWriteToALogThatWasCut) {
  cut(beside(path, "-wal"), 0);
  const IoError error = error_of<IoError>([&] { insert(); });
  EXPECT_FALSE(error.transaction_ended()) << error.what();
  EXPECT_EQ(fs::file_size(beside(path, "-wal")), 0U);
}

TEST_F(FileThatIsInUse, IsNotOpenedBesideTheOneThatWasThereBefore) {
  const fs::path other = another_database(path);
  fs::rename(other, path);
  const OpenError error = error_of<OpenError>([&] { static_cast<void>(Database::open(path)); });
  EXPECT_TRUE(mentions(error, "open that was there before")) << error.what();
  db.close();
  // The log that is left belongs to the file that is gone.
  for (const char* suffix : {"-wal", "-shm"}) fs::remove(beside(path, suffix));
  const Database now = Database::open(path);
  EXPECT_EQ(now.query_one<std::string>("SELECT title FROM note"), "of another file");
}

// A database and its log, put where another one is open.
TEST_F(FileThatIsInUse, LeavesALogThatIsNotItsOwn) {
  const fs::path other = folder / "other.db";
  fs::create_directory(folder / "kept");
  {
    ForeignConnection theirs(other);
    theirs.run("PRAGMA journal_mode=WAL; CREATE TABLE note (title TEXT); INSERT INTO note VALUES ('in the log')");
    for (const char* suffix : {"", "-wal"})
      fs::copy_file(beside(other, suffix), folder / "kept" / ("app.db" + std::string(suffix)));
  }
  for (const char* suffix : {"", "-wal"})
    fs::rename(folder / "kept" / ("app.db" + std::string(suffix)), beside(path, suffix));
  EXPECT_THROW(insert(), IoError);
  db.close();
  fs::remove(beside(path, "-shm"));
  const Database now = Database::open(path);
  EXPECT_EQ(now.query_one<std::string>("SELECT title FROM note"), "in the log");
}

}  // namespace
}  // namespace sqlane
