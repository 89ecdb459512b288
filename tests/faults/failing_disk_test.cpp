#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "sqlite/system_cause.hpp"
#include "support/expect_error.hpp"
#include "support/file_faults.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::FileCall;
using testing::FileFaultInjection;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

class FailingDisk : public ::testing::Test {
 protected:
  FailingDisk() { db.execute("CREATE TABLE note (title TEXT)"); }

  void insert(const char* title) { db.execute("INSERT INTO note VALUES (?)", title); }
  [[nodiscard]] std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note"); }
  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  Database db = Database::open(path);
};

// No room

class FullDisk : public FailingDisk, public ::testing::WithParamInterface<int> {};

// SQLite has undone all of it, and what it has written of it has no end: nobody will find it.
TEST_P(FullDisk, UndoesTheCommit) {
  {
    const FileFaultInjection fault({.call = FileCall::write, .error = GetParam(), .times = -1});
    const DiskFullError error = error_of<DiskFullError>([&] { insert("lost"); });
    EXPECT_GT(fault.failures(), 0);
    EXPECT_FALSE(error.is_retryable());
  }
  EXPECT_EQ(titles(), Titles());
  EXPECT_EQ(ForeignConnection(path).ask("SELECT count(*) FROM note"), "0");
}

TEST_P(FullDisk, UndoesTheCommitAtWhateverWrite) {
  for (int skip = 0; skip < 5; ++skip) {
    {
      const FileFaultInjection fault({.call = FileCall::write, .error = GetParam(), .skip = skip, .times = -1});
      EXPECT_THROW(db.write([](Transaction& tx) { tx.execute("INSERT INTO note VALUES (zeroblob(20000))"); }),
                   DiskFullError)
          << skip;
    }
    EXPECT_EQ(ForeignConnection(path).ask("SELECT count(*) FROM note"), "0") << skip;
  }
}

TEST_P(FullDisk, IsToldToTheGuard) {
  Transaction tx = db.begin();
  tx.execute("INSERT INTO note VALUES ('lost')");
  const FileFaultInjection fault({.call = FileCall::write, .error = GetParam(), .times = -1});
  EXPECT_THROW(tx.commit(), DiskFullError);
  EXPECT_EQ(tx.state(), TransactionState::aborted);
}

TEST_P(FullDisk, GoesOnByItselfOnceThereIsRoom) {
  {
    const FileFaultInjection fault({.call = FileCall::write, .error = GetParam(), .times = -1});
    EXPECT_THROW(insert("lost"), DiskFullError);
  }
  insert("kept");
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_P(FullDisk, IsNoticedByHealthUntilACommitSucceeds) {
  {
    const FileFaultInjection fault({.call = FileCall::write, .error = GetParam(), .times = -1});
    EXPECT_THROW(insert("lost"), DiskFullError);
    EXPECT_THROW(insert("lost"), DiskFullError);
  }
  const Health health = db.health();
  EXPECT_EQ(health.verdict, Verdict::unhealthy);
  EXPECT_EQ(health.reasons, std::vector<std::string>{"commits fail, the newest 2 of them"});
  insert("kept");
  EXPECT_TRUE(db.health().is_healthy());
}

INSTANTIATE_TEST_SUITE_P(By, FullDisk, ::testing::Values(ENOSPC, EDQUOT, EFBIG), [](const auto& test) {
  return test.param == ENOSPC ? "NoSpace" : test.param == EDQUOT ? "AQuota" : "ALimitOfTheFileSystem";
});

TEST_F(FailingDisk, SaysWhatTheSystemSaysOfAQuota) {
  const FileFaultInjection fault({.call = FileCall::write, .error = EDQUOT, .times = -1});
  const DiskFullError error = error_of<DiskFullError>([&] { insert("lost"); });
  EXPECT_TRUE(mentions(error, "Disk quota exceeded")) << error.what();
}

// Whether it will be there after a crash nobody knows.
TEST_F(FailingDisk, LeavesTheOutcomeOpenWhereSyncingFails) {
  const FileFaultInjection fault({.call = FileCall::sync, .error = EIO, .times = -1});
  const CommitOutcomeUnknown error = error_of<CommitOutcomeUnknown>([&] { insert("perhaps"); });
  EXPECT_TRUE(mentions(error, "Input/output error", "is the disk still there?")) << error.what();
}

// It may say that the disk is full, and have written something all the same.
TEST_F(FailingDisk, LeavesTheOutcomeOpenWhereWritingFails) {
  const FileFaultInjection fault({.call = FileCall::write, .error = EIO, .times = -1});
  EXPECT_THROW(insert("perhaps"), CommitOutcomeUnknown);
}

// A disk that is gone

TEST_F(FailingDisk, IsNotTakenForADamagedDatabase) {
  db.execute("INSERT INTO note SELECT zeroblob(5000)");
  db.close();
  Database reopened = Database::open(path);
  static_cast<void>(reopened.query_one<int>("SELECT count(*) FROM sqlite_master"));  // has a reader
  const FileFaultInjection fault({.call = FileCall::read, .error = EIO, .times = -1});
  const IoError error =
      error_of<IoError>([&] { static_cast<void>(reopened.query<std::size_t>("SELECT length(hex(title)) FROM note")); });
  EXPECT_GT(fault.failures(), 0);
  EXPECT_TRUE(mentions(error, "Input/output error", "is the disk still there?")) << error.what();
}

TEST_F(FailingDisk, IsNamedWhereTheDatabaseCannotBeOpened) {
  db.close();
  const FileFaultInjection fault({.call = FileCall::read, .error = ENXIO, .times = -1});
  const OpenError error = error_of<OpenError>([&] { static_cast<void>(Database::open(path)); });
  EXPECT_TRUE(mentions(error, "disk I/O error", "is the disk still there?")) << error.what();
}

// A commit that finds damage

// With auto_vacuum, COMMIT moves pages by a map of them, before it writes anything.
TEST_F(FailingDisk, IsNotBlamedForACommitThatFindsDamageBeforeItWrites) {
  const std::filesystem::path damaged = folder / "damaged.db";
  {
    ForeignConnection maker(damaged);
    maker.run(
        "PRAGMA auto_vacuum=FULL; CREATE TABLE note (title TEXT);"
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
        " INSERT INTO note SELECT zeroblob(4000) FROM n");
  }
  {
    std::fstream file(damaged, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(4096);
    file << std::string(4096, '\xff');  // the map
  }
  Database other = Database::open(damaged);
  EXPECT_THROW(other.execute("DELETE FROM note WHERE rowid % 2 = 0"), CorruptError);
  EXPECT_EQ(other.query_one<int>("SELECT count(*) FROM note"), 100);
}

// The cause, by SQLite's code and errno

TEST(SystemCauses, OfFullDisksAreKnownByTheirErrno) {
  using detail::cause_of;
  using detail::ErrorKind;
  for (const int error : {ENOSPC, EDQUOT, EFBIG}) {
    EXPECT_EQ(cause_of(SQLITE_IOERR_WRITE, error).kind, ErrorKind::disk_full);
    EXPECT_TRUE(cause_of(SQLITE_IOERR_WRITE, error).wrote_nothing);
    EXPECT_EQ(cause_of(SQLITE_IOERR_SHMSIZE, error).kind, ErrorKind::disk_full);
    EXPECT_FALSE(cause_of(SQLITE_IOERR_SHMSIZE, error).wrote_nothing) << "the log was written before its index";
    EXPECT_FALSE(cause_of(SQLITE_IOERR_FSYNC, error).wrote_nothing);
  }
  EXPECT_TRUE(cause_of(SQLITE_FULL, 0).wrote_nothing);
  EXPECT_EQ(cause_of(SQLITE_CORRUPT, EIO).kind, ErrorKind::io);
  EXPECT_FALSE(cause_of(SQLITE_CORRUPT, 0).kind);
  EXPECT_FALSE(cause_of(SQLITE_CORRUPT, ENOENT).kind);
  EXPECT_FALSE(cause_of(SQLITE_IOERR_WRITE, EIO).kind);
  EXPECT_EQ(cause_of(SQLITE_CONSTRAINT, EIO).words, "");
}

// A disk that may harm the neighbours of what it writes is told so by a parameter of its URI.
TEST(SystemCauses, TellWhoWritesOnAfterTheEndOfACommit) {
  const TemporaryFolder folder;
  for (const bool pads : {false, true}) {
    const std::string name = "file:" + (folder / "app.db").string() + (pads ? "?psow=0" : "?psow=1");
    sqlite3* connection = nullptr;
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    ASSERT_EQ(sqlite3_open_v2(name.c_str(), &connection, kFlags, nullptr), SQLITE_OK);
    EXPECT_EQ(detail::pads_commits(connection), pads);
    sqlite3_close(connection);
  }
}

// A file system without blocks has no room.
TEST(SystemCauses, NameTheFolderThatIsFull) {
  EXPECT_TRUE(detail::name_full_folder("/proc/app.db").find("\"/proc\"") != std::string::npos);
  const TemporaryFolder folder;
  EXPECT_EQ(detail::name_full_folder((folder / "app.db").string()), "");
}

}  // namespace
}  // namespace sqlane
