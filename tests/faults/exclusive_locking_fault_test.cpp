#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_faults.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::Call;
using testing::count_open_files;
using testing::Effect;
using testing::error_of;
using testing::FaultInjection;
using testing::handles;
using testing::is_locked_out;
using testing::mentions;
using testing::success;
using testing::TemporaryFolder;

// Whatever fails, in the end nothing is open, and others are let in.
class ExclusiveLockingFaults : public ::testing::Test {
 protected:
  ~ExclusiveLockingFaults() override {
    testing::pretend_unknown_vfs(nullptr);
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    EXPECT_EQ(handles().open_statements(), before.open_statements());
    EXPECT_EQ(count_open_files(), files_before);
    EXPECT_EQ(shell("PRAGMA integrity_check"), success("ok"));
  }

  [[nodiscard]] Database open(Locking locking = Locking::exclusive) const {
    return Database::open(path, {.readers = 1,
                                 .upkeep = {.breaker = std::nullopt},
                                 .locking = locking,
                                 .acquire_timeout = 1h,
                                 .busy_timeout = 0ms});
  }
  [[nodiscard]] testing::ShellResult shell(const std::string& sql) const { return testing::run_in_shell(path, sql); }
  [[nodiscard]] bool keeps_the_shell_out() const { return is_locked_out(shell("SELECT count(*) FROM sqlite_master")); }

  TemporaryFolder folder;
  fs::path path = folder / "app.db";
  testing::Handles before = handles();
  std::size_t files_before = count_open_files();
};

// Opening

TEST_F(ExclusiveLockingFaults, NameTheAlternativeWhereSqliteHasNoSuchFileSystem) {
  ASSERT_EQ(shell("CREATE TABLE note (title); INSERT INTO note VALUES ('before')"), success());
  const std::string content = testing::bytes_of(path);
  testing::pretend_unknown_vfs("unix-excl");
  const OpenError error = error_of<OpenError>([&] { static_cast<void>(open()); });
  EXPECT_TRUE(mentions(error, path.string())) << error.what();
  EXPECT_TRUE(mentions(error, "cannot keep other processes out")) << error.what();
  EXPECT_TRUE(mentions(error, "Locking::shared")) << error.what();
  EXPECT_EQ(error.database(), path.string());
  EXPECT_FALSE(error.is_retryable());
  EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U);
  EXPECT_EQ(testing::bytes_of(path), content);
  EXPECT_EQ(open(Locking::shared).query_one<std::string>("SELECT title FROM note"), "before");
}

TEST_F(ExclusiveLockingFaults, AreReportedAtEachStepOfOpeningAndLetOthersIn) {
  int failed = 0;
  for (const Call call : {Call::open, Call::prepare, Call::step}) {
    for (int skip = 0;; ++skip) {
      SCOPED_TRACE("call " + std::to_string(skip) + " of kind " + std::to_string(static_cast<int>(call)));
      bool is_open = false;
      {
        const FaultInjection fault({.call = call, .code = SQLITE_IOERR, .skip = skip});
        try {
          const Database db = open();
          EXPECT_EQ(fault.failures(), 0) << "it failed and nobody said so";
          is_open = true;
          EXPECT_TRUE(keeps_the_shell_out());
        } catch (const OpenError& error) {
          ++failed;
          EXPECT_EQ(fault.failures(), 1);
          EXPECT_EQ(error.code(), SQLITE_IOERR);
          EXPECT_TRUE(mentions(error, path.string())) << error.what();
        }
      }
      EXPECT_EQ(handles().open_connections(), before.open_connections());
      EXPECT_EQ(count_open_files(), files_before);
      EXPECT_EQ(shell("PRAGMA integrity_check"), success("ok"));
      if (is_open || HasFailure()) break;
    }
  }
  EXPECT_GT(failed, 20) << "two connections, the writer's and the checkpointer's";
}

TEST_F(ExclusiveLockingFaults, OfAReaderLeaveTheLock) {
  Database db = open();
  for (int i = 0; i < 20; ++i) {
    const FaultInjection fault({.call = Call::step, .sql = "cell_size_check", .code = SQLITE_IOERR});
    EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT 1")), OpenError);
  }
  EXPECT_LE(count_open_files(), files_before + 7)
      << "writer, checkpointer, their logs, one to be used again, and two that tell of database and log";
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(db.query_one<int>("SELECT 1"), 1);
}

// A writer that is lost

class LostWriter : public ExclusiveLockingFaults {
 protected:
  LostWriter() { db.execute("CREATE TABLE note (title TEXT NOT NULL)"); }

  // The writer is closed behind this write, and the next one gets another.
  void lose_writer() {
    const long closed_before = handles().connections_closed;
    const FaultInjection fault({.call = Call::step, .sql = "'lost'", .code = SQLITE_IOERR_LOCK});
    EXPECT_THROW(db.execute("INSERT INTO note VALUES ('lost')"), IoError);
    EXPECT_EQ(fault.failures(), 1);
    EXPECT_EQ(handles().connections_closed, closed_before + 1);
  }
  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note"); }

  Database db = open();
};

// No reader is open, and there is no writer: nothing but the checkpointer has the lock.
TEST_F(LostWriter, DoesNotLetGoOfTheLock) {
  lose_writer();
  EXPECT_TRUE(keeps_the_shell_out());
  {
    const FaultInjection fault({.call = Call::open, .code = SQLITE_CANTOPEN, .times = -1});
    EXPECT_THROW(db.execute("INSERT INTO note VALUES ('refused')"), Error);
    EXPECT_GT(fault.failures(), 0);
    EXPECT_TRUE(keeps_the_shell_out());
  }
  db.execute("INSERT INTO note VALUES ('kept')");
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(titles(), std::vector<std::string>{"kept"});
  db.close();
  EXPECT_EQ(shell("SELECT title FROM note"), success("kept"));
}

TEST_F(LostWriter, LeavesALogThatTheNextOneGoesOnWith) {
  db.execute("INSERT INTO note VALUES ('before')");
  const std::uintmax_t log = fs::file_size(testing::beside(path, "-wal"));
  lose_writer();
  EXPECT_EQ(fs::file_size(testing::beside(path, "-wal")), log) << "it was not the last connection";
  db.execute("INSERT INTO note VALUES ('after')");
  EXPECT_GT(fs::file_size(testing::beside(path, "-wal")), log);
  EXPECT_EQ(titles(), (std::vector<std::string>{"before", "after"}));
  EXPECT_FALSE(fs::exists(testing::beside(path, "-shm")));
}

TEST_F(LostWriter, IsReplacedWithoutMoreDescriptors) {
  db.execute("INSERT INTO note VALUES ('before')");
  const std::size_t files = count_open_files();
  for (int i = 0; i < 100; ++i) {
    lose_writer();
    db.execute("INSERT INTO note VALUES ('after')");
    ASSERT_LE(count_open_files(), files + 1) << "after " << i;
  }
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(titles().size(), 101U);
}

TEST_F(LostWriter, InACommitOfUnknownOutcomeDoesNotLetGoOfTheLock) {
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = SQLITE_IOERR, .effect = Effect::after});
    EXPECT_THROW(db.execute("INSERT INTO note VALUES ('perhaps')"), CommitOutcomeUnknown);
  }
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(titles(), std::vector<std::string>{"perhaps"});
  db.execute("INSERT INTO note VALUES ('kept')");
  EXPECT_EQ(titles(), (std::vector<std::string>{"perhaps", "kept"}));
}

TEST_F(LostWriter, ThatCannotBeReplacedLetsOthersInWithTheDatabase) {
  lose_writer();
  const FaultInjection fault({.call = Call::open, .code = SQLITE_CANTOPEN, .times = -1});
  EXPECT_THROW(db.execute("INSERT INTO note VALUES ('refused')"), Error);
  db.close();
  EXPECT_EQ(shell("SELECT count(*) FROM note"), success("0"));
}

}  // namespace
}  // namespace sqlane
