#include <cerrno>
#include <filesystem>
#include <set>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "database/backup.hpp"
#include "database/core_access.hpp"
#include "support/expect_error.hpp"
#include "support/file_faults.hpp"
#include "support/files.hpp"
#include "support/sample_notes.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;

using testing::Call;
using testing::dump_of;
using testing::error_of;
using testing::FaultInjection;
using testing::FileCall;
using testing::FileFault;
using testing::FileFaultInjection;
using testing::fill_with_notes;
using testing::handles;
using testing::mentions;
using testing::TemporaryFolder;

using Names = std::set<std::string>;

Names names_in(const fs::path& folder) {
  Names names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

struct FileSweep {
  const char* name;
  FileCall call;
  int error;
  int times = 1;
};

std::ostream& operator<<(std::ostream& out, const FileSweep& sweep) { return out << sweep.name; }

// Each call of a kind fails in its turn, until the work gets by with fewer.
class FailingFiles : public ::testing::TestWithParam<FileSweep> {
 protected:
  template <class Attempt>
  static void sweep(int least, Attempt&& attempt) {
    constexpr int kMostCalls = 5000;
    int skip = 0;
    for (;; ++skip) {
      ASSERT_LT(skip, kMostCalls);
      SCOPED_TRACE("call " + std::to_string(skip));
      if (attempt(skip) == 0) break;
      if (HasFailure()) break;  // one story is enough
    }
    EXPECT_GE(skip, least) << "hardly anything was made to fail";
  }

  [[nodiscard]] static FileFault fault(int skip) {
    const FileSweep& given = GetParam();
    return {.call = given.call, .error = given.error, .skip = skip, .times = given.times};
  }

  TemporaryFolder folder;
  TemporaryFolder copies;
  fs::path file = folder / "app.db";
};

TEST_P(FailingFiles, LeaveACompleteBackupOrNone) {
  Database db = Database::open(file);
  fill_with_notes(db, 60, "own");
  const std::string own = dump_of(file);
  db.backup_to(copies / "first");  // the reader is open, and knows the schema
  fs::remove(copies / "first");
  const testing::Handles before = handles();
  sweep(1, [&](int skip) {
    bool is_done = false;
    int failures = 0;
    {
      const FileFaultInjection injection(fault(skip));
      try {
        db.backup_to(copies / "copy.db");
        is_done = true;
      } catch (const Error&) {
      }
      failures = injection.failures();
    }
    EXPECT_TRUE(is_done || failures > 0);
    EXPECT_EQ(names_in(copies.path()), is_done ? Names{"copy.db"} : Names());
    if (is_done) {
      EXPECT_EQ(dump_of(copies / "copy.db"), own);
      fs::remove(copies / "copy.db");
    }
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 60);
    return failures;
  });
  EXPECT_EQ(dump_of(file), own);
}

TEST_P(FailingFiles, LeaveTheOldBackupOrTheNewOne) {
  Database db = Database::open(file);
  const auto back_up = [&] {
    detail::back_up(detail::CoreAccess::core(db), copies / "copy.db", detail::Existing::replace, {},
                    CallSite::current());
  };
  fill_with_notes(db, 5, "old");
  back_up();
  const std::string old = dump_of(copies / "copy.db");
  fill_with_notes(db, 5, "own");
  const std::string own = dump_of(file);
  sweep(1, [&](int skip) {
    bool is_done = false;
    int failures = 0;
    {
      const FileFaultInjection injection(fault(skip));
      try {
        back_up();
        is_done = true;
      } catch (const Error&) {
      }
      failures = injection.failures();
    }
    EXPECT_EQ(names_in(copies.path()), Names{"copy.db"});
    const std::string now = dump_of(copies / "copy.db");
    if (is_done) {
      EXPECT_EQ(now, own);
    } else {
      EXPECT_TRUE(now == old || now == own);
    }
    return failures;
  });
}

// What is acknowledged is there, for another process as well; else all is as
// before, or was declared unknown. The page cache is small, so pages are spilled.
TEST_P(FailingFiles, LeaveTheRestoredDatabaseOrTheOneBefore) {
  const fs::path from = copies / "source.db";
  {
    Database source = Database::in_memory();
    fill_with_notes(source, 120, "restored");
    source.backup_to(from);
  }
  const std::string restored = dump_of(from);
  sweep(GetParam().call == FileCall::rename ? 0 : 1, [&](int skip) {
    const testing::Handles before = handles();
    int failures = 0;
    {
      for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(testing::beside(file, suffix));
      Database db = Database::open(file, {.page_cache = 32U << 10U, .checkpoint_pages = 30});
      fill_with_notes(db, 20, "own");
      const std::string own = dump_of(file);
      bool is_done = false;
      bool is_unknown = false;
      {
        const FileFaultInjection injection(fault(skip));
        try {
          db.restore_from(from);
          is_done = true;
        } catch (const CommitOutcomeUnknown&) {
          is_unknown = true;
        } catch (const Error&) {
        }
        failures = injection.failures();
      }
      EXPECT_TRUE(is_done || failures > 0);
      const std::string now = dump_of(file);
      if (is_unknown) {
        EXPECT_TRUE(now == own || now == restored);
      } else {
        EXPECT_TRUE(now == (is_done ? restored : own)) << (is_done ? "acknowledged, but gone" : "a part is there");
      }
      // Everything works again.
      db.execute("INSERT INTO note (title) VALUES ('after')");
      EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note WHERE title = 'after'"), 1);
      EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
    }
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    EXPECT_EQ(names_in(copies.path()), Names{"source.db"});
    EXPECT_EQ(dump_of(from), restored);
    return failures;
  });
}

// Whoever opens it next rolls back what the failure itself has kept from that.
TEST_P(FailingFiles, LeaveTheEmptyFileOrTheRestoredDatabase) {
  const fs::path from = copies / "source.db";
  {
    Database source = Database::in_memory();
    fill_with_notes(source, 60, "restored");
    source.backup_to(from);
  }
  const std::string restored = dump_of(from);
  sweep(GetParam().call == FileCall::rename ? 0 : 1, [&](int skip) {
    const testing::Handles before = handles();
    testing::write_bytes(file, "");
    bool is_done = false;
    int failures = 0;
    {
      const FileFaultInjection injection(fault(skip));
      try {
        restore_to_new(file, from);
        is_done = true;
      } catch (const Error&) {
      }
      failures = injection.failures();
    }
    EXPECT_TRUE(is_done || failures > 0);
    EXPECT_EQ(dump_of(file) == restored, is_done);
    EXPECT_EQ(fs::file_size(file) == 0, !is_done);
    EXPECT_EQ(names_in(folder.path()), Names{"app.db"});
    EXPECT_EQ(names_in(copies.path()), Names{"source.db"});
    EXPECT_EQ(handles().open_connections(), before.open_connections());
    return failures;
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, FailingFiles,
    ::testing::Values(FileSweep{"WriteFails", FileCall::write, EIO}, FileSweep{"DiskFull", FileCall::write, ENOSPC, -1},
                      FileSweep{"SyncFails", FileCall::sync, EIO}, FileSweep{"OpenFails", FileCall::open, EACCES, -1},
                      FileSweep{"NoDescriptorsLeft", FileCall::open, EMFILE},
                      FileSweep{"RenameFails", FileCall::rename, EIO},
                      FileSweep{"NamingFails", FileCall::rename, EIO, -1}),
    [](const ::testing::TestParamInfo<FileSweep>& tested) { return std::string(tested.param.name); });

class BackupFaults : public ::testing::Test {
 protected:
  BackupFaults() { fill_with_notes(db, 60, "own"); }

  // The one restored has two notes less.
  fs::path make_source() {
    const fs::path from = folder / "source.db";
    db.backup_to(from);
    db.execute("INSERT INTO note (title) VALUES ('x'), ('y')");
    return from;
  }
  int count() { return db.query_one<int>("SELECT count(*) FROM note"); }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db");
};

TEST_F(BackupFaults, ThatFillTheDiskAreCalledSo) {
  const FileFaultInjection injection({.call = FileCall::write, .error = ENOSPC, .times = -1});
  const auto error = error_of<DiskFullError>([&] { db.backup_to(folder / "copy.db"); });
  EXPECT_TRUE(mentions(error, "copy.db")) << error.what();
}

// Where neither exists, the name is taken and then replaced. File systems in user space say so by any error.
TEST_F(BackupFaults, OfAFileSystemWithoutHardLinksAreGotRound) {
  for (const int error : {EINVAL, EPERM, ENOSYS, EIO, EXDEV}) {
    for (const int missing : {1, 2}) {
      SCOPED_TRACE(error);
      const fs::path copy = folder / ("copy" + std::to_string(missing));
      {
        const FileFaultInjection injection({.call = FileCall::rename, .error = error, .times = missing});
        db.backup_to(copy);
        EXPECT_EQ(injection.failures(), missing);
      }
      EXPECT_EQ(dump_of(copy), dump_of(folder / "app.db"));
      struct stat status {};
      ASSERT_EQ(::stat(copy.c_str(), &status), 0);
      EXPECT_EQ(status.st_nlink, 1U);
      const FileFaultInjection injection({.call = FileCall::rename, .error = error, .times = missing});
      const auto refused = error_of<OpenError>([&] { db.backup_to(copy); });
      EXPECT_TRUE(mentions(refused, "already")) << refused.what();
      fs::remove(copy);
    }
  }
}

TEST_F(BackupFaults, InTheCommitOfARestoreLeaveItsOutcomeOpen) {
  const fs::path from = make_source();
  {
    const FileFaultInjection injection({.call = FileCall::sync, .error = EIO});
    EXPECT_THROW(db.restore_from(from), CommitOutcomeUnknown);
  }
  EXPECT_TRUE(count() == 60 || count() == 62);
  EXPECT_NO_THROW(db.restore_from(from));
  EXPECT_EQ(count(), 60);
}

TEST_F(BackupFaults, InTheStepsOfARestoreChangeNothing) {
  const fs::path from = make_source();
  for (const int code : {SQLITE_NOMEM, SQLITE_IOERR_READ, SQLITE_FULL, SQLITE_BUSY}) {
    const FaultInjection injection({.call = Call::backup_step, .code = code});
    EXPECT_THROW(db.restore_from(from), Error);
    EXPECT_EQ(injection.failures(), 1);
    EXPECT_EQ(count(), 62);
  }
  const FaultInjection injection({.call = Call::backup_step, .code = SQLITE_IOERR_READ});
  EXPECT_THROW(db.restore_from(from), IoError) << "not unknown: nothing had been committed";
}

// SQLite says nothing of which of the two files it is.
TEST_F(BackupFaults, NameTheFileThatTheyAreAbout) {
  const fs::path from = make_source();
  const fs::path copy = folder / "copy.db";
  const auto database_of = [](int code, const auto& work) {
    const FaultInjection injection({.call = Call::backup_step, .code = code});
    return error_of<Error>(work).database();
  };
  const auto back_up = [&] { db.backup_to(copy); };
  const auto restore = [&] { db.restore_from(from); };
  for (const int code : {SQLITE_IOERR_READ, SQLITE_CORRUPT}) {
    EXPECT_EQ(database_of(code, back_up), folder / "app.db");
    EXPECT_EQ(database_of(code, restore), from);
  }
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE}) {
    EXPECT_EQ(database_of(code, back_up), copy);
    EXPECT_EQ(database_of(code, restore), folder / "app.db");
  }
}

TEST_F(BackupFaults, OfAnotherProcesssCommitBetweenLookAndLockAreTriedAgain) {
  const fs::path from = make_source();
  const FaultInjection injection({.call = Call::backup_step, .code = SQLITE_BUSY_SNAPSHOT, .times = 3});
  EXPECT_NO_THROW(db.restore_from(from));
  EXPECT_EQ(injection.failures(), 3);
  EXPECT_EQ(count(), 60);
}

TEST_F(BackupFaults, CostTheWriterItsConnectionOnlyWhereItCopied) {
  const fs::path from = make_source();
  db.execute("DELETE FROM note WHERE title = 'x'");
  const testing::Handles before = handles();
  db.restore_from(from);
  db.execute("DELETE FROM note WHERE id = 1");
  // The source's, and a new writer.
  EXPECT_EQ(handles().connections_opened, before.connections_opened + 2);
  EXPECT_EQ(handles().open_connections(), before.open_connections());
}

TEST_F(BackupFaults, AreNotCountedOnWhereARestoreIsDurable) {
  const fs::path from = make_source();
  const auto syncs_of_restore = [&](const char* name, Durability durability) {
    Database other = Database::open(folder / name, {.durability = durability, .checkpoint_pages = 1'000'000});
    static_cast<void>(other.query_one<int>("SELECT 1"));  // its reader keeps the writer from being the last to close
    other.execute("CREATE TABLE begins_the_log (x)");
    const FileFaultInjection counting({.call = FileCall::sync, .times = 0});
    other.restore_from(from);
    return counting.calls();
  };
  EXPECT_EQ(syncs_of_restore("normal.db", Durability::normal), 0);
  EXPECT_EQ(syncs_of_restore("full.db", Durability::full), 1);
}

}  // namespace
}  // namespace sqlane
