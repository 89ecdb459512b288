#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <vector>

#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/manual_clock.hpp"
#include "support/open_files.hpp"
#include "support/sqlite_shell.hpp"
#include "support/temporary_folder.hpp"

// Locking::exclusive keeps the file for one process. What other processes get
// to see is asked of the stock sqlite3 shell.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::beside;
using testing::ChildProcess;
using testing::count_open_files;
using testing::error_of;
using testing::ForeignConnection;
using testing::ForeignProcess;
using testing::is_locked_out;
using testing::LinePipe;
using testing::mentions;
using testing::ShellResult;
using testing::success;
using testing::TemporaryFolder;

constexpr std::string_view kHasItOpen = "another process has it open, which Locking::exclusive does not allow";

class ExclusiveLocking : public ::testing::Test {
 protected:
  // All that it has open is closed again.
  ~ExclusiveLocking() override { EXPECT_EQ(count_open_files(), files_before); }

  [[nodiscard]] static Options exclusive() {
    return {.readers = 4,
            .durability = Durability::normal,
            .locking = Locking::exclusive,
            .acquire_timeout = 1h,
            .busy_timeout = 0ms};
  }
  [[nodiscard]] static Options shared() {
    Options options = exclusive();
    options.locking = Locking::shared;
    return options;
  }
  [[nodiscard]] Database open() const { return open(exclusive()); }
  [[nodiscard]] Database open(const Options& options) const { return Database::open(path, options); }
  [[nodiscard]] OpenError refusal(const Options& options) const {
    return error_of<OpenError>([&] { static_cast<void>(open(options)); });
  }

  [[nodiscard]] ShellResult shell(const std::string& sql) const { return testing::run_in_shell(path, sql); }
  // A write-protected file, or one of another format, would be refused as well.
  [[nodiscard]] bool keeps_the_shell_out() const {
    return is_locked_out(shell("SELECT count(*) FROM note")) && is_locked_out(shell("INSERT INTO note VALUES (-1)"));
  }
  [[nodiscard]] ShellResult ids_in_shell() const {
    return shell("PRAGMA integrity_check; SELECT group_concat(id) FROM (SELECT id FROM note ORDER BY id)");
  }
  static ShellResult whole(const std::string& ids) { return success("ok\n" + ids); }

  static void create(Database& db) { db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, filler BLOB)"); }
  static void add(Database& db, int id) { db.execute("INSERT INTO note (id) VALUES (?)", id); }
  static std::vector<int> ids(const Database& db) { return db.query<int>("SELECT id FROM note ORDER BY id"); }

  [[nodiscard]] bool has_index_file() const { return fs::exists(beside(path, "-shm")); }
  [[nodiscard]] bool has_log() const { return fs::exists(beside(path, "-wal")); }

  std::size_t files_before = count_open_files();
  TemporaryFolder folder;
  fs::path path = folder / "app.db";
};

// Others are kept out

TEST_F(ExclusiveLocking, KeepsOthersOutFromOpeningToClosing) {
  ASSERT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY)"), success());
  Database db = open();
  EXPECT_TRUE(keeps_the_shell_out()) << "it has run no statement yet";
  add(db, 1);
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(ids(db), std::vector{1});
  EXPECT_TRUE(keeps_the_shell_out());
  {
    Transaction tx = db.begin();
    tx.execute("INSERT INTO note VALUES (2)");
    EXPECT_TRUE(keeps_the_shell_out());
    tx.commit();
  }
  {
    const Snapshot snapshot = db.snapshot();
    EXPECT_TRUE(keeps_the_shell_out());
  }
  db.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
  EXPECT_EQ(shell("INSERT INTO note VALUES (3)"), success());
  EXPECT_EQ(ids(open()), (std::vector{1, 2, 3}));
}

TEST_F(ExclusiveLocking, KeepsOthersOutOfAFileThatItHasJustMade) {
  const Database db = open();
  EXPECT_TRUE(is_locked_out(shell("SELECT 1 FROM sqlite_master")));
  EXPECT_TRUE(is_locked_out(shell("CREATE TABLE note (id)")));
}

TEST_F(ExclusiveLocking, LetsOthersInWhenTheDatabaseIsDestroyed) {
  {
    Database db = open();
    create(db);
    add(db, 1);
  }
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(ExclusiveLocking, LastsAsLongAsAGuard) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  auto tx = std::unique_ptr<Transaction>(new Transaction(db->begin()));
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  db.reset();
  tx->execute("INSERT INTO note (id) VALUES (1)");
  tx->commit();
  tx.reset();
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(snapshot->query_one<int>("SELECT count(*) FROM note"), 0);
  snapshot.reset();
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

// Readers alone never take the lock: it has to outlast a writer that rests.
TEST_F(ExclusiveLocking, LastsWhileReadersComeAndGo) {
  Options options = exclusive();
  options.upkeep.max_uses = 1;
  Database db = open(options);
  create(db);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ids(db), std::vector<int>());
    EXPECT_TRUE(keeps_the_shell_out()) << "after read " << i;
  }
}

TEST_F(ExclusiveLocking, IsLetGoWhenOpeningFails) {
  testing::write_bytes(path, std::string(5000, 'x'));
  const OpenError error = refusal(exclusive());
  EXPECT_EQ(error.code(), SQLITE_NOTADB);
  fs::remove(path);
  EXPECT_EQ(shell("CREATE TABLE note (id)"), success());
}

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

// What is left behind for others

TEST_F(ExclusiveLocking, HasNoIndexFile) {
  Database db = open();
  create(db);
  add(db, 1);
  EXPECT_EQ(ids(db), std::vector{1});
  EXPECT_TRUE(has_log());
  EXPECT_FALSE(has_index_file());
  db.close();
  EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U) << "the file alone";
}

// A child that writes 1, 2, … into the file, with no checkpoint, until it is killed.
void write_and_be_killed(const fs::path& path, int acknowledged) {
  ChildProcess child([&](const LinePipe& from_parent, const LinePipe& to_parent) {
    Database db = Database::open(
        path, {.durability = Durability::normal, .locking = Locking::exclusive, .checkpoint_pages = 1'000'000});
    db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    for (int id = 1;; ++id) {
      db.execute("INSERT INTO note VALUES (?)", id);
      if (id == acknowledged) {
        Transaction tx = db.begin();
        tx.execute("DELETE FROM note");
        to_parent.write("done");
        std::string line;
        static_cast<void>(from_parent.read(line));  // for ever
      }
    }
  });
  EXPECT_EQ(child.hear(), "done");
  EXPECT_TRUE(is_locked_out(testing::run_in_shell(path, "SELECT 1 FROM note")));
  child.kill();
  EXPECT_TRUE(fs::exists(beside(path, "-wal")));
  EXPECT_FALSE(fs::exists(beside(path, "-shm")));
}

TEST_F(ExclusiveLocking, LeavesALogThatOthersReadWhenItIsKilled) {
  write_and_be_killed(path, 4);
  EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
}

TEST_F(ExclusiveLocking, LeavesALogThatItReadsItselfWhenItIsKilled) {
  for (const Options& options : {exclusive(), shared()}) {
    fs::remove(path);
    write_and_be_killed(path, 4);
    EXPECT_EQ(ids(open(options)), (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
  }
}

TEST_F(ExclusiveLocking, LeavesALogThatOthersReadBesideAnOlderIndex) {
  ASSERT_EQ(shell("PRAGMA journal_mode=WAL"), success("wal"));
  write_and_be_killed(path, 4);
  testing::write_bytes(beside(path, "-shm"), std::string(32U << 10U, '\x5a'));
  EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
}

// Several Databases of this process

TEST_F(ExclusiveLocking, IsSharedByTheDatabasesOfAProcess) {
  Database first = open();
  create(first);
  fs::create_hard_link(path, folder / "link.db");
  Database second = Database::open(folder / "link.db", exclusive());
  // main                      writer
  // has the lane of first
  //                           writes through second: waits
  // commits                   has written
  Transaction tx = first.begin();
  tx.execute("INSERT INTO note (id) VALUES (1)");
  std::jthread writer([&] { add(second, 2); });
  while (first.lane_holder()->waiting != 1) std::this_thread::yield();
  EXPECT_EQ(ids(second), std::vector<int>());
  tx.commit();
  writer.join();
  EXPECT_EQ(ids(first), (std::vector{1, 2}));
  EXPECT_EQ(ids(second), (std::vector{1, 2}));
  first.close();
  EXPECT_TRUE(keeps_the_shell_out());
  add(second, 3);
  second.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2,3"));
}

TEST_F(ExclusiveLocking, HasToBeAgreedOnInAProcess) {
  for (const bool is_exclusive : {true, false}) {
    const Options first = is_exclusive ? exclusive() : shared();
    const Options other = is_exclusive ? shared() : exclusive();
    auto db = std::make_unique<Database>(open(first));
    fs::create_hard_link(path, folder / "link.db");
    const auto expect_refused = [&] {
      const UsageError error = error_of<UsageError>([&] { static_cast<void>(open(other)); });
      EXPECT_TRUE(mentions(error, is_exclusive ? "open with Locking::exclusive" : "open with Locking::shared"))
          << error.what();
      EXPECT_THROW(static_cast<void>(Database::open(folder / "link.db", other)), UsageError);
    };
    expect_refused();
    db->execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    EXPECT_EQ(is_locked_out(shell("SELECT 1 FROM note")), is_exclusive) << "the attempt has changed nothing";
    auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
    db.reset();
    expect_refused();
    EXPECT_NO_THROW(static_cast<void>(open(first)));
    expect_refused();
    EXPECT_EQ(is_locked_out(shell("SELECT 1 FROM note")), is_exclusive);
    snapshot.reset();
    EXPECT_NO_THROW(static_cast<void>(open(other)));
    fs::remove(folder / "link.db");
  }
}

TEST_F(ExclusiveLocking, CanFollowAndPrecedeTheOther) {
  for (int i = 0; i < 4; ++i) {
    Database db = open(i % 2 == 0 ? exclusive() : shared());
    db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    add(db, i);
    EXPECT_EQ(keeps_the_shell_out(), i % 2 == 0);
    static_cast<void>(shell("DELETE FROM note WHERE id = -1"));
  }
  EXPECT_EQ(ids_in_shell(), whole("0,1,2,3"));
}

TEST_F(ExclusiveLocking, BecomesMoreDurableWithTheSecondOne) {
  Database first = open();
  Options options = exclusive();
  options.durability = Durability::full;
  const Database second = open(options);
  EXPECT_EQ(first.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA synchronous"); }), 2);
}

TEST_F(ExclusiveLocking, MeansNothingToAMemoryDatabase) {
  Database db = Database::in_memory("notes", exclusive());
  create(db);
  add(db, 1);
  EXPECT_EQ(ids(Database::in_memory("notes", shared())), std::vector{1});
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

// Forks

TEST_F(ExclusiveLocking, IsNotLetGoByTheEndOfAForkedChild) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  EXPECT_EQ(ids(*db), std::vector<int>());
  {
    ChildProcess child([&](const LinePipe&, const LinePipe&) {
      EXPECT_THROW(static_cast<void>(open()), UsageError);
      EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
      db.reset();
      if (HasFailure()) throw std::runtime_error("see above");
    });
    EXPECT_EQ(child.join(), 0);
  }
  EXPECT_TRUE(keeps_the_shell_out());
  add(*db, 1);
  EXPECT_EQ(ids(*db), std::vector{1});
  db.reset();
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(ExclusiveLocking, EndsWithTheParentThoughAForkedChildLives) {
  Database db = open();
  create(db);
  {
    ChildProcess child([](const LinePipe& from_parent, const LinePipe& to_parent) {
      to_parent.write("here");
      std::string line;
      static_cast<void>(from_parent.read(line));  // for ever
    });
    ASSERT_EQ(child.hear(), "here");
    EXPECT_TRUE(keeps_the_shell_out());
    add(db, 1);
    db.close();
    EXPECT_EQ(ids_in_shell(), whole("1"));
    EXPECT_NO_THROW(static_cast<void>(open()));
  }
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

// What else goes on

TEST_F(ExclusiveLocking, LetsReadersSeeOneCommittedStateBesideTheWriter) {
  constexpr int kWrites = 300;
  Database db = open();
  db.execute("CREATE TABLE pair (a INTEGER NOT NULL, b INTEGER NOT NULL)");
  db.execute("INSERT INTO pair VALUES (0, 0)");
  std::atomic<int> written = 0;
  std::latch start(4);
  {
    std::vector<std::jthread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back([&] {
        start.arrive_and_wait();
        for (int seen = 0; seen < kWrites;) {
          const int before = written;
          db.read([&](const Snapshot& snapshot) {
            seen = snapshot.query_one<int>("SELECT a FROM pair");
            EXPECT_EQ(snapshot.query_one<int>("SELECT b FROM pair"), seen);
          });
          EXPECT_GE(seen, before);
          if (HasFailure()) break;
        }
      });
    }
    start.arrive_and_wait();
    for (int i = 1; i <= kWrites; ++i) {
      db.write([&](Transaction& tx) {
        tx.execute("UPDATE pair SET a = ?", i);
        tx.execute("UPDATE pair SET b = ?", i);
      });
      written = i;
    }
  }
  EXPECT_FALSE(has_index_file());
}

// SQLite closes a descriptor of a file that the process has locked only when it
// opens the file again, and uses it then. https://sqlite.org/src/file/src/os_unix.c
TEST_F(ExclusiveLocking, KeepsTheNumberOfDescriptorsBoundedWhileReadersAreReplaced) {
  constexpr int kThreads = 4;
  Options options = exclusive();
  options.upkeep.max_uses = 1;
  Database db = open(options);
  create(db);
  const std::size_t files = count_open_files();
  const auto read = [&] {
    for (int i = 0; i < 200; ++i) EXPECT_EQ(ids(db), std::vector<int>());
  };
  read();
  EXPECT_LE(count_open_files(), files + 2);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(read);
  }
  // For each reader the file, and its log while it is in use.
  EXPECT_LE(count_open_files(), files + 2 * kThreads);
  EXPECT_EQ(db.stats().readers.created, 200U * (kThreads + 1));
  db.close();
  EXPECT_EQ(count_open_files(), files_before);
}

TEST_F(ExclusiveLocking, CopiesTheLogBackAndStartsItOver) {
  constexpr std::uintmax_t kPage = 4096;
  Options options = exclusive();
  options.checkpoint_pages = 50;
  Database db = open(options);
  create(db);
  for (int i = 0; i < 1000; ++i) {
    db.execute("INSERT INTO note (filler) VALUES (zeroblob(3000))");
    EXPECT_EQ(db.query_one<int>("SELECT max(id) FROM note"), i + 1);
  }
  EXPECT_GT(db.stats().checkpoints, 10U);
  EXPECT_LT(fs::file_size(beside(path, "-wal")), 3 * 50 * kPage);
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_FALSE(has_index_file());
  db.close();
  EXPECT_EQ(shell("PRAGMA integrity_check; SELECT count(*) FROM note"), success("ok\n1000"));
}

TEST_F(ExclusiveLocking, LetsTheFileBeVacuumed) {
  Database db = open();
  create(db);
  db.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
      "INSERT INTO note SELECT i, zeroblob(1000) FROM n");
  const int before = db.query_one<int>("PRAGMA page_count");
  db.execute("DELETE FROM note WHERE id > 2");
  db.execute("VACUUM");
  EXPECT_LT(db.query_one<int>("PRAGMA page_count"), before / 10);
  EXPECT_TRUE(keeps_the_shell_out());
  db.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
}

TEST_F(ExclusiveLocking, LastsThroughADrain) {
  Database db = open();
  create(db);
  std::latch held(1);
  std::latch drained(1);
  std::jthread reader([&] {
    const Snapshot snapshot = db.snapshot({"report.cpp", 12, "print_report"});
    held.count_down();
    drained.wait();
    EXPECT_THROW(snapshot.query_one<int>("SELECT count(*) FROM note"), InterruptedError);
  });
  held.wait();
  const std::vector<LeaseReport> overstaying = db.drain(0ms);
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying[0].site.to_string(), "report.cpp:12 (print_report)");
  EXPECT_TRUE(keeps_the_shell_out());
  drained.count_down();
  reader.join();
  EXPECT_TRUE(keeps_the_shell_out());
  db.close();
  EXPECT_EQ(ids_in_shell(), whole(""));
}

TEST_F(ExclusiveLocking, LeavesTheFallbackToOthersAsWell) {
  const fs::path replica = folder / "replica.db";
  ASSERT_EQ(
      testing::run_in_shell(replica, "PRAGMA journal_mode=WAL; CREATE TABLE note (id); INSERT INTO note VALUES (100)"),
      success("wal"));
  Options options = exclusive();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = replica;
  Database db = open(options);
  create(db);
  {
    const Snapshot held = db.snapshot();
    EXPECT_EQ(ids(db), std::vector{100});
    EXPECT_EQ(testing::run_in_shell(replica, "INSERT INTO note VALUES (101)"), success());
    EXPECT_EQ(ids(db), (std::vector{100, 101}));
    EXPECT_TRUE(keeps_the_shell_out());
  }
  EXPECT_EQ(db.stats().fallback_reads, 2U);
  EXPECT_EQ(ids(db), std::vector<int>());
}

// Its readers of the file hold it shared for as long as they are kept.
TEST_F(ExclusiveLocking, IsRefusedForAFileThatIsReadAsAFallbackHere) {
  create(*std::make_unique<Database>(open(shared())));
  Options options = shared();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = path;
  auto other = std::make_unique<Database>(Database::open(folder / "other.db", options));
  EXPECT_NO_THROW(static_cast<void>(open())) << "nobody has needed it yet";
  {
    const Snapshot held = other->snapshot();
    EXPECT_EQ(ids(*other), std::vector<int>());
  }
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(open()); }), "open with Locking::shared"));
  EXPECT_NO_THROW(static_cast<void>(open(shared())));
  {
    ChildProcess child([&](const LinePipe&, const LinePipe&) {
      EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
      if (HasFailure()) throw std::runtime_error("see above");
    });
    EXPECT_EQ(child.join(), 0);
  }
  other.reset();
  const Database db = open();
  EXPECT_TRUE(keeps_the_shell_out());
}

TEST_F(ExclusiveLocking, LetsTheFileBeAFallbackOfTheSameProcess) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  add(*db, 1);
  Options options = shared();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = path;
  auto other = std::make_unique<Database>(Database::open(folder / "other.db", options));
  {
    const Snapshot held = other->snapshot();
    EXPECT_EQ(ids(*other), std::vector{1});
    add(*db, 2);
    EXPECT_EQ(ids(*other), (std::vector{1, 2}));
  }
  EXPECT_FALSE(has_index_file());
  db.reset();
  EXPECT_TRUE(keeps_the_shell_out()) << "the fallback's reader has it open";
  EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
  EXPECT_EQ(ids(open()), (std::vector{1, 2}));
  other.reset();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
}

TEST_F(ExclusiveLocking, TellsOfItsHealthAndOfAFileThatWasMoved) {
  Database db = open();
  create(db);
  EXPECT_EQ(db.health().verdict, Verdict::healthy);
  fs::rename(path, folder / "moved.db");
  EXPECT_THROW(add(db, 1), IoError);
  fs::rename(folder / "moved.db", path);
}

}  // namespace
}  // namespace sqlane
