#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <vector>

#include "sqlite/connection.hpp"
#include "support/exclusive_locking.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_process.hpp"
#include "support/manual_clock.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_shell.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::beside;
using testing::ChildProcess;
using testing::count_open_files;
using testing::ExclusiveLocking;
using testing::ForeignProcess;
using testing::is_locked_out;
using testing::LinePipe;
using testing::mentions;
using testing::success;

constexpr std::string_view kHasItOpen = "another process has it open, which Locking::exclusive does not allow";

// Others who have the file open

// The other process begins before the database is opened here.
class OpenElsewhere : public ExclusiveLocking {
 protected:
  void open_there() {
    EXPECT_EQ(shell("PRAGMA journal_mode=WAL; CREATE TABLE note (id INTEGER PRIMARY KEY)"), success("wal"));
    other.open();
    EXPECT_EQ(other.run("INSERT INTO note VALUES (1)"), "0 ");
  }
  void expect_refused() const {
    const std::size_t files = count_open_files();
    const OpenError error = refusal(exclusive());
    EXPECT_TRUE(mentions(error, kHasItOpen)) << error.what();
    EXPECT_TRUE(mentions(error, path.string())) << error.what();
    EXPECT_EQ(error.code(), SQLITE_BUSY);
    EXPECT_EQ(error.database(), path.string());
    EXPECT_TRUE(error.is_retryable());
    EXPECT_EQ(count_open_files(), files);
  }

  ForeignProcess other{folder / "app.db"};
};

TEST_F(OpenElsewhere, RefusesAFileThatAnotherProgramHasOpen) {
  open_there();
  expect_refused();
  EXPECT_EQ(other.run("INSERT INTO note VALUES (2)"), "0 ") << "which goes on";
  EXPECT_EQ(other.run("PRAGMA integrity_check"), "0 ok");
  expect_refused();
  other.kill();
  EXPECT_EQ(ids(open()), (std::vector{1, 2}));
}

TEST_F(OpenElsewhere, RefusesAFileThatAnotherProgramReadsWithoutALog) {
  EXPECT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY)"), success());
  other.open();
  EXPECT_EQ(other.run("BEGIN; SELECT count(*) FROM note"), "0 0");
  expect_refused();
  EXPECT_EQ(other.run("COMMIT"), "0 ");
  Database db = open();
  EXPECT_EQ(other.run("SELECT count(*) FROM note"), "5 ") << "it has the file open, but no lock";
  add(db, 1);
  db.close();
  EXPECT_EQ(other.run("SELECT count(*) FROM note"), "0 1");
}

// here                    the other
// reads                   is kept out
// writes as well          is kept out
// has closed it           reads what was written
TEST_F(OpenElsewhere, KeepsOthersOutWhileItIsOnlyRead) {
  EXPECT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1)"), success());
  Options options = exclusive();
  options.mode = OpenMode::read_only;
  for (const char* mode : {"delete", "wal"}) {
    EXPECT_EQ(shell("PRAGMA journal_mode=" + std::string(mode)), success(mode));
    const auto before = testing::contents_of(folder.path());
    {
      Database db = open(options);
      EXPECT_EQ(ids(db), (std::vector{1}));
      db.maintain_now();
      EXPECT_TRUE(is_locked_out(shell("INSERT INTO note VALUES (-1)"))) << mode;
      EXPECT_THROW(add(db, 2), ReadOnlyError);
    }
    EXPECT_EQ(testing::contents_of(folder.path()), before) << mode;
  }
  {
    const Database reading = open(options);
    Database writing = open();
    add(writing, 2);
    EXPECT_EQ(ids(reading), (std::vector{1, 2}));
    EXPECT_TRUE(keeps_the_shell_out());
  }
  EXPECT_FALSE(has_log());
  EXPECT_EQ(shell("SELECT group_concat(id) FROM note"), success("1,2"));
}

TEST_F(OpenElsewhere, KeepsOthersOutOfAFileThatIsReopenedToRead) {
  EXPECT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1)"), success());
  const fs::path other_file = folder / "other.db";
  fs::copy_file(path, other_file);
  EXPECT_EQ(testing::run_in_shell(other_file, "INSERT INTO note VALUES (2)"), success());
  const std::string before = testing::bytes_of(other_file);
  Options options = exclusive();
  options.mode = OpenMode::read_only;
  {
    Database db = open(options);
    fs::rename(other_file, path);
    db.reopen();
    EXPECT_EQ(ids(db), (std::vector{1, 2}));
    EXPECT_TRUE(is_locked_out(shell("INSERT INTO note VALUES (-1)")));
  }
  EXPECT_EQ(testing::bytes_of(path), before);
  EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U);
}

TEST_F(OpenElsewhere, GivesUpAtTheDeadline) {
  open_there();
  Options options = exclusive();
  options.busy_timeout = 5ms;
  EXPECT_TRUE(mentions(refusal(options), kHasItOpen));
  other.kill();
}

// here                    the other
//                         has it open
// opens: waits
//                         is killed
// has it open
TEST_F(OpenElsewhere, WaitsUntilTheOtherProgramLetsGo) {
  open_there();
  testing::SteppedClock clock;
  std::atomic<bool> is_open = false;
  std::atomic<bool> is_over = false;
  std::jthread opener([&] {
    const auto open = [&] {
      const detail::Connection writer({.database = path.string(), .locking = Locking::exclusive, .busy_timeout = 1h},
                                      clock);
      is_open = true;
    };
    EXPECT_NO_THROW(open());
    is_over = true;
  });
  while (clock.sleeping() == 0 && !is_over) std::this_thread::yield();
  EXPECT_FALSE(is_open);
  other.kill();
  clock.advance(10ms);  // longer than it ever sleeps before it tries again
  opener.join();
  EXPECT_TRUE(is_open);
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(OpenElsewhere, FindsTheFileLockedFromThenOn) {
  Database db = open();
  create(db);
  other.open();
  EXPECT_EQ(other.run("SELECT count(*) FROM note"), "5 ");
  EXPECT_EQ(other.run("BEGIN IMMEDIATE"), "5 ");
  EXPECT_EQ(other.run("PRAGMA journal_mode=DELETE"), "5 ");
  db.close();
  EXPECT_EQ(other.run("SELECT count(*) FROM note"), "0 0");
}

// What others have left behind

TEST_F(OpenElsewhere, TakesOverALogThatAnotherProgramLeftWhenItWasKilled) {
  open_there();
  EXPECT_EQ(other.run("PRAGMA wal_autocheckpoint=0"), "0 0");
  EXPECT_EQ(other.run("INSERT INTO note VALUES (2), (3)"), "0 ");
  EXPECT_EQ(other.run("BEGIN IMMEDIATE; INSERT INTO note VALUES (4)"), "0 ");
  other.kill();
  ASSERT_TRUE(has_log());
  ASSERT_TRUE(has_index_file());
  Database db = open();
  EXPECT_EQ(ids(db), (std::vector{1, 2, 3}));
  add(db, 5);
  EXPECT_TRUE(is_locked_out(shell("SELECT 1 FROM note")));
  db.close();
  EXPECT_FALSE(has_log());
  EXPECT_EQ(ids_in_shell(), whole("1,2,3,5"));
}

TEST_F(OpenElsewhere, RollsBackATransactionThatAnotherProgramLeftInAJournal) {
  EXPECT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY, filler BLOB); INSERT INTO note VALUES (1, 'a')"),
            success());
  other.open();
  EXPECT_EQ(other.run("PRAGMA cache_size=1"), "0 ");
  EXPECT_EQ(other.run("BEGIN; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT "
                      "INTO note SELECT i, zeroblob(5000) FROM n"),
            "0 ");
  other.kill();
  ASSERT_TRUE(fs::exists(beside(path, "-journal")));
  ASSERT_GT(fs::file_size(path), 500'000U) << "part of it is in the file already";
  EXPECT_EQ(ids(open()), std::vector{1});
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(OpenElsewhere, DoesNotLookAtAnIndexThatAnotherProgramLeft) {
  open_there();
  EXPECT_EQ(other.run("PRAGMA wal_autocheckpoint=0"), "0 0");
  EXPECT_EQ(other.run("INSERT INTO note VALUES (2)"), "0 ");
  other.kill();
  // As if it were of another log.
  const std::string garbage(32U << 10U, '\x5a');
  testing::write_bytes(beside(path, "-shm"), garbage);
  Database db = open();
  EXPECT_EQ(ids(db), (std::vector{1, 2}));
  add(db, 3);
  EXPECT_EQ(ids(db), (std::vector{1, 2, 3}));
  db.close();
  EXPECT_EQ(testing::bytes_of(beside(path, "-shm")), garbage);
  EXPECT_EQ(ids_in_shell(), whole("1,2,3"));
}

// Several processes with sqlane

// Another process, which opens the file when it is told how.
class SqlaneElsewhere : public ExclusiveLocking {
 protected:
  std::string tell(const std::string& line) {
    other.tell(line);
    return other.hear();
  }

  ChildProcess other{[this](const LinePipe& from_parent, const LinePipe& to_parent) {
    std::optional<Database> db;
    std::string line;
    while (from_parent.read(line)) {
      std::string answer = "done";
      try {
        db.reset();
        if (line != "close") db.emplace(open(line == "exclusive" ? exclusive() : shared()));
      } catch (const OpenError& error) {
        answer = error.what();
      }
      to_parent.write(answer);
    }
  }};
};

TEST_F(SqlaneElsewhere, IsKeptOutInEitherMode) {
  Database db = open();
  EXPECT_TRUE(mentions(tell("shared"), "another process keeps it locked"));
  EXPECT_TRUE(mentions(tell("exclusive"), kHasItOpen));
  create(db);
  add(db, 1);
  EXPECT_EQ(ids(db), std::vector{1});
  db.close();
  EXPECT_EQ(tell("exclusive"), "done");
}

TEST_F(SqlaneElsewhere, KeepsThisOneOut) {
  ASSERT_EQ(tell("exclusive"), "done");
  EXPECT_TRUE(mentions(refusal(exclusive()), kHasItOpen));
  const OpenError error = refusal(shared());
  EXPECT_TRUE(mentions(error, "another process keeps it locked")) << error.what();
  EXPECT_TRUE(error.is_retryable());
  ASSERT_EQ(tell("shared"), "done");
  EXPECT_TRUE(mentions(refusal(exclusive()), kHasItOpen));
  EXPECT_NO_THROW(static_cast<void>(open(shared())));
  ASSERT_EQ(tell("close"), "done");
  EXPECT_NO_THROW(static_cast<void>(open()));
}

}  // namespace
}  // namespace sqlane
