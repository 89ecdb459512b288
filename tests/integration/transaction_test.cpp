#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/generated_range.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

// Guards cannot be moved, so std::make_unique cannot take one.
std::unique_ptr<Savepoint> on_heap(Transaction& tx) {
  return std::unique_ptr<Savepoint>(new Savepoint(tx.savepoint()));
}

// A database file with an empty table note, and what the tests below ask of it.
class Transactions : public ::testing::Test {
 protected:
  Transactions() {
    db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE)");
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.execute(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent DEFERRABLE INITIALLY "
        "DEFERRED)");
    db.execute("CREATE TABLE strict_child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent)");
    db.execute(
        "CREATE TRIGGER no_poison BEFORE INSERT ON note WHEN new.title = 'poison' "
        "BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END");
  }

  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY title"); }

  static std::vector<std::string> titles(const Transaction& tx) {
    std::vector<std::string> all;
    for (const std::string& title : tx.query<std::string>("SELECT title FROM note ORDER BY title"))
      all.push_back(title);
    return all;
  }

  static void add(Transaction& tx, const std::string& title) {
    tx.execute("INSERT INTO note (title) VALUES (?)", title);
  }

  void add_one(const std::string& title) {
    db.write([&](Transaction& tx) { add(tx, title); });
  }

  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 2, .acquire_timeout = 0ms, .busy_timeout = 0ms});
};

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
  const auto end_them = [&] {
    Transaction tx = db.begin();
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

// Savepoints

TEST_F(Transactions, KeepWhatAReleasedSavepointDid) {
  Transaction tx = db.begin();
  Savepoint savepoint = tx.savepoint();
  add(tx, "a");
  savepoint.release();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { savepoint.release(); }), "ended already"));
  EXPECT_THROW(savepoint.rollback(), UsageError);
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Transactions, UndoASavepointAloneWhenItsScopeIsLeft) {
  db.write([](Transaction& tx) {
    add(tx, "before");
    {
      const Savepoint savepoint = tx.savepoint();
      add(tx, "inside");
    }
    {
      Savepoint savepoint = tx.savepoint();
      add(tx, "inside too");
      savepoint.rollback();
      add(tx, "behind");
    }
    add(tx, "after");
  });
  EXPECT_EQ(titles(), (Titles{"after", "before", "behind"}));
}

TEST_F(Transactions, UndoASavepointAloneWhenAnExceptionPasses) {
  db.write([](Transaction& tx) {
    add(tx, "before");
    try {
      const Savepoint savepoint = tx.savepoint();
      add(tx, "inside");
      add(tx, "inside");
    } catch (const ConstraintError&) {
    }
    EXPECT_EQ(titles(tx), Titles{"before"});
  });
  EXPECT_EQ(titles(), Titles{"before"});
}

TEST_F(Transactions, NestSavepointsToAnyDepth) {
  constexpr std::size_t kDepth = 50;
  Transaction tx = db.begin();
  std::vector<std::unique_ptr<Savepoint>> savepoints;
  for (std::size_t i = 0; i < kDepth; ++i) {
    savepoints.push_back(on_heap(tx));
    add(tx, std::to_string(100 + i));
  }
  for (std::size_t i = kDepth; i-- > 0;) {
    if (i % 2 == 1 && i > 20) {
      savepoints[i]->rollback();
    } else {
      savepoints[i]->release();
    }
    savepoints.pop_back();
  }
  tx.commit();
  // Undoing 49 took only itself, undoing 47 took 48 along, and so on down to 21.
  Titles expected;
  for (int i = 0; i < 21; ++i) expected.push_back(std::to_string(100 + i));
  EXPECT_EQ(titles(), expected);
}

TEST_F(Transactions, RefuseToEndASavepointBeforeANewerOne) {
  Transaction tx = db.begin();
  Savepoint older = tx.savepoint();
  Savepoint newer = tx.savepoint();
  add(tx, "a");
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { older.release(); }), "newer"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { older.rollback(); }), "newer"));
  newer.release();
  older.release();
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Transactions, UndoNewerSavepointsWithAnOlderOneThatIsDestroyedFirst) {
  Transaction tx = db.begin();
  add(tx, "before");
  auto older = on_heap(tx);
  add(tx, "older");
  auto newer = on_heap(tx);
  add(tx, "newer");
  older.reset();
  EXPECT_EQ(titles(tx), Titles{"before"});
  EXPECT_THROW(newer->release(), UsageError);
  newer.reset();
  add(tx, "after");
  tx.commit();
  EXPECT_EQ(titles(), (Titles{"after", "before"}));
}

TEST_F(Transactions, MayBeDestroyedBeforeTheirSavepoints) {
  auto tx = std::unique_ptr<Transaction>(new Transaction(db.begin()));
  auto savepoint = on_heap(*tx);
  add(*tx, "a");
  tx.reset();
  EXPECT_THROW(savepoint->release(), UsageError);
  savepoint.reset();
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, UndoASavepointWhileRowsAreOpen) {
  Transaction tx = db.begin();
  add(tx, "a");
  add(tx, "b");
  int seen = 0;
  for (const std::string& title : tx.query<std::string>("SELECT title FROM note ORDER BY title")) {
    const Savepoint savepoint = tx.savepoint();
    add(tx, "with " + title);
    if (++seen == 10) break;  // or it would feed on its own rows for ever
  }
  EXPECT_GE(seen, 2);
  EXPECT_EQ(titles(tx), (Titles{"a", "b"}));
  tx.commit();
}

// Callbacks

TEST_F(Transactions, CallBackOnceAndInOrderAfterTheCommitWithTheLaneFree) {
  std::vector<std::string> calls;
  db.write([&](Transaction& tx) {
    add(tx, "a");
    tx.on_commit([&]() noexcept {
      calls.push_back("first");
      EXPECT_EQ(titles(), Titles{"a"});
      db.execute("INSERT INTO note (title) VALUES ('by the callback')");
    });
    tx.on_rollback([&]() noexcept { calls.push_back("rolled back"); });
    tx.on_commit([&]() noexcept { calls.push_back("second"); });
    EXPECT_TRUE(calls.empty());
  });
  EXPECT_EQ(calls, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(titles(), (Titles{"a", "by the callback"}));
}

TEST_F(Transactions, CallBackOnceAndInOrderAfterARollbackWithTheLaneFree) {
  std::vector<std::string> calls;
  const auto job = [&](Transaction& tx) {
    add(tx, "a");
    tx.on_rollback([&]() noexcept {
      calls.push_back("first");
      EXPECT_EQ(titles(), Titles());
      db.execute("INSERT INTO note (title) VALUES ('by the callback')");
    });
    tx.on_commit([&]() noexcept { calls.push_back("committed"); });
    tx.on_rollback([&]() noexcept { calls.push_back("second"); });
    throw std::runtime_error("undo this");
  };
  EXPECT_THROW(db.write(job), std::runtime_error);
  EXPECT_EQ(calls, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(titles(), Titles{"by the callback"});
}

TEST_F(Transactions, CallBackForAnUndoneSavepointAtTheEndAndDropItsCommitCallbacks) {
  std::vector<std::string> calls;
  const auto note = [&](std::string what) { return [&calls, what]() noexcept { calls.push_back(what); }; };
  db.write([&](Transaction& tx) {
    tx.on_commit(note("outer commit"));
    tx.on_rollback(note("outer rollback"));
    {
      const Savepoint undone = tx.savepoint();
      tx.on_commit(note("inner commit"));
      tx.on_rollback(note("inner rollback"));
      Savepoint released = tx.savepoint();
      tx.on_rollback(note("innermost rollback"));
      released.release();
    }
    EXPECT_TRUE(calls.empty());  // the lane is still held
    Savepoint kept = tx.savepoint();
    tx.on_commit(note("kept commit"));
    kept.release();
  });
  EXPECT_EQ(calls, (std::vector<std::string>{"outer commit", "inner rollback", "innermost rollback", "kept commit"}));
}

TEST_F(Transactions, LetACallbackOfAnUndoneSavepointUseTheDatabase) {
  db.write([&](Transaction& tx) {
    add(tx, "kept");
    Savepoint savepoint = tx.savepoint();
    tx.on_rollback([&]() noexcept { db.execute("INSERT INTO note (title) VALUES ('from the callback')"); });
    savepoint.rollback();
  });
  EXPECT_EQ(titles(), (Titles{"from the callback", "kept"}));
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

TEST_F(Transactions, TellSavepointsThatRowsOfAWriteAreStillOpen) {
  Transaction tx = db.begin();
  Savepoint savepoint = tx.savepoint();
  {
    auto rows = tx.query<int>("INSERT INTO note (title) VALUES ('a'), ('b') RETURNING id");
    EXPECT_THROW(savepoint.release(), UsageError);
    EXPECT_THROW(static_cast<void>(tx.savepoint()), UsageError);
  }
  savepoint.release();
  tx.commit();
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

TEST_F(Transactions, UndoASavepointAloneThoughRowsOfAWriteAreOpen) {
  Transaction tx = db.begin();
  add(tx, "kept");
  std::unique_ptr<Rows<int>> rows;  // lives longer than the savepoint
  {
    const Savepoint savepoint = tx.savepoint();
    rows.reset(new Rows<int>(tx.query<int>("INSERT INTO note (title) VALUES ('a'), ('b') RETURNING id")));
  }
  EXPECT_THROW(++rows->begin(), UsageError);
  tx.commit();
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_F(Transactions, RefuseToDropATableThatIsBeingRead) {
  add_one("a");
  Transaction tx = db.begin();
  for ([[maybe_unused]] const int id : tx.query<int>("SELECT id FROM note")) {
    EXPECT_THROW(tx.execute("DROP TABLE note"), UsageError);
  }
  tx.commit();
}

TEST_F(Transactions, CallBackAfterTheGuardOfATransactionWasDropped) {
  int calls = 0;
  {
    Transaction tx = db.begin();
    tx.on_rollback([&]() noexcept { ++calls; });
    const Savepoint savepoint = tx.savepoint();
    tx.on_rollback([&]() noexcept { ++calls; });
  }
  EXPECT_EQ(calls, 2);
}

TEST_F(Transactions, DoNotCallBackWhenTheCommitIsRefusedAndTheTransactionIsStillOpen) {
  std::vector<std::string> calls;
  Transaction tx = db.begin();
  tx.on_commit([&]() noexcept { calls.push_back("commit"); });
  tx.on_rollback([&]() noexcept { calls.push_back("rollback"); });
  tx.execute("INSERT INTO child (parent) VALUES (7)");
  EXPECT_THROW(tx.commit(), ConstraintError);
  EXPECT_TRUE(calls.empty());
  tx.execute("DELETE FROM child");
  tx.commit();
  EXPECT_EQ(calls, std::vector<std::string>{"commit"});
}

// Ended by SQLite

TEST_F(Transactions, ThatSqliteEndedSayItAndRefuseEverything) {
  int rolled_back = 0;
  Transaction tx = db.begin();
  tx.on_rollback([&]() noexcept { ++rolled_back; });
  add(tx, "a");
  const ConstraintError error = error_of<ConstraintError>([&] { add(tx, "poison"); });
  EXPECT_TRUE(error.transaction_ended());
  EXPECT_EQ(error.kind(), ConstraintKind::trigger);
  EXPECT_EQ(tx.state(), TransactionState::aborted);
  for (int i = 0; i < 2; ++i) {
    const TransactionAborted refused = error_of<TransactionAborted>([&] { add(tx, "on its own"); });
    EXPECT_TRUE(mentions(refused, "poisoned")) << refused.what();
    EXPECT_TRUE(refused.transaction_ended());
    EXPECT_EQ(refused.database(), (folder / "app.db").string());
  }
  EXPECT_THROW(titles(tx), TransactionAborted);
  EXPECT_THROW(static_cast<void>(tx.savepoint()), TransactionAborted);
  EXPECT_THROW(tx.commit(), TransactionAborted);
  EXPECT_EQ(rolled_back, 0);
}

TEST_F(Transactions, ThatSqliteEndedLeaveTheLaneFreeAndNothingBehind) {
  int rolled_back = 0;
  {
    Transaction tx = db.begin();
    tx.on_rollback([&]() noexcept { ++rolled_back; });
    add(tx, "a");
    EXPECT_TRUE(error_of<ConstraintError>([&] {
                  tx.execute("INSERT OR ROLLBACK INTO note (title) VALUES ('a')");
                }).transaction_ended());
  }
  EXPECT_EQ(rolled_back, 1);
  EXPECT_EQ(titles(), Titles());
  db.write([](Transaction& tx) { add(tx, "after"); });
  EXPECT_EQ(titles(), Titles{"after"});
}

TEST_F(Transactions, OfWriteReportTheEndThatTheClosureSwallowed) {
  const auto swallow = [](Transaction& tx) {
    add(tx, "a");
    EXPECT_THROW(add(tx, "poison"), ConstraintError);
    EXPECT_THROW(add(tx, "b"), TransactionAborted);
  };
  EXPECT_TRUE(error_of<TransactionAborted>([&] { db.write(swallow); }).transaction_ended());
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, ThatSqliteEndedInsideASavepointAreGoneWhole) {
  const auto swallow = [](Transaction& tx) {
    add(tx, "a");
    try {
      const Savepoint savepoint = tx.savepoint();
      add(tx, "poison");
    } catch (const ConstraintError& error) {
      EXPECT_TRUE(error.transaction_ended());
    }
    EXPECT_EQ(tx.state(), TransactionState::aborted);
    EXPECT_THROW(add(tx, "b"), TransactionAborted);
  };
  const TransactionAborted error = error_of<TransactionAborted>([&] { db.write(swallow); });
  EXPECT_TRUE(error.transaction_ended());
  EXPECT_TRUE(mentions(error, "poisoned")) << error.what();
  EXPECT_EQ(error.database(), (folder / "app.db").string());
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Transactions, ThatSqliteEndedAbortTheRowsThatWereBeingRead) {
  Transaction tx = db.begin();
  add(tx, "a");
  add(tx, "b");
  auto rows = tx.query<std::string>("SELECT title FROM note");
  auto row = rows.begin();
  EXPECT_THROW(add(tx, "poison"), ConstraintError);
  // Not a quiet end after half of the rows.
  EXPECT_THROW(++row, TransactionAborted);
}

// What a transaction does, done to a map as well: the innermost copy is what
// the transaction sees.
class Model {
 public:
  using Rows = std::map<int, int>;

  explicit Model(const Rows& rows) : layers_{rows} {}
  [[nodiscard]] Rows& rows() { return layers_.back(); }
  void open() { layers_.push_back(layers_.back()); }
  void release() {
    Rows top = std::move(layers_.back());
    layers_.pop_back();
    layers_.back() = std::move(top);
  }
  void undo() { layers_.pop_back(); }

 private:
  std::vector<Rows> layers_;
};

Model::Rows rows_of(const auto& source) {
  Model::Rows rows;
  for (const auto& [id, value] : source.template query<std::pair<int, int>>("SELECT id, value FROM pair"))
    rows[id] = value;
  return rows;
}

TEST(RandomTransactions, DoWhatAModelDoes) {
  constexpr int kTransactions = 2500;
  constexpr int kSteps = 12;
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](int end) { return std::uniform_int_distribution<int>(0, end - 1)(random); };

  const TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.durability = Durability::normal});
  db.execute("CREATE TABLE pair (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)");
  db.execute(
      "CREATE TRIGGER no_poison BEFORE UPDATE ON pair WHEN new.value < 0 BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
  Model::Rows committed;
  for (int i = 0; i < kTransactions; ++i) {
    Model model(committed);
    Transaction tx = db.begin(pick(4) == 0 ? Behavior::deferred : Behavior::immediate);
    std::vector<std::unique_ptr<Savepoint>> savepoints;
    bool is_lost = false;
    for (int step = 0; step < kSteps; ++step) {
      const int id = pick(8);
      const int value = pick(1000);
      switch (pick(8)) {
        case 0:
        case 1:
          tx.execute("INSERT OR REPLACE INTO pair VALUES (?, ?)", id, value);
          model.rows()[id] = value;
          break;
        case 2:
          EXPECT_EQ(tx.execute("DELETE FROM pair WHERE id = ?", id).changes,
                    static_cast<std::int64_t>(model.rows().erase(id)));
          break;
        case 3:
          savepoints.push_back(on_heap(tx));
          model.open();
          break;
        case 4:
          if (savepoints.empty()) break;
          savepoints.back()->release();
          savepoints.pop_back();
          model.release();
          break;
        case 5:
          if (savepoints.empty()) break;
          if (pick(2) == 0) savepoints.back()->rollback();
          savepoints.pop_back();
          model.undo();
          break;
        case 6:
          if (model.rows().contains(id)) {
            EXPECT_THROW(tx.execute("INSERT INTO pair VALUES (?, ?)", id, value), ConstraintError);
          }
          break;
        case 7:
          if (pick(10) != 0 || !model.rows().contains(id)) break;
          EXPECT_THROW(tx.execute("UPDATE pair SET value = -1 WHERE id = ?", id), ConstraintError);
          is_lost = true;
          break;
        default: break;
      }
      if (is_lost) break;
      ASSERT_EQ(rows_of(tx), model.rows());
    }
    const bool keeps = pick(4) != 0;
    while (!savepoints.empty()) {
      if (!is_lost && keeps) savepoints.back()->release();
      savepoints.pop_back();
      if (keeps) {
        model.release();
      } else {
        model.undo();
      }
    }
    if (is_lost) {
      EXPECT_THROW(tx.commit(), TransactionAborted);
    } else if (keeps) {
      tx.commit();
      committed = model.rows();
    }
    if (pick(2) == 0 && tx.state() == TransactionState::open) tx.rollback();
  }
  ASSERT_EQ(rows_of(db.snapshot()), committed);
}

}  // namespace
}  // namespace sqlane
