#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/generated_range.hpp"
#include "support/note_database.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;

class Transactions : public testing::NoteDatabase {};

TEST_F(Transactions, KeepWhatWasCommitted) {
  Transaction tx = db.begin();
  EXPECT_EQ(tx.state(), TransactionState::open);
  add(tx, "kept");
  EXPECT_EQ(titles(), Titles());
  tx.commit();
  EXPECT_EQ(tx.state(), TransactionState::committed);
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_F(Transactions, UndoEverythingWhenRolledBack) {
  Transaction tx = db.begin();
  add(tx, "undone");
  tx.rollback();
  EXPECT_EQ(tx.state(), TransactionState::rolled_back);
  EXPECT_EQ(titles(), Titles());
  db.execute("INSERT INTO note (title) VALUES ('after')");  // the lane is free again
}

TEST_F(Transactions, RollBackWhenTheScopeIsLeft) {
  const auto leave_early = [&] {
    Transaction tx = db.begin();
    add(tx, "undone");
    if (tx.last_insert_rowid() != 0) return;
    tx.commit();
  };
  leave_early();
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, RollBackWhenAnExceptionPasses) {
  EXPECT_THROW(
      {
        Transaction tx = db.begin();
        add(tx, "undone");
        throw std::runtime_error("the caller's own");
      },
      std::runtime_error);
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, RefuseEverythingOnceTheyHaveEnded) {
  Transaction committed = db.begin();
  committed.commit();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { add(committed, "late"); }), "committed already"));
  EXPECT_THROW(committed.commit(), UsageError);
  EXPECT_THROW(committed.rollback(), UsageError);
  EXPECT_THROW(static_cast<void>(committed.savepoint()), UsageError);
  EXPECT_THROW(committed.on_commit([]() noexcept {}), UsageError);
  Transaction undone = db.begin();
  undone.rollback();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { titles(undone); }), "rolled back already"));
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, ThatReadFirstTakeTheWriteLockWithTheirFirstChange) {
  ForeignConnection other(folder / "app.db");
  Transaction tx = db.begin(Behavior::deferred);
  EXPECT_EQ(titles(tx), Titles());
  EXPECT_EQ(other.try_run("BEGIN IMMEDIATE; ROLLBACK"), SQLITE_OK);
  add(tx, "mine");
  EXPECT_EQ(other.try_run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  tx.commit();
  EXPECT_EQ(titles(), Titles{"mine"});
}

TEST_F(Transactions, TakeTheWriteLockAtOnceWhenImmediateOrExclusive) {
  ForeignConnection other(folder / "app.db");
  for (const Behavior behavior : {Behavior::immediate, Behavior::exclusive}) {
    Transaction tx = db.begin(behavior);
    EXPECT_EQ(other.try_run("BEGIN IMMEDIATE"), SQLITE_BUSY);
    tx.rollback();
    EXPECT_EQ(other.try_run("BEGIN IMMEDIATE; ROLLBACK"), SQLITE_OK);
  }
}

TEST_F(Transactions, AreImmediateUnlessToldOtherwise) {
  ForeignConnection other(folder / "app.db");
  const Transaction tx = db.begin();
  EXPECT_EQ(other.try_run("BEGIN IMMEDIATE"), SQLITE_BUSY);
}

//  deferred                 another program
//  reads
//                           inserts and commits
//  inserts: BUSY_SNAPSHOT; its view can no longer become a change
TEST_F(Transactions, ThatReadFirstCannotUpgradeWhenAnotherProgramWasFaster) {
  ForeignConnection other(folder / "app.db");
  Transaction tx = db.begin(Behavior::deferred);
  EXPECT_EQ(titles(tx), Titles());
  other.run("INSERT INTO note (title) VALUES ('theirs')");
  const BusyError error = error_of<BusyError>([&] { add(tx, "mine"); });
  EXPECT_EQ(error.extended_code(), SQLITE_BUSY_SNAPSHOT);
  EXPECT_FALSE(error.transaction_ended());
  EXPECT_EQ(titles(tx), Titles());
  tx.rollback();
  db.write([](Transaction& again) { add(again, "mine"); });
  EXPECT_EQ(titles(), (Titles{"mine", "theirs"}));
}

TEST_F(Transactions, ThatCannotBeginLeaveTheLaneFree) {
  ForeignConnection other(folder / "app.db");
  other.run("BEGIN IMMEDIATE");
  EXPECT_THROW(static_cast<void>(db.begin()), BusyError);
  EXPECT_THROW(db.write([](Transaction&) {}), BusyError);
  EXPECT_THROW(db.execute("DELETE FROM note"), BusyError);
  other.run("ROLLBACK");
  db.write([](Transaction& tx) { add(tx, "mine"); });
  EXPECT_EQ(titles(), Titles{"mine"});
}

TEST_F(Transactions, StayOpenAndCanBeMendedWhenADeferredForeignKeyFailsAtCommit) {
  Transaction tx = db.begin();
  tx.execute("INSERT INTO child (parent) VALUES (7)");
  const ConstraintError error = error_of<ConstraintError>([&] { tx.commit(); });
  EXPECT_EQ(error.kind(), ConstraintKind::foreign_key);
  EXPECT_FALSE(error.transaction_ended());
  EXPECT_EQ(tx.state(), TransactionState::open);
  tx.execute("INSERT INTO parent (id) VALUES (7)");
  tx.commit();
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM child"), 1);
}

TEST_F(Transactions, OfWriteAreUndoneWhenADeferredForeignKeyFailsAtCommit) {
  const auto job = [](Transaction& tx) { tx.execute("INSERT INTO child (parent) VALUES (7)"); };
  EXPECT_EQ(error_of<ConstraintError>([&] { db.write(job); }).kind(), ConstraintKind::foreign_key);
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM child"), 0);
}

TEST_F(Transactions, CanDeferForeignKeysEachTimeAnew) {
  for (std::int64_t id = 1; id <= 3; ++id) {
    db.write([&](Transaction& tx) {
      tx.execute("PRAGMA defer_foreign_keys=ON");
      tx.execute("INSERT INTO strict_child (parent) VALUES (?)", id);
      tx.execute("INSERT INTO parent (id) VALUES (?)", id);
    });
    EXPECT_THROW(db.execute("INSERT INTO strict_child (parent) VALUES (99)"), ConstraintError);
  }
}

TEST_F(Transactions, RefuseAWriteInsideAWriteAndNameBothSites) {
  int outer = 0;
  int inner = 0;
  outer = __LINE__ + 1;
  db.write([&](Transaction& tx) {
    add(tx, "outer");
    inner = __LINE__ + 1;
    const UsageError error = error_of<UsageError>([&] { db.write([](Transaction&) {}); });
    EXPECT_TRUE(mentions(error, "transaction_test.cpp:" + std::to_string(outer))) << error.what();
    EXPECT_TRUE(mentions(error, "transaction_test.cpp:" + std::to_string(inner))) << error.what();
    EXPECT_THROW(db.execute("DELETE FROM note"), UsageError);
    EXPECT_THROW(static_cast<void>(db.begin()), UsageError);
  });
  EXPECT_EQ(titles(), Titles{"outer"});
}

TEST_F(Transactions, OfWriteCannotBeCommittedOrRolledBackByTheClosure) {
  db.write([](Transaction& tx) {
    add(tx, "kept");
    EXPECT_THROW(tx.commit(), UsageError);
    EXPECT_THROW(tx.rollback(), UsageError);
    EXPECT_EQ(tx.state(), TransactionState::open);
  });
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_F(Transactions, OfWriteReturnWhatTheClosureReturns) {
  const auto id = db.write([](Transaction& tx) {
    add(tx, "first");
    return tx.last_insert_rowid();
  });
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note WHERE id = ?", id), "first");
  const std::unique_ptr<int> moved = db.write([](Transaction&) { return std::make_unique<int>(7); });
  EXPECT_EQ(*moved, 7);
}

TEST_F(Transactions, OfWriteAreUndoneWhenTheClosureThrows) {
  struct Mine {};
  EXPECT_THROW(db.write([](Transaction& tx) {
    add(tx, "undone");
    throw Mine();
  }),
               Mine);
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, SurviveAStatementThatFailsAndUndoThatStatementAlone) {
  db.write([](Transaction& tx) {
    add(tx, "a");
    const ConstraintError error =
        error_of<ConstraintError>([&] { tx.execute("INSERT INTO note (title) VALUES ('b'), ('c'), ('a')"); });
    EXPECT_EQ(error.kind(), ConstraintKind::unique);
    EXPECT_EQ(error.table(), "note");
    EXPECT_EQ(error.columns(), std::vector<std::string>{"title"});
    EXPECT_FALSE(error.transaction_ended());
    EXPECT_THROW(tx.execute(runtime_sql("INSERT INTO nowhere VALUES (1)")), SchemaError);
    EXPECT_EQ(titles(tx), Titles{"a"});
  });
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Transactions, RefuseToCommitWhileRowsAreOpenAndStayUsable) {
  Transaction tx = db.begin();
  add(tx, "a");
  {
    auto rows = tx.query<std::string>("SELECT title FROM note");
    auto row = rows.begin();
    EXPECT_EQ(*row, "a");
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { tx.commit(); }), "rows"));
    EXPECT_EQ(tx.state(), TransactionState::open);
  }
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Transactions, RefuseToCommitWhileASavepointIsOpenAndStayUsable) {
  Transaction tx = db.begin();
  add(tx, "a");
  {
    Savepoint savepoint = tx.savepoint();
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { tx.commit(); }), "savepoint"));
    savepoint.release();
  }
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Transactions, KnowTheNewestRowThatTheyInserted) {
  Transaction tx = db.begin();
  EXPECT_EQ(tx.last_insert_rowid(), 0);
  tx.execute("INSERT INTO note (id, title) VALUES (41, 'a')");
  EXPECT_EQ(tx.last_insert_rowid(), 41);
  tx.execute("UPDATE note SET title = 'b'");
  tx.execute("INSERT OR IGNORE INTO note (id, title) VALUES (50, 'b')");
  EXPECT_EQ(tx.last_insert_rowid(), 41);
  tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)",
                  std::vector<std::pair<int, std::string>>{{60, "c"}, {61, "d"}});
  EXPECT_EQ(tx.last_insert_rowid(), 61);
  tx.commit();
  const Transaction next = db.begin();
  EXPECT_EQ(next.last_insert_rowid(), 0);
}

TEST_F(Transactions, KnowTheNewestRowThatAnInsertWithReturningMade) {
  Transaction tx = db.begin();
  EXPECT_EQ(tx.query_one<std::int64_t>("INSERT INTO note (id, title) VALUES (41, 'a') RETURNING id"), 41);
  EXPECT_EQ(tx.last_insert_rowid(), 41);
}

TEST_F(Transactions, KnowTheNewestRowAlsoWhenOneOfManyFailed) {
  Transaction tx = db.begin();
  const std::vector<std::pair<int, std::string>> rows{{60, "c"}, {61, "d"}, {62, "d"}};
  EXPECT_THROW(tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)", rows), ConstraintError);
  if (titles(tx) == Titles{"c", "d"}) {
    EXPECT_EQ(tx.last_insert_rowid(), 61);
  } else {
    EXPECT_EQ(tx.last_insert_rowid(), 0);
  }
}

TEST_F(Transactions, KeepRowsApartFromTheirEnd) {
  auto tx = std::unique_ptr<Transaction>(new Transaction(db.begin()));
  add(*tx, "a");
  auto rows = tx->query<std::string_view>("SELECT title FROM note UNION ALL SELECT 'b'");
  auto row = rows.begin();
  EXPECT_EQ(*row, "a");
  tx->rollback();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { ++row; }), "over"));
  tx.reset();
  EXPECT_THROW(++row, UsageError);
}

TEST_F(Transactions, RefuseRowsInsteadOfCrashingWhenTheSourceOfManyEndsThem) {
  const auto end_them = [&] {  // in a child, which cannot use the parent's database
    Database own = Database::in_memory();
    own.execute("CREATE TABLE note (title TEXT)");
    Transaction tx = own.begin();
    const testing::GeneratedRange rows(1, 4, [&](int number) {
      if (number == 2) tx.rollback();
      return std::to_string(number);
    });
    try {
      tx.execute_many("INSERT INTO note (title) VALUES (?)", rows);
    } catch (const UsageError&) {
      ::_exit(0);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(end_them(), ::testing::ExitedWithCode(0), "");
}

TEST_F(Transactions, ReportAForeignKeyThatFailsInAStatementThatReturnsRows) {
  Transaction tx = db.begin();
  EXPECT_THROW(tx.query_one<std::int64_t>("INSERT INTO strict_child (parent) VALUES (8), (9) RETURNING id"),
               ConstraintError);
  EXPECT_THROW(tx.query_optional<std::int64_t>("INSERT INTO strict_child (parent) VALUES (8), (9) RETURNING id"),
               ConstraintError);
  tx.commit();
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM strict_child"), 0);
}

TEST_F(Transactions, ChangeEveryRowOfAReturningStatementThatIsReadOnlyToItsFirstRow) {
  Transaction tx = db.begin();
  EXPECT_EQ(tx.query_one<std::string>("INSERT INTO note (title) VALUES ('a'), ('b') RETURNING title"), "a");
  tx.commit();
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

// With FAIL, SQLite keeps what the failing statement had done, and in autocommit mode commits it.
TEST_F(Transactions, OfASingleStatementAreUndoneWholeAlsoWithTheConflictClauseFail) {
  db.execute("INSERT INTO note (id, title) VALUES (3, 'c')");
  EXPECT_THROW(db.execute("INSERT OR FAIL INTO note (id, title) VALUES (1, 'a'), (2, 'b'), (3, 'x')"), ConstraintError);
  EXPECT_EQ(titles(), Titles{"c"});
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE t (a UNIQUE ON CONFLICT FAIL)");
  memory.execute("INSERT INTO t VALUES (1)");
  EXPECT_THROW(memory.execute("INSERT INTO t VALUES (2), (1)"), ConstraintError);
  EXPECT_EQ(memory.query<int>("SELECT a FROM t"), std::vector<int>{1});
}

TEST_F(Transactions, RefuseToDropATableThatIsBeingRead) {
  add_one("a");
  Transaction tx = db.begin();
  for ([[maybe_unused]] const int id : tx.query<int>("SELECT id FROM note")) {
    EXPECT_THROW(tx.execute("DROP TABLE note"), UsageError);
  }
  tx.commit();
}

}  // namespace
}  // namespace sqlane
