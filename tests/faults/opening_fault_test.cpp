#include <cerrno>
#include <chrono>
#include <filesystem>
#include <sqlite3.h>
#include <string>

#include "support/expect_error.hpp"
#include "support/file_faults.hpp"
#include "support/files.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using namespace std::chrono_literals;
using testing::Call;
using testing::count_open_files;
using testing::Effect;
using testing::error_of;
using testing::Fault;
using testing::FaultInjection;
using testing::FileCall;
using testing::FileFaultInjection;
using testing::handles;
using testing::mentions;
using testing::TemporaryFolder;

// Whatever happens while opening, nothing of it stays open.
class OpeningFaults : public ::testing::Test {
 protected:
  ~OpeningFaults() override {
    testing::pretend_version(0);
    testing::pretend_threadsafe(-1);
    testing::pretend_journal_mode(nullptr);
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    EXPECT_EQ(handles().open_statements(), before.open_statements());
    EXPECT_EQ(count_open_files(), files_before);
  }

  OpenError refusal(std::chrono::milliseconds busy_timeout = 0ms) const {
    return error_of<OpenError>(
        [&] { static_cast<void>(Database::open(folder / "app.db", {.busy_timeout = busy_timeout})); });
  }

  TemporaryFolder folder;
  testing::Handles before = handles();
  std::size_t files_before = count_open_files();
};

TEST_F(OpeningFaults, SwitchToWalAgainWhenAnotherProgramIsBusy) {
  const FaultInjection busy({.call = Call::step, .sql = "journal_mode=WAL", .code = SQLITE_BUSY, .times = 5});
  Database db = Database::open(folder / "app.db");
  EXPECT_EQ(busy.failures(), 5);
  db.execute("CREATE TABLE note (title TEXT)");
  EXPECT_TRUE(fs::exists(folder / "app.db-wal"));
}

TEST_F(OpeningFaults, GiveUpWhenAnotherProgramStaysBusy) {
  const FaultInjection busy({.call = Call::step, .sql = "journal_mode=WAL", .code = SQLITE_BUSY, .times = -1});
  const OpenError error = refusal(5ms);
  EXPECT_GE(busy.failures(), 2);
  EXPECT_TRUE(error.is_retryable());
  EXPECT_EQ(error.code(), SQLITE_BUSY);
  EXPECT_TRUE(mentions(error, (folder / "app.db").string())) << error.what();
}

TEST_F(OpeningFaults, RefuseAFileSystemThatCannotHaveALog) {
  testing::pretend_journal_mode("delete");
  const OpenError error = refusal();
  EXPECT_TRUE(mentions(error, "write-ahead")) << error.what();
  EXPECT_TRUE(mentions(error, "delete")) << error.what();
  EXPECT_FALSE(error.is_retryable());
}

TEST_F(OpeningFaults, SayThatTheFolderIsWriteProtected) {
  const FaultInjection fault({.call = Call::step, .sql = "schema_version", .code = SQLITE_READONLY_DIRECTORY});
  const OpenError error = refusal();
  EXPECT_EQ(error.extended_code(), SQLITE_READONLY_DIRECTORY);
  EXPECT_TRUE(mentions(error, "folder is write-protected")) << error.what();
}

// The index of a log takes room, even to read it.
TEST_F(OpeningFaults, SayThatTheDiskIsFullAndReadWithoutAnIndex) {
  const fs::path copy = folder / "copy.db";
  testing::leave_log(folder / "work.db", copy, 3);
  const FileFaultInjection full({.call = FileCall::write, .error = ENOSPC, .times = -1});
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::existing}) {
    const auto error = error_of<OpenError>([&] { static_cast<void>(Database::open(copy, {.mode = mode})); });
    EXPECT_TRUE(mentions(error, "the disk is full", "copy.db-shm")) << error.what();
    EXPECT_TRUE(mentions(error, "Locking::exclusive")) << error.what();
  }
  const Database db = Database::open(copy, {.mode = OpenMode::read_only, .locking = Locking::exclusive});
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM in_the_log"), 3);
}

// SQLite gives it a few bytes as soon as it has made it, and again when it is asked to remove it.
TEST_F(OpeningFaults, LeaveNoIndexThatHadNoRoom) {
  const fs::path copy = folder / "copy.db";
  testing::leave_log(folder / "work.db", copy, 3);
  const auto before_it = testing::contents_of(folder.path());
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::existing}) {
    const FileFaultInjection full({.call = FileCall::truncate, .error = ENOSPC, .times = -1});
    EXPECT_THROW(static_cast<void>(Database::open(copy, {.mode = mode})), OpenError);
    EXPECT_GT(full.failures(), 0);
    EXPECT_TRUE(testing::contents_of(folder.path()) == before_it);
  }
}

TEST_F(OpeningFaults, RefuseAnEngineThatIsTooOld) {
  testing::pretend_version(3'038'005);
  EXPECT_TRUE(mentions(refusal(), "3.39.0"));
  EXPECT_THROW(static_cast<void>(Database::in_memory()), OpenError);
  testing::pretend_version(3'039'000);
  EXPECT_NO_THROW(static_cast<void>(Database::in_memory()));
}

TEST_F(OpeningFaults, RefuseAnEngineWithoutThreadSafety) {
  testing::pretend_threadsafe(0);
  EXPECT_TRUE(mentions(refusal(), "thread"));
}

TEST_F(OpeningFaults, ReportEachStepThatFailsAndLeaveNothingOpen) {
  for (const Call call : {Call::open, Call::prepare, Call::step}) {
    for (int skip = 0;; ++skip) {
      const FaultInjection fault({.call = call, .code = SQLITE_IOERR, .skip = skip});
      try {
        const Database db = Database::open(folder / "app.db");
        EXPECT_EQ(fault.failures(), 0) << "call " << skip << " failed and nobody said so";
        break;
      } catch (const OpenError& error) {
        EXPECT_EQ(fault.failures(), 1);
        EXPECT_EQ(error.code(), SQLITE_IOERR);
        EXPECT_TRUE(mentions(error, (folder / "app.db").string())) << error.what();
      }
    }
  }
}

// File systems in user space say by any error that a file cannot be named at once.
TEST_F(OpeningFaults, OfAFileSystemWithoutHardLinksAreGotRound) {
  for (const int error : {EINVAL, EPERM, ENOSYS, EIO, EXDEV}) {
    for (const int missing : {1, 2}) {
      SCOPED_TRACE(error);
      {
        const FileFaultInjection naming({.call = FileCall::rename, .error = error, .times = missing});
        const Database db = Database::open(folder / "new.db");
        EXPECT_EQ(naming.failures(), missing);
      }
      EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U);
      fs::remove(folder / "new.db");
    }
  }
}

// SQLite opens what it may not write for reading, without a word.
TEST_F(OpeningFaults, OfOneFileLeaveNoWriterThatCannotWrite) {
  Database other = Database::open(folder / "app.db");  // so that there is a log, which closing does not delete
  other.execute("CREATE TABLE note (title TEXT)");
  const fs::path file = folder / "copy.db";
  for (int skip = 0;; ++skip) {
    ASSERT_LT(skip, 100);
    SCOPED_TRACE(skip);
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(testing::beside(file, suffix));
    for (const char* suffix : {"", "-wal"}) {
      fs::copy_file(testing::beside(folder / "app.db", suffix), testing::beside(file, suffix));
    }
    int failures = 0;
    try {
      const FileFaultInjection none_left({.call = FileCall::open, .error = EMFILE, .skip = skip});
      Database db = Database::open(file);
      failures = none_left.failures();
      db.execute("INSERT INTO note VALUES ('written')");
    } catch (const OpenError&) {
      failures = 1;
    }
    if (failures == 0) break;
    Database db = Database::open(file);
    db.execute("INSERT INTO note VALUES ('written')");
  }
}

TEST_F(OpeningFaults, OfAReaderLeaveThePoolUsable) {
  Database db = Database::open(folder / "app.db", {.readers = 1, .acquire_timeout = 0ms});
  for (int i = 0; i < 3; ++i) {
    const FaultInjection fault({.call = Call::open, .code = SQLITE_CANTOPEN});
    EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT 1")), OpenError);
  }
  EXPECT_EQ(db.query_one<int>("SELECT 1"), 1);
}

}  // namespace
}  // namespace sqlane
