#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
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
using testing::handles;
using testing::mentions;
using testing::TemporaryFolder;

class CommitFaults : public ::testing::Test {
 protected:
  CommitFaults() { db.execute("CREATE TABLE note (title TEXT)"); }

  void insert(const char* title) {
    db.write([&](Transaction& tx) { tx.execute("INSERT INTO note VALUES (?)", title); });
  }
  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.busy_timeout = 0ms});
};

// The commit hook has run and the transaction is over, but syncing failed: it
// is in the log, and whether a crash takes it nobody knows.
TEST_F(CommitFaults, InTheMiddleOfACommitLeaveItsOutcomeOpen) {
  const long opened = handles().connections_opened;
  int callbacks = 0;
  {
    const FaultInjection fault(
        {.call = Call::step, .sql = "COMMIT", .code = SQLITE_IOERR_FSYNC, .times = -1, .effect = Effect::after});
    const CommitOutcomeUnknown error = error_of<CommitOutcomeUnknown>([&] {
      db.write([&](Transaction& tx) {
        tx.on_commit([&]() noexcept { ++callbacks; });
        tx.on_rollback([&]() noexcept { ++callbacks; });
        tx.execute("INSERT INTO note VALUES ('a')");
      });
    });
    EXPECT_EQ(fault.failures(), 1) << "a commit is never tried again";
    EXPECT_EQ(error.extended_code(), SQLITE_IOERR_FSYNC);
    EXPECT_FALSE(error.is_retryable());
    EXPECT_TRUE(error.transaction_ended());
  }
  EXPECT_EQ(callbacks, 0);
  insert("b");
  EXPECT_GT(handles().connections_opened, opened) << "the writer has to be a new one";
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

TEST_F(CommitFaults, InTheMiddleOfACommitAreToldToTheGuard) {
  Transaction tx = db.begin();
  tx.execute("INSERT INTO note VALUES ('a')");
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = SQLITE_IOERR, .effect = Effect::after});
    EXPECT_THROW(tx.commit(), CommitOutcomeUnknown);
  }
  EXPECT_EQ(tx.state(), TransactionState::outcome_unknown);
  EXPECT_THROW(tx.commit(), UsageError);
  insert("b");
}

TEST_F(CommitFaults, OfASingleStatementLeaveItsOutcomeOpen) {
  {
    const FaultInjection fault(
        {.call = Call::step, .sql = "COMMIT", .code = SQLITE_IOERR_FSYNC, .times = -1, .effect = Effect::after});
    EXPECT_FALSE(error_of<CommitOutcomeUnknown>([&] { db.execute("INSERT INTO note VALUES ('a')"); }).is_retryable());
    EXPECT_EQ(fault.failures(), 1);
  }
  insert("b");
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

// Moving the last pages to where there is room comes after the commit hook, and before the log is written.
TEST_F(CommitFaults, ThatFindTheFileDamagedAreKnownToHaveWrittenNothing) {
  const std::filesystem::path path = folder / "damaged.db";
  testing::ForeignConnection(path).run(
      "PRAGMA auto_vacuum = FULL; CREATE TABLE note (title TEXT);"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10)"
      "INSERT INTO note SELECT hex(zeroblob(3000)) FROM n");
  std::string bytes = testing::bytes_of(path);
  constexpr std::size_t kPage = 4096;
  bytes.replace(kPage, kPage, kPage, '\xff');  // says of each page what it is for
  testing::write_bytes(path, bytes);
  Database damaged = Database::open(path);
  const auto error = error_of<CorruptError>([&] { damaged.execute("DELETE FROM note WHERE rowid < 5"); });
  EXPECT_TRUE(error.transaction_ended()) << error.what();
  EXPECT_EQ(damaged.query_one<int>("SELECT count(*) FROM note"), 10);
}

TEST_F(CommitFaults, BeforeACommitBeganAreAPlainFailure) {
  const FaultInjection fault({.call = Call::step, .sql = "INSERT", .code = SQLITE_IOERR_WRITE});
  EXPECT_THROW(db.execute("INSERT INTO note VALUES ('a')"), IoError);
  EXPECT_EQ(titles(), Titles());
}

// SQLite rolled back before the commit began, so the outcome is known: nothing happened.
TEST_F(CommitFaults, ThatRollBackBeforeTheCommitBeganAbortTheTransaction) {
  for (const int code : {SQLITE_IOERR, SQLITE_FULL, SQLITE_NOMEM}) {
    int rolled_back = 0;
    {
      Transaction tx = db.begin();
      tx.on_rollback([&]() noexcept { ++rolled_back; });
      tx.execute("INSERT INTO note VALUES ('a')");
      {
        const FaultInjection fault(
            {.call = Call::step, .sql = "COMMIT", .code = code, .effect = Effect::engine_rolls_back});
        EXPECT_TRUE(error_of<Error>([&] { tx.commit(); }).transaction_ended());
      }
      EXPECT_EQ(tx.state(), TransactionState::aborted) << "code " << code;
    }
    EXPECT_EQ(rolled_back, 1) << "code " << code;
    EXPECT_EQ(titles(), Titles());
  }
}

TEST_F(CommitFaults, ThatSayBusyLeaveTheTransactionOpen) {
  Transaction tx = db.begin();
  tx.execute("INSERT INTO note VALUES ('a')");
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = SQLITE_BUSY, .times = -1});
    const BusyError error = error_of<BusyError>([&] { tx.commit(); });
    EXPECT_FALSE(error.transaction_ended());
    EXPECT_EQ(tx.state(), TransactionState::open);
  }
  tx.execute("INSERT INTO note VALUES ('b')");
  tx.commit();
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

TEST_F(CommitFaults, OfWriteThatSayBusyUndoTheWrite) {
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = SQLITE_BUSY, .times = -1});
    EXPECT_THROW(insert("a"), BusyError);
  }
  insert("b");
  EXPECT_EQ(titles(), Titles{"b"});
}

}  // namespace
}  // namespace sqlane
