#include <chrono>
#include <cstdint>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "sqlite/connection.hpp"
#include "sqlite/database_file.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::Call;
using testing::Effect;
using testing::error_of;
using testing::FaultInjection;
using testing::ForeignConnection;
using testing::handles;
using testing::mentions;
using testing::TemporaryFolder;

class TransactionFaults : public ::testing::Test {
 protected:
  TransactionFaults() { db.execute("CREATE TABLE note (title TEXT)"); }

  static void add(Transaction& tx, const char* title) { tx.execute("INSERT INTO note VALUES (?)", title); }
  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 1, .acquire_timeout = 0ms, .busy_timeout = 0ms});
};

TEST_F(TransactionFaults, ThatKeepItFromRollingBackCostTheConnectionAndNothingElse) {
  const long opened = handles().connections_opened;
  {
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .times = -1});
    Transaction tx = db.begin();
    add(tx, "undone");
    tx.rollback();
    EXPECT_GE(fault.failures(), 1);
  }
  db.write([](Transaction& tx) { add(tx, "kept"); });
  EXPECT_EQ(titles(), Titles{"kept"});
  EXPECT_EQ(handles().connections_opened, opened + 2) << "a new writer, and the first reader";
}

TEST_F(TransactionFaults, ThatKeepASnapshotFromEndingCostTheReader) {
  {
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .times = -1});
    db.read([](const Snapshot& s) { EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 0); });
    EXPECT_GE(fault.failures(), 1);
  }
  const long closed = handles().connections_closed;
  db.execute("INSERT INTO note VALUES ('new')");
  EXPECT_EQ(titles(), Titles{"new"}) << "a later read sees what was acknowledged";
  EXPECT_EQ(handles().connections_closed, closed);
}

TEST_F(TransactionFaults, OfAMemoryDatabaseReplaceTheWriterAlone) {
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE note (title TEXT)");
  memory.execute("INSERT INTO note VALUES ('kept')");
  const long opened = testing::handles().connections_opened;
  {
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .times = -1});
    Transaction tx = memory.begin();
    add(tx, "undone");
  }
  memory.execute("INSERT INTO note VALUES ('later')");
  EXPECT_EQ(memory.query<std::string>("SELECT title FROM note"), (std::vector<std::string>{"kept", "later"}));
  EXPECT_EQ(testing::handles().connections_opened, opened + 2);  // another writer, and the reader
}

TEST_F(TransactionFaults, InsideAWriteEndTheWholeOfIt) {
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_INTERRUPT}) {
    const auto job = [&](Transaction& tx) {
      add(tx, "a");
      {
        const FaultInjection fault(
            {.call = Call::step, .sql = "INSERT", .code = code, .effect = Effect::engine_rolls_back});
        EXPECT_TRUE(error_of<Error>([&] { add(tx, "b"); }).transaction_ended());
      }
      EXPECT_THROW(add(tx, "alone"), TransactionAborted);
    };
    EXPECT_THROW(db.write(job), TransactionAborted);
    EXPECT_EQ(titles(), Titles()) << "code " << code;
  }
}

TEST_F(TransactionFaults, AreReportedAsWhatTheyAre) {
  const auto fail = [&](int code) {
    const FaultInjection fault({.call = Call::step, .sql = "INSERT", .code = code});
    db.execute("INSERT INTO note VALUES ('a')");
  };
  EXPECT_THROW(fail(SQLITE_FULL), DiskFullError);
  EXPECT_THROW(fail(SQLITE_NOMEM), Error);
  EXPECT_THROW(fail(SQLITE_IOERR_READ), IoError);
  EXPECT_THROW(fail(SQLITE_CORRUPT), CorruptError);
  EXPECT_THROW(fail(SQLITE_NOTADB), CorruptError);
  EXPECT_THROW(fail(SQLITE_READONLY), ReadOnlyError);
  EXPECT_THROW(fail(SQLITE_READONLY_DBMOVED), IoError);
  EXPECT_THROW(fail(SQLITE_INTERRUPT), InterruptedError);
  EXPECT_THROW(fail(SQLITE_SCHEMA), SchemaError);
  EXPECT_THROW(fail(SQLITE_BUSY), BusyError);
  EXPECT_THROW(fail(SQLITE_LOCKED_SHAREDCACHE), BusyError);
  EXPECT_THROW(fail(SQLITE_CONSTRAINT_CHECK), ConstraintError);
  EXPECT_EQ(titles(), Titles());
}

// An I/O error ends a read transaction as well; what is read after it would
// come from another state.
TEST_F(TransactionFaults, ThatEndASnapshotAreNotFollowedByAnotherState) {
  db.execute("INSERT INTO note VALUES ('a')");
  const auto count = [](const Snapshot& s) { return s.query_one<int>("SELECT count(*) FROM note"); };
  db.read([&](const Snapshot& s) {
    EXPECT_EQ(count(s), 1);
    {
      const FaultInjection fault(
          {.call = Call::step, .sql = "SELECT count", .code = SQLITE_IOERR_READ, .effect = Effect::engine_rolls_back});
      EXPECT_TRUE(error_of<IoError>([&] { count(s); }).transaction_ended());
    }
    db.execute("INSERT INTO note VALUES ('b')");
    EXPECT_THROW(EXPECT_EQ(count(s), 1), Error);
  });
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

TEST_F(TransactionFaults, ThatKeepASavepointFromBeingUndoneUndoEverything) {
  for (const char* control : {"ROLLBACK TO", "RELEASE"}) {
    const auto job = [&](Transaction& tx) {
      add(tx, "a");
      {
        const FaultInjection fault({.call = Call::step, .sql = control, .code = SQLITE_NOMEM, .times = -1});
        const Savepoint savepoint = tx.savepoint();
        add(tx, "b");
      }
      EXPECT_EQ(tx.state(), TransactionState::aborted);
      EXPECT_THROW(add(tx, "c"), TransactionAborted);
    };
    EXPECT_THROW(db.write(job), TransactionAborted) << control;
    EXPECT_EQ(titles(), Titles()) << control;
  }
}

TEST_F(TransactionFaults, WhileASavepointIsReleasedLeaveItOpen) {
  Transaction tx = db.begin();
  add(tx, "a");
  Savepoint savepoint = tx.savepoint();
  add(tx, "b");
  {
    const FaultInjection fault({.call = Call::step, .sql = "RELEASE", .code = SQLITE_BUSY});
    EXPECT_THROW(savepoint.release(), BusyError);
  }
  savepoint.rollback();
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

// SQLite before 3.50.2 writes frames without valid checksums then: what is
// committed after them would be lost at the next recovery.
TEST_F(TransactionFaults, ThatSpilledBeforeASavepointWasUndoneAreNotCommitted) {
  if (sqlite3_libversion_number() >= 3'050'002) GTEST_SKIP() << "this SQLite can commit such a transaction";
  detail::Connection connection({.database = (folder / "app.db").string(),
                                 .role = detail::Role::writer,
                                 .statement_cache = 8,
                                 .page_cache = 1U << 20U});
  ASSERT_EQ(sqlite3_exec(connection.handle(), "PRAGMA cache_spill=ON; PRAGMA cache_spill=5; PRAGMA cache_size=5",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  connection.begin(Behavior::immediate);
  connection.open_savepoint();
  ASSERT_EQ(sqlite3_exec(connection.handle(),
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                         "INSERT INTO note SELECT 'a long title number ' || i FROM n",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  const TransactionAborted error = error_of<TransactionAborted>([&] { connection.undo_savepoint(); });
  EXPECT_TRUE(error.transaction_ended());
  EXPECT_FALSE(connection.in_transaction());
  EXPECT_THROW(connection.expect_live_transaction(), TransactionAborted);
  EXPECT_EQ(connection.tidy(), Cleaning::broken) << "SQLite counts spills for as long as the connection lives";
  EXPECT_EQ(titles(), Titles());
}

TEST_F(TransactionFaults, NeverSpillOnAConnectionThatWrites) {
  if (sqlite3_libversion_number() >= 3'050'002) GTEST_SKIP() << "this SQLite may spill";
  Database small = Database::open(folder / "small.db", {.page_cache = 16U << 10U});
  small.execute("CREATE TABLE note (title TEXT)");
  small.write([](Transaction& tx) {
    {
      const Savepoint savepoint = tx.savepoint();
      tx.execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
          "INSERT INTO note SELECT 'a long title number ' || i FROM n");
    }
    add(tx, "kept");
  });
  EXPECT_EQ(small.query<std::string>("SELECT title FROM note"), Titles{"kept"});
}

// Checkpoints

class CheckpointFaults : public ::testing::Test {
 protected:
  CheckpointFaults() { db.execute("CREATE TABLE note (title TEXT)"); }
  ~CheckpointFaults() override { testing::pretend_extra_checkpoint_pages(0); }

  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.busy_timeout = 0ms, .checkpoint_pages = 1});
};

TEST_F(CheckpointFaults, ThatShowACorruptLogAreReportedByTheNextWrite) {
  testing::pretend_extra_checkpoint_pages(1);
  db.execute("INSERT INTO note VALUES ('a')");  // committed before the checkpoint ran
  EXPECT_THROW(db.execute("INSERT INTO note VALUES ('b')"), CorruptError);
  EXPECT_THROW(db.write([](Transaction&) {}), CorruptError);
  EXPECT_THROW(static_cast<void>(db.begin()), CorruptError);
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(CheckpointFaults, ThatPassCostNoWrite) {
  const FaultInjection fault({.call = Call::checkpoint, .code = SQLITE_IOERR, .times = 3});
  for (const char* title : {"a", "b", "c", "d", "e"}) db.execute("INSERT INTO note VALUES (?)", title);
  EXPECT_EQ(fault.failures(), 3);
  EXPECT_EQ(titles(), (Titles{"a", "b", "c", "d", "e"}));
}

// The checkpoint holds a transaction of its own on the writer. One that cannot
// be rolled back must not become the transaction of the next write.
TEST_F(CheckpointFaults, ThatLeaveATransactionOpenLoseNoAcknowledgedWrite) {
  {
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .times = 1});
    db.execute("INSERT INTO note VALUES ('a')");
    ASSERT_EQ(fault.failures(), 1) << "there was no checkpoint";
  }
  Titles acknowledged{"a"};
  for (const char* title : {"b", "c"}) {
    EXPECT_NO_THROW({
      db.execute("INSERT INTO note VALUES (?)", title);
      acknowledged.emplace_back(title);
    });
  }
  EXPECT_EQ(titles(), acknowledged);
}

TEST_F(CheckpointFaults, ThatLeaveATransactionOpenDoNotFailTheNextWrite) {
  {
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .times = 1});
    db.execute("INSERT INTO note VALUES ('a')");
    ASSERT_EQ(fault.failures(), 1) << "there was no checkpoint";
  }
  EXPECT_NO_THROW(db.write([](Transaction& tx) { tx.execute("INSERT INTO note VALUES ('b')"); }));
}

}  // namespace
}  // namespace sqlane
