#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <sqlite3.h>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/note_database.hpp"
#include "support/queued_writes.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

// Writes that wait together are run by the first of them, in one transaction.
//
//   main              first, second, third
//   has the lane      ask for it, one after the other
//   rolls back
//                     first: has the lane; runs its own job, then the second's
//                     and the third's, commits, wakes them

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::on_heap;
using testing::QueuedWrites;
using testing::TemporaryFolder;

class GroupedWrites : public ::testing::Test {
 protected:
  using Rows = std::vector<std::string>;

  GroupedWrites() {
    db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, size INTEGER CHECK (size < 9))");
    db.execute("CREATE TABLE fragile (n INTEGER UNIQUE ON CONFLICT FAIL)");
    db.execute("CREATE TABLE explosive (n INTEGER UNIQUE ON CONFLICT ROLLBACK)");
    db.execute("CREATE TABLE guarded (title TEXT)");
    db.execute("CREATE TABLE number (n INTEGER) STRICT");
    db.execute("CREATE TABLE keyed (id INTEGER PRIMARY KEY)");
    db.execute("CREATE TABLE plain (value)");
    db.execute("CREATE TABLE document (json TEXT)");
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.execute("CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
    db.execute("CREATE TABLE strict_child (parent INTEGER REFERENCES parent)");
    db.execute(
        "CREATE TRIGGER no_failure BEFORE INSERT ON guarded WHEN new.title = 'fails' "
        "BEGIN SELECT RAISE(FAIL, 'it fails'); END");
    db.execute(
        "CREATE TRIGGER no_poison BEFORE INSERT ON guarded WHEN new.title = 'poison' "
        "BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END");
    empty();
  }

  // But for the rows that later ones are to conflict with.
  void empty() {
    db.write([](Transaction& tx) {
      for (const char* table : {"note", "fragile", "explosive", "guarded", "number", "keyed", "plain", "document",
                                "child", "strict_child", "parent"}) {
        tx.execute(runtime_sql("DELETE FROM " + std::string(table)));
      }
      tx.execute("INSERT INTO note (title) VALUES ('taken')");
      tx.execute("INSERT INTO fragile VALUES (1)");
      tx.execute("INSERT INTO explosive VALUES (1)");
      tx.execute("INSERT INTO document VALUES ('[1]'), ('{broken')");
    });
  }

  static void add(Transaction& tx, const std::string& title) {
    tx.execute("INSERT INTO note (title) VALUES (?)", title);
  }
  // A closure, and a single statement, that add a note.
  std::function<void()> adding(const std::string& title) {
    return [this, title] { db.write([&](Transaction& tx) { add(tx, title); }); };
  }
  std::function<void()> inserting(const std::string& title) {
    return [this, title] { db.execute("INSERT INTO note (title) VALUES (?)", title); };
  }

  // All that there is, but for what empty() leaves.
  [[nodiscard]] Rows rows() {
    return db.query<std::string>(
        "SELECT title FROM note WHERE title <> 'taken' UNION ALL SELECT 'fragile ' || n FROM fragile WHERE n <> 1 "
        "UNION ALL SELECT 'explosive ' || n FROM explosive WHERE n <> 1 "
        "UNION ALL SELECT 'guarded ' || title FROM guarded UNION ALL SELECT 'number ' || n FROM number "
        "UNION ALL SELECT 'keyed ' || id FROM keyed UNION ALL SELECT 'plain ' || value FROM plain "
        "UNION ALL SELECT 'parent ' || id FROM parent UNION ALL SELECT 'child of ' || parent FROM child "
        "UNION ALL SELECT 'strict child of ' || parent FROM strict_child ORDER BY 1");
  }
  [[nodiscard]] long commits() const { return testing::count_commits(folder / "app.db"); }

  // Lets `culprit` wait among others: twice, so that what is prepared for it the
  // first time is found the second time; in the first, a middle and the last
  // place. Each time it ends with Expected, which `look` may look at, and leaves
  // nothing behind; the others share one commit.
  template <class Expected>
  void expect_to_fail_alone(
      const std::function<void()>& culprit, const std::function<void(const Expected&)>& look = [](const Expected&) {}) {
    const std::vector<std::function<void()>> others{adding("a"), inserting("b"), adding("c"), inserting("d")};
    for (std::size_t place = 0; place <= others.size(); ++place) {
      SCOPED_TRACE("behind " + std::to_string(place) + " others");
      empty();
      QueuedWrites queue(db);
      for (std::size_t i = 0; i < place; ++i) queue.add(others[i]);
      const std::size_t first = queue.add(culprit);
      const std::size_t second = queue.add(culprit);
      for (std::size_t i = place; i < others.size(); ++i) queue.add(others[i]);
      const long commits_before = commits();
      queue.run();
      for (std::size_t i = 0; i < others.size() + 2; ++i) {
        if (i != first && i != second) {
          EXPECT_NO_THROW(queue.get(i)) << "number " << i;
          continue;
        }
        try {
          queue.get(i);
          ADD_FAILURE() << "number " << i << " did not fail";
        } catch (const Expected& error) {
          look(error);
        }
      }
      EXPECT_EQ(rows(), (Rows{"a", "b", "c", "d"}));
      EXPECT_EQ(commits(), commits_before + 1);
    }
  }

  // Lets `culprit` wait in the middle, and end the whole transaction. It says at
  // which line it writes.
  template <class Expected>
  void expect_to_fail_those_before(const std::function<void()>& culprit, const int& line, const std::string& why) {
    for (int round = 0; round < 2; ++round) {  // the second time, its statements are prepared already
      SCOPED_TRACE("round " + std::to_string(round));
      empty();
      QueuedWrites queue(db);
      queue.add(adding("a"));
      queue.add(inserting("b"));
      queue.add(culprit);
      queue.add(adding("c"));
      queue.add(inserting("d"));
      queue.run();
      for (std::size_t i = 0; i < 2; ++i) {
        const TransactionAborted error = queue.error_of<TransactionAborted>(i);
        EXPECT_TRUE(error.is_retryable());
        EXPECT_TRUE(error.transaction_ended());
        EXPECT_TRUE(mentions(error, "group_commit_test.cpp:" + std::to_string(line) + " ")) << error.what();
        EXPECT_TRUE(mentions(error, why)) << error.what();
        EXPECT_EQ(error.database(), (folder / "app.db").string());
      }
      EXPECT_NE(queue.exception_of(0), queue.exception_of(1)) << "two threads must not share an exception";
      const Expected error = queue.error_of<Expected>(2);
      EXPECT_TRUE(error.transaction_ended());
      EXPECT_TRUE(mentions(error, why)) << error.what();
      EXPECT_NO_THROW(queue.get(3));
      EXPECT_NO_THROW(queue.get(4));
      EXPECT_EQ(rows(), (Rows{"c", "d"}));
    }
  }

  static Options options() {
    return {.durability = Durability::normal,
            .acquire_timeout = std::chrono::minutes(1),
            .batch = {.run_time = std::chrono::hours(1)}};
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", options());
};

// Who runs them, and when

TEST_F(GroupedWrites, RunOnTheThreadOfTheFirstInTheOrderOfTheirAskingAndShareOneCommit) {
  constexpr int kWrites = 6;
  std::vector<int> order;  // of the lane's holder
  std::vector<std::thread::id> threads;
  Rows seen_by_others;
  QueuedWrites queue(db);
  for (int i = 0; i < kWrites; ++i) {
    queue.add([&, i] {
      db.write([&, i](Transaction& tx) {
        add(tx, std::to_string(i));
        order.push_back(i);
        threads.push_back(std::this_thread::get_id());
        for (std::string& row : rows()) seen_by_others.push_back(std::move(row));
      });
    });
  }
  const long commits_before = commits();
  queue.run();
  for (int i = 0; i < kWrites; ++i) EXPECT_NO_THROW(queue.get(static_cast<std::size_t>(i)));
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(threads, std::vector(kWrites, queue.thread_of(0)));
  EXPECT_EQ(seen_by_others, Rows()) << "before the last had run, none was committed";
  EXPECT_EQ(commits(), commits_before + 1);
  EXPECT_EQ(rows(), (Rows{"0", "1", "2", "3", "4", "5"}));
}

TEST_F(GroupedWrites, RunAtOnceOnTheirOwnThreadWhileTheLaneIsIdle) {
  const long commits_before = commits();
  std::thread::id runner;
  db.write([&](Transaction& tx) {
    add(tx, "a");
    runner = std::this_thread::get_id();
  });
  inserting("b")();
  EXPECT_EQ(runner, std::this_thread::get_id());
  EXPECT_EQ(commits(), commits_before + 2);
}

TEST_F(GroupedWrites, SeeWhatThoseBeforeThemHaveDone) {
  std::int64_t seen = 0;
  std::int64_t changed = 0;
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add(inserting("b"));
  queue.add([&] {
    seen = db.write([](Transaction& tx) { return tx.query_one<std::int64_t>("SELECT count(*) FROM note"); });
  });
  queue.add([&] { changed = db.execute("UPDATE note SET size = 1").changes; });
  queue.run();
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(changed, 3);
}

TEST_F(GroupedWrites, AreCommittedAfterAsManyAsTheOptionsAllow) {
  Options few = options();
  few.batch.jobs = 2;
  Database small = Database::open(folder / "small.db", few);
  small.execute("CREATE TABLE t (a)");
  std::vector<std::thread::id> threads;
  QueuedWrites queue(small);
  for (int i = 0; i < 5; ++i) {
    queue.add([&] {
      small.write([&](Transaction& tx) {
        tx.execute("INSERT INTO t VALUES (1)");
        threads.push_back(std::this_thread::get_id());
      });
    });
  }
  const long commits_before = testing::count_commits(folder / "small.db");
  queue.run();
  EXPECT_EQ(testing::count_commits(folder / "small.db"), commits_before + 3);
  EXPECT_EQ(threads, (std::vector{queue.thread_of(0), queue.thread_of(0), queue.thread_of(2), queue.thread_of(2),
                                  queue.thread_of(4)}));
}

TEST_F(GroupedWrites, RunOnTheirOwnThreadWhenTheyAskForIt) {
  std::vector<std::thread::id> threads;
  const auto write = [&](const std::string& title, Grouping grouping) {
    return [this, &threads, title, grouping] {
      db.write({.grouping = grouping}, [&](Transaction& tx) {
        add(tx, title);
        threads.push_back(std::this_thread::get_id());
      });
    };
  };
  QueuedWrites queue(db);
  queue.add(write("a", Grouping::shared));
  queue.add(write("b", Grouping::own_thread));
  queue.add(write("c", Grouping::shared));
  queue.add(write("d", Grouping::alone));
  queue.add(write("e", Grouping::shared));
  const long commits_before = commits();
  queue.run();
  EXPECT_EQ(threads, (std::vector{queue.thread_of(0), queue.thread_of(1), queue.thread_of(1), queue.thread_of(3),
                                  queue.thread_of(4)}));
  EXPECT_EQ(commits(), commits_before + 4) << "a; b and c; d; e";
  EXPECT_EQ(rows(), (Rows{"a", "b", "c", "d", "e"}));
}

TEST_F(GroupedWrites, ThatCanBeInterruptedDoNotJoinOthers) {
  std::stop_source stop;
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] { db.write({.stop = stop.get_token()}, [](Transaction& tx) { add(tx, "b"); }); });
  queue.add(adding("c"));
  const long commits_before = commits();
  queue.run();
  EXPECT_EQ(commits(), commits_before + 2) << "a; b and c";
  EXPECT_EQ(rows(), (Rows{"a", "b", "c"}));
}

TEST_F(GroupedWrites, ReturnToEachCallerItsOwnResult) {
  std::vector<std::string> results(4);
  std::unique_ptr<int> moved;
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < results.size(); ++i) {
    queue.add([&, i] {
      results[i] = db.write([&](Transaction& tx) {
        add(tx, std::to_string(i));
        return "the result of " + std::to_string(i);
      });
    });
  }
  queue.add([&] { moved = db.write([](Transaction&) { return std::make_unique<int>(7); }); });
  queue.run();
  EXPECT_EQ(results,
            (std::vector<std::string>{"the result of 0", "the result of 1", "the result of 2", "the result of 3"}));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(*moved, 7);
}

TEST_F(GroupedWrites, KnowTheRowsAndTheChangesOfTheirOwnOnly) {
  std::vector<std::int64_t> rowids;
  std::vector<ExecuteResult> results(3);
  const auto note_rowid = [&](const Transaction& tx) { rowids.push_back(tx.last_insert_rowid()); };
  QueuedWrites queue(db);
  queue.add([&] {
    db.write([&](Transaction& tx) {
      note_rowid(tx);
      tx.execute("INSERT INTO note (id, title) VALUES (41, 'a'), (42, 'b')");
      note_rowid(tx);
    });
  });
  queue.add([&] { db.write([&](Transaction& tx) { note_rowid(tx); }); });
  queue.add([&] { results[0] = db.execute("INSERT OR IGNORE INTO note (title) VALUES ('a')"); });
  queue.add([&] { results[1] = db.execute("INSERT INTO note (id, title) VALUES (42, 'c') ON CONFLICT DO NOTHING"); });
  queue.add([&] { results[2] = db.execute("INSERT INTO note (id, title) VALUES (50, 'd'), (51, 'e')"); });
  queue.add([&] {
    db.write([&](Transaction& tx) {
      note_rowid(tx);
      tx.execute("UPDATE note SET size = 2");
      note_rowid(tx);
      throw std::runtime_error("undo this");
    });
  });
  queue.add([&] { db.write([&](Transaction& tx) { note_rowid(tx); }); });
  queue.run();
  EXPECT_EQ(rowids, (std::vector<std::int64_t>{0, 42, 0, 0, 0, 0}));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(results[i].changes, 0);
    EXPECT_EQ(results[i].last_insert_rowid, 0);
  }
  EXPECT_EQ(results[2].changes, 2);
  EXPECT_EQ(results[2].last_insert_rowid, 51);
}

// One that fails is undone alone

TEST_F(GroupedWrites, ThatThrowAreUndoneAlone) {
  expect_to_fail_alone<std::runtime_error>(
      [&] {
        db.write([](Transaction& tx) {
          add(tx, "undone");
          tx.execute("DELETE FROM note WHERE title IN ('a', 'b', 'c')");
          tx.execute("INSERT INTO plain VALUES (1)");
          throw std::runtime_error("the caller's own");
        });
      },
      [](const std::runtime_error& error) { EXPECT_STREQ(error.what(), "the caller's own"); });
}

TEST_F(GroupedWrites, ThatThrowWhatIsNoStdExceptionAreUndoneAlone) {
  expect_to_fail_alone<int>(
      [&] {
        db.write([](Transaction& tx) {
          add(tx, "undone");
          throw 7;
        });
      },
      [](const int& error) { EXPECT_EQ(error, 7); });
}

TEST_F(GroupedWrites, ThatAllThrowLeaveNothingAndEachHearsItsOwnException) {
  QueuedWrites queue(db);
  for (int i = 0; i < 4; ++i) {
    queue.add([&, i] {
      db.write([i](Transaction& tx) {
        add(tx, "undone");  // would conflict if the one before were still there
        throw std::out_of_range(std::to_string(i));
      });
    });
  }
  const long commits_before = commits();
  queue.run();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(queue.error_of<std::out_of_range>(i).what(), std::to_string(i));
  }
  EXPECT_EQ(rows(), Rows());
  EXPECT_EQ(commits(), commits_before);
}

TEST_F(GroupedWrites, ThatFailAfterChangingTheSchemaAreUndoneAlone) {
  expect_to_fail_alone<std::runtime_error>([&] {
    db.write([](Transaction& tx) {
      tx.execute("DROP TABLE plain");
      tx.execute("CREATE TABLE plain (other, columns)");
      tx.execute(runtime_sql("INSERT INTO plain VALUES (1, 2)"));
      tx.execute("CREATE TRIGGER wrong AFTER INSERT ON note BEGIN DELETE FROM note; END");
      throw std::runtime_error("undo this");
    });
  });
  db.execute("INSERT INTO plain VALUES (1)");
  EXPECT_EQ(rows().back(), "plain 1");
}

TEST_F(GroupedWrites, ThatMakeTheSameTableOneAfterTheOtherEachUseTheirOwn) {
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    db.write([](Transaction& tx) {
      tx.execute("CREATE TABLE fresh (one)");
      tx.execute("INSERT INTO fresh VALUES (1)");
      throw std::runtime_error("undo this");
    });
  });
  queue.add([&] { db.execute("CREATE TABLE fresh (one, two DEFAULT 2)"); });
  queue.add([&] { db.execute(runtime_sql("INSERT INTO fresh (one) VALUES (5)")); });
  queue.run();
  EXPECT_THROW(queue.get(1), std::runtime_error);
  EXPECT_NO_THROW(queue.get(3));
  EXPECT_EQ(db.query_one<int>("SELECT one + two FROM fresh"), 7);
}

// A single statement is all or nothing, however it fails

TEST_F(GroupedWrites, OfAStatementThatViolatesAConstraintInALaterRowLeaveNothing) {
  const auto expect_kind = [](ConstraintKind kind) {
    return [kind](const ConstraintError& error) {
      EXPECT_EQ(error.kind(), kind);
      EXPECT_FALSE(error.transaction_ended());
    };
  };
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO note (title) VALUES ('x'), ('y'), ('taken')"); },
                                        expect_kind(ConstraintKind::unique));
  expect_to_fail_alone<ConstraintError>(
      [&] { db.execute("INSERT INTO note (title) SELECT 'x' UNION ALL SELECT 'taken'"); },
      expect_kind(ConstraintKind::unique));
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO note (title) VALUES ('x'), (NULL)"); },
                                        expect_kind(ConstraintKind::not_null));
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO note (title, size) VALUES ('x', 1), ('y', 9)"); },
                                        expect_kind(ConstraintKind::check));
  expect_to_fail_alone<ConstraintError>(
      [&] { db.execute("INSERT INTO note (title) VALUES (?), (?)", std::string("x"), std::string("taken")); },
      expect_kind(ConstraintKind::unique));
}

TEST_F(GroupedWrites, OfAStatementThatFailsLeaveNothingAlsoWithTheConflictClauseFail) {
  expect_to_fail_alone<ConstraintError>(
      [&] { db.execute("INSERT OR FAIL INTO note (title) VALUES ('x'), ('y'), ('taken')"); });
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO fragile VALUES (2), (3), (1)"); });
  expect_to_fail_alone<ConstraintError>(
      [&] { db.execute("INSERT INTO guarded VALUES ('x'), ('y'), ('fails')"); },
      [](const ConstraintError& error) { EXPECT_TRUE(mentions(error, "it fails")) << error.what(); });
  expect_to_fail_alone<ConstraintError>(
      [&] { db.execute(runtime_sql("INSERT INTO guarded SELECT 'x' UNION ALL SELECT 'fails'")); });
}

TEST_F(GroupedWrites, OfAnUpdateThatFailsLeaveNothingAlsoWithTheConflictClauseFail) {
  for (const char* update : {"UPDATE note SET title = 'x'", "UPDATE OR FAIL note SET title = 'x'"}) {
    QueuedWrites queue(db);
    queue.add(adding("a"));
    queue.add(inserting("b"));
    for (int i = 0; i < 2; ++i) queue.add([&] { db.execute(runtime_sql(update)); });
    queue.run();
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(queue.has_failed(i), i >= 2) << i;
    EXPECT_EQ(rows(), (Rows{"a", "b"})) << update;
    empty();
  }
}

TEST_F(GroupedWrites, OfTheConflictClauseFailInsideAClosureKeepWhatTheClosureKeeps) {
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    db.write([](Transaction& tx) { EXPECT_THROW(tx.execute("INSERT INTO fragile VALUES (2), (1)"), ConstraintError); });
  });
  queue.add(inserting("b"));
  queue.run();
  EXPECT_EQ(rows(), (Rows{"a", "b", "fragile 2"}));
}

// SQLite takes a statement journal only where it expects a constraint to abort
// the statement, so these errors leave the rows before them in the transaction.
TEST_F(GroupedWrites, OfAStatementThatFailsOtherwiseInALaterRowLeaveNothing) {
  {
    SCOPED_TRACE("a STRICT table");
    expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO number VALUES (1), ('two')"); });
  }
  {
    SCOPED_TRACE("a rowid that is none");
    expect_to_fail_alone<TypeError>([&] { db.execute("INSERT OR IGNORE INTO keyed VALUES (1), ('two')"); });
  }
  {
    SCOPED_TRACE("a table-valued function");
    expect_to_fail_alone<Error>(
        [&] { db.execute("INSERT INTO plain SELECT value FROM document, json_each(document.json)"); });
  }
  {
    SCOPED_TRACE("an aggregate");
    expect_to_fail_alone<Error>([&] {
      db.execute(
          "INSERT INTO plain SELECT sum(v) FROM (SELECT 1 AS k, 1 AS v UNION ALL SELECT 2, 9223372036854775807 "
          "UNION ALL SELECT 2, 1) GROUP BY k");
    });
  }
  {
    SCOPED_TRACE("a scalar function");
    expect_to_fail_alone<Error>([&] {
      db.execute("INSERT INTO plain SELECT abs(v) FROM (SELECT 1 AS v UNION ALL SELECT -9223372036854775807 - 1)");
    });
  }
}

TEST_F(GroupedWrites, OfAStatementThatIsNoneLeaveNothing) {
  expect_to_fail_alone<SchemaError>([&] { db.execute(runtime_sql("INSERT INTO nowhere VALUES (1)")); });
  expect_to_fail_alone<UsageError>([&] { db.execute(runtime_sql("INSERT INTO plain VALUES (1); DELETE FROM note")); });
  expect_to_fail_alone<UsageError>([&] { db.execute(runtime_sql("INSERT INTO plain VALUES (?)")); });
}

// It was found to undo itself when it fails, which holds no longer.
TEST_F(GroupedWrites, LeaveNoPartOfAStatementUnderWhichTheSchemaChanges) {
  const auto statement = [&] { db.execute("INSERT INTO note (title) VALUES ('first'), ('second')"); };
  {
    QueuedWrites queue(db);
    queue.add(adding("a"));
    queue.add(statement);
    queue.add(statement);  // prepared now, so that it is looked at; and refused for its titles
    queue.run();
    EXPECT_THROW(queue.get(2), ConstraintError);
    EXPECT_EQ(rows(), (Rows{"a", "first", "second"}));
    empty();
  }
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    db.execute(
        "CREATE TRIGGER no_second BEFORE INSERT ON note WHEN new.title = 'second' "
        "BEGIN SELECT RAISE(FAIL, 'no second'); END");
  });
  queue.add(statement);
  queue.add(adding("b"));
  queue.run();
  EXPECT_THROW(queue.get(2), Error);
  EXPECT_NO_THROW(queue.get(3));
  EXPECT_EQ(queue.has_failed(0), queue.has_failed(1)) << "they shared a transaction";
  EXPECT_EQ(rows(), queue.has_failed(0) ? Rows{"b"} : (Rows{"a", "b"}));
  const int triggers = db.query_one<int>("SELECT count(*) FROM sqlite_schema WHERE name = 'no_second'");
  EXPECT_EQ(triggers, queue.has_failed(1) ? 0 : 1);
}

// Foreign keys

TEST_F(GroupedWrites, ThatViolateADeferredForeignKeyFailAlone) {
  const auto look = [](const ConstraintError& error) {
    EXPECT_EQ(error.kind(), ConstraintKind::foreign_key);
    EXPECT_FALSE(error.transaction_ended());
  };
  expect_to_fail_alone<ConstraintError>(
      [&] {
        db.write([](Transaction& tx) {
          tx.execute("INSERT INTO child VALUES (7)");
          add(tx, "undone");
        });
      },
      look);
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO child VALUES (7)"); }, look);
}

TEST_F(GroupedWrites, ThatViolateAnImmediateForeignKeyFailAlone) {
  const auto look = [](const ConstraintError& error) { EXPECT_EQ(error.kind(), ConstraintKind::foreign_key); };
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO strict_child VALUES (7)"); }, look);
  expect_to_fail_alone<ConstraintError>([&] { db.execute("INSERT INTO strict_child VALUES (NULL), (7)"); }, look);
}

TEST_F(GroupedWrites, ThatViolateADeferredForeignKeyAreNotMendedByTheirNeighbours) {
  QueuedWrites queue(db);
  queue.add([&] { db.execute("INSERT INTO child VALUES (7)"); });
  queue.add([&] { db.execute("INSERT INTO child VALUES (7)"); });
  queue.add([&] { db.execute("INSERT INTO parent VALUES (7)"); });
  queue.add([&] { db.execute("INSERT INTO child VALUES (7)"); });
  queue.add([&] { db.execute("DELETE FROM parent"); });
  queue.run();
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(queue.has_failed(i), i < 2 || i == 4) << i;
  EXPECT_EQ(rows(), (Rows{"child of 7", "parent 7"}));
}

TEST_F(GroupedWrites, ThatMendADeferredForeignKeyThemselvesCommit) {
  QueuedWrites queue(db);
  for (int id = 1; id <= 3; ++id) {
    queue.add([&, id] {
      db.write([&](Transaction& tx) {
        tx.execute("INSERT INTO child VALUES (?)", id);
        tx.execute("INSERT INTO parent VALUES (?)", id);
      });
    });
  }
  queue.run();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(rows().size(), 6U);
}

TEST_F(GroupedWrites, ThatDeferForeignKeysDeferTheirOwnOnly) {
  const auto defer_and_mend = [&] {
    db.write([](Transaction& tx) {
      tx.execute("PRAGMA defer_foreign_keys=ON");
      tx.execute("INSERT INTO strict_child VALUES (8)");
      tx.execute("INSERT INTO parent VALUES (8)");
      tx.execute("DELETE FROM strict_child");
      tx.execute("DELETE FROM parent");
    });
  };
  const auto defer_and_throw = [&] {
    db.write([](Transaction& tx) {
      tx.execute("PRAGMA defer_foreign_keys=ON");
      throw std::runtime_error("undo this");
    });
  };
  const auto defer_and_violate = [&] {
    db.write([](Transaction& tx) {
      tx.execute("PRAGMA defer_foreign_keys=ON");
      tx.execute("INSERT INTO strict_child VALUES (8)");
    });
  };
  const auto defer_only = [&] { db.execute("PRAGMA defer_foreign_keys=ON"); };
  std::atomic<int> refused_at_once = 0;
  const auto neighbour = [&] {
    db.write([&](Transaction& tx) {
      try {
        tx.execute("INSERT INTO strict_child VALUES (9)");
      } catch (const ConstraintError&) {
        ++refused_at_once;
      }
      tx.execute("DELETE FROM strict_child");
    });
  };
  for (int round = 0; round < 2; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    refused_at_once = 0;
    QueuedWrites queue(db);
    for (const std::function<void()>& deferring : std::vector<std::function<void()>>{
             defer_and_mend, defer_and_throw, defer_and_violate, defer_only, defer_and_mend}) {
      queue.add(deferring);
      queue.add(neighbour);
    }
    queue.run();
    EXPECT_EQ(refused_at_once, 5);
    EXPECT_EQ(queue.error_of<ConstraintError>(4).kind(), ConstraintKind::foreign_key);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(queue.has_failed(i), i == 2 || i == 4) << i;
  }
  EXPECT_EQ(rows(), Rows());
}

// Savepoints

TEST_F(GroupedWrites, UndoTheirOwnSavepointsAtAnyDepth) {
  const auto write = [&](const std::string& name) {
    return [this, name] {
      db.write([&](Transaction& tx) {
        add(tx, name + " kept");
        Savepoint outer = tx.savepoint();
        add(tx, name + " kept, too");
        {
          Savepoint middle = tx.savepoint();
          add(tx, name + " undone with the middle");
          Savepoint inner = tx.savepoint();
          add(tx, name + " undone with the inner");
          inner.rollback();
          Savepoint released = tx.savepoint();
          add(tx, name + " released, then undone");
          released.release();
        }
        {
          Savepoint middle = tx.savepoint();
          {
            const Savepoint inner = tx.savepoint();
            add(tx, name + " left by its scope");
          }
          add(tx, name + " kept in depth");
          middle.release();
        }
        outer.release();
      });
    };
  };
  QueuedWrites queue(db);
  queue.add(write("a"));
  queue.add(write("b"));
  queue.add(write("c"));
  queue.run();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(rows(), (Rows{"a kept", "a kept in depth", "a kept, too", "b kept", "b kept in depth", "b kept, too",
                          "c kept", "c kept in depth", "c kept, too"}));
}

TEST_F(GroupedWrites, ThatThrowWithSavepointsOpenAreUndoneAlone) {
  expect_to_fail_alone<std::runtime_error>([&] {
    db.write([](Transaction& tx) {
      add(tx, "undone");
      const Savepoint outer = tx.savepoint();
      add(tx, "undone as well");
      Savepoint released = tx.savepoint();
      add(tx, "released");
      released.release();
      const Savepoint inner = tx.savepoint();
      tx.execute("DELETE FROM note WHERE title <> 'taken'");
      throw std::runtime_error("through three savepoints");
    });
  });
}

TEST_F(GroupedWrites, ThatLeaveASavepointOpenFailAlone) {
  std::vector<std::unique_ptr<Savepoint>> left;  // of the lane's holder
  expect_to_fail_alone<UsageError>(
      [&] {
        db.write([&](Transaction& tx) {
          add(tx, "undone");
          left.push_back(on_heap(tx));
          left.push_back(on_heap(tx));
          add(tx, "undone as well");
        });
      },
      [](const UsageError& error) { EXPECT_TRUE(mentions(error, "savepoint")) << error.what(); });
  const long commits_before = commits();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { left.back()->release(); }), "ended already"));
  left.clear();
  EXPECT_EQ(commits(), commits_before);
}

TEST_F(GroupedWrites, ThatLeaveRowsOpenFailAlone) {
  using Titles = sqlane::Rows<std::string>;
  std::vector<std::unique_ptr<Titles>> left;  // of the lane's holder
  expect_to_fail_alone<UsageError>(
      [&] {
        db.write([&](Transaction& tx) {
          add(tx, "undone");
          left.push_back(std::unique_ptr<Titles>(new Titles(tx.query<std::string>("SELECT title FROM note"))));
          EXPECT_FALSE((*left.back()->begin()).empty());
        });
      },
      [](const UsageError& error) { EXPECT_TRUE(mentions(error, "rows")) << error.what(); });
  expect_to_fail_alone<UsageError>([&] {
    db.write([&](Transaction& tx) {
      left.push_back(std::unique_ptr<Titles>(
          new Titles(tx.query<std::string>("INSERT INTO note (title) VALUES ('x'), ('y') RETURNING title"))));
      EXPECT_EQ(*left.back()->begin(), "x");
    });
  });
  left.clear();
}

// Errors that end the whole transaction

TEST_F(GroupedWrites, ThatEndTheTransactionFailThoseBeforeThemAndNotThoseAfter) {
  int line = 0;
  expect_to_fail_those_before<ConstraintError>(
      [&] {
        line = __LINE__ + 1;
        db.execute("INSERT INTO guarded VALUES ('x'), ('poison')");
      },
      line, "poisoned");
  expect_to_fail_those_before<ConstraintError>(
      [&] {
        line = __LINE__ + 1;
        db.execute("INSERT OR ROLLBACK INTO note (title) VALUES ('x'), ('taken')");
      },
      line, "note.title");
  expect_to_fail_those_before<ConstraintError>(
      [&] {
        line = __LINE__ + 1;
        db.execute("INSERT INTO explosive VALUES (2), (1)");
      },
      line, "explosive.n");
  expect_to_fail_those_before<ConstraintError>(
      [&] {
        line = __LINE__ + 1;
        db.write([](Transaction& tx) {
          add(tx, "undone");
          const Savepoint savepoint = tx.savepoint();
          tx.execute("INSERT INTO guarded VALUES ('poison')");
        });
      },
      line, "poisoned");
}

TEST_F(GroupedWrites, ThatSwallowTheEndOfTheTransactionHearOfItAllTheSame) {
  int line = 0;
  expect_to_fail_those_before<TransactionAborted>(
      [&] {
        line = __LINE__ + 1;
        db.write([](Transaction& tx) {
          add(tx, "undone");
          EXPECT_THROW(tx.execute("INSERT INTO guarded VALUES ('poison')"), ConstraintError);
          EXPECT_THROW(add(tx, "on its own"), TransactionAborted);
          EXPECT_EQ(tx.state(), TransactionState::aborted);
        });
      },
      line, "poisoned");
}

TEST_F(GroupedWrites, ThatEndTheTransactionAndThrowWhatIsNoStdExceptionSayWhoItWas) {
  int line = 0;
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    line = __LINE__ + 1;
    db.write([](Transaction& tx) {
      EXPECT_THROW(tx.execute("INSERT INTO guarded VALUES ('poison')"), ConstraintError);
      throw 7;
    });
  });
  queue.add(adding("b"));
  queue.run();
  const TransactionAborted error = queue.error_of<TransactionAborted>(0);
  EXPECT_TRUE(mentions(error, "group_commit_test.cpp:" + std::to_string(line) + " ")) << error.what();
  EXPECT_THROW(queue.get(1), int);
  EXPECT_EQ(rows(), Rows{"b"});
}

TEST_F(GroupedWrites, ThatEndTheTransactionOneAfterTheOtherFailNobodyTwice) {
  const auto poison = [&] { db.execute("INSERT INTO guarded VALUES ('poison')"); };
  QueuedWrites queue(db);
  queue.add(poison);
  queue.add(adding("a"));
  queue.add(poison);
  queue.add(poison);
  queue.add(adding("b"));
  queue.add(poison);
  queue.add(adding("c"));
  queue.run();
  for (const std::size_t i : {0U, 2U, 3U, 5U}) EXPECT_THROW(queue.get(i), ConstraintError);
  for (const std::size_t i : {1U, 4U}) EXPECT_THROW(queue.get(i), TransactionAborted);
  EXPECT_NO_THROW(queue.get(6));
  EXPECT_EQ(rows(), Rows{"c"});
}

// Callbacks

TEST_F(GroupedWrites, CallBackOnceOnTheThreadThatCalledWriteWithTheLaneFree) {
  enum class End : std::uint8_t { commits, throws, poisons };
  const std::vector<End> ends{End::throws, End::commits, End::poisons, End::commits, End::throws, End::commits};
  struct Called {
    int commits = 0;
    int rollbacks = 0;
    std::thread::id thread;
  };
  std::vector<Called> called(ends.size());
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    queue.add([&, i] {
      db.write([&, i](Transaction& tx) {
        const auto call = [&, i](int Called::*count) {
          return [this, &called, count, i]() noexcept {
            ++(called[i].*count);
            called[i].thread = std::this_thread::get_id();
            db.execute("INSERT INTO plain VALUES ('by the callback of ' || ?)", static_cast<int>(i));
          };
        };
        tx.on_commit(call(&Called::commits));
        tx.on_rollback(call(&Called::rollbacks));
        add(tx, std::to_string(i));
        if (ends[i] == End::throws) throw std::runtime_error("undo this");
        if (ends[i] == End::poisons) tx.execute("INSERT INTO guarded VALUES ('poison')");
      });
    });
  }
  queue.run();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    SCOPED_TRACE(i);
    const bool is_kept = i == 3 || i == 5;  // number 1 was in the poisoned transaction
    EXPECT_EQ(queue.has_failed(i), !is_kept);
    EXPECT_EQ(called[i].commits, is_kept ? 1 : 0);
    EXPECT_EQ(called[i].rollbacks, is_kept ? 0 : 1);
    EXPECT_EQ(called[i].thread, queue.thread_of(i));
  }
  EXPECT_EQ(rows().size(), 2 + ends.size());
}

TEST_F(GroupedWrites, CallBackForAnUndoneSavepointOfTheirOwn) {
  std::vector<std::vector<std::string>> calls(3);
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    queue.add([&, i] {
      db.write([&, i](Transaction& tx) {
        const auto note = [&, i](std::string what) {
          return [&calls, i, what]() noexcept { calls[i].push_back(what); };
        };
        tx.on_commit(note("outer commit"));
        Savepoint undone = tx.savepoint();
        tx.on_commit(note("inner commit"));
        tx.on_rollback(note("inner rollback"));
        undone.rollback();
        tx.on_rollback(note("outer rollback"));
      });
    });
  }
  queue.run();
  for (const auto& one : calls) EXPECT_EQ(one, (std::vector<std::string>{"outer commit", "inner rollback"}));
}

// What is refused inside

TEST_F(GroupedWrites, RefuseSqlThatControlsTransactionsAndMayGoOn) {
  std::atomic<int> refused = 0;
  const std::vector<std::string> texts{"COMMIT",
                                       "ROLLBACK",
                                       "END",
                                       "BEGIN",
                                       "SAVEPOINT sqlane",
                                       "RELEASE sqlane_job",
                                       "ROLLBACK TO sqlane_job",
                                       "ATTACH ':memory:' AS other",
                                       "PRAGMA journal_mode=DELETE",
                                       "PRAGMA foreign_keys=OFF"};
  QueuedWrites queue(db);
  for (const char* title : {"a", "b", "c"}) {
    queue.add([&, title] {
      db.write([&](Transaction& tx) {
        for (const std::string& text : texts) {
          try {
            tx.execute(runtime_sql(text));
          } catch (const UsageError&) {
            ++refused;
          }
        }
        add(tx, title);
      });
    });
  }
  const long commits_before = commits();
  queue.run();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(static_cast<std::size_t>(refused), 3 * texts.size());
  EXPECT_EQ(rows(), (Rows{"a", "b", "c"}));
  EXPECT_EQ(commits(), commits_before + 1);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA journal_mode"), "wal");
}

TEST_F(GroupedWrites, OfASingleStatementThatControlsTransactionsFailAlone) {
  for (const char* text : {"COMMIT", "ROLLBACK", "SAVEPOINT x", "RELEASE sqlane_job", "ATTACH ':memory:' AS other",
                           "PRAGMA journal_mode=DELETE"}) {
    SCOPED_TRACE(text);
    expect_to_fail_alone<UsageError>([&] { db.execute(runtime_sql(text)); });
  }
}

TEST_F(GroupedWrites, RefuseToWaitForTheLaneInsideAndNameBothPlaces) {
  std::vector<int> lines(3);
  std::vector<std::thread::id> threads;
  std::atomic<int> refused = 0;
  const auto expect_refused = [&](int outer, int inner, const std::function<void()>& action) {
    const UsageError error = error_of<UsageError>(action);
    EXPECT_TRUE(mentions(error, "group_commit_test.cpp:" + std::to_string(outer) + " ")) << error.what();
    EXPECT_TRUE(mentions(error, "group_commit_test.cpp:" + std::to_string(inner) + " ")) << error.what();
    ++refused;
  };
  QueuedWrites queue(db);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    queue.add([&, i] {
      // Each on a line of its own, so that the error has to name the right one.
      const auto job = [&, i](Transaction& tx) {
        threads.push_back(std::this_thread::get_id());
        expect_refused(lines[i], __LINE__, [&] { db.write([](Transaction&) {}); });
        expect_refused(lines[i], __LINE__, [&] { db.execute("DELETE FROM note"); });
        expect_refused(lines[i], __LINE__, [&] { static_cast<void>(db.begin()); });
        expect_refused(lines[i], __LINE__, [&] { db.close(); });
        add(tx, std::to_string(i));
      };
      if (i == 0) {
        lines[i] = __LINE__ + 1;
        db.write(job);
      } else if (i == 1) {
        lines[i] = __LINE__ + 1;
        db.write(job);
      } else {
        lines[i] = __LINE__ + 1;
        db.write(job);
      }
    });
  }
  queue.run();
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(refused, 12);
  EXPECT_EQ(threads, std::vector(lines.size(), queue.thread_of(0)));
  EXPECT_EQ(rows(), (Rows{"0", "1", "2"})) << "and the database is still open";
}

TEST_F(GroupedWrites, MayWriteToAnotherDatabaseAndReadTheirOwn) {
  Database other = Database::open(folder / "other.db", options());
  other.execute("CREATE TABLE t (a)");
  QueuedWrites queue(db);
  for (const char* title : {"a", "b"}) {
    queue.add([&, title] {
      db.write([&](Transaction& tx) {
        add(tx, title);
        other.execute("INSERT INTO t VALUES (?)", title);
        EXPECT_EQ(rows(), Rows());
      });
    });
  }
  queue.run();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(other.query<std::string>("SELECT a FROM t"), (Rows{"a", "b"}));
}

TEST_F(GroupedWrites, FailAloneOrCommitInAMemoryDatabaseAsWell) {
  Database memory = Database::in_memory(options());
  memory.execute("CREATE TABLE t (a UNIQUE ON CONFLICT FAIL)");
  const auto insert = [&](const char* text) { return [&memory, text] { memory.execute(runtime_sql(text)); }; };
  QueuedWrites queue(memory);
  queue.add(insert("INSERT INTO t VALUES (1)"));
  queue.add(insert("INSERT INTO t VALUES (2), (1)"));
  queue.add([&] {
    memory.write([&](Transaction& tx) {
      tx.execute("INSERT INTO t VALUES (3)");
      memory.execute("INSERT INTO t VALUES (5)");  // would wait for itself
    });
  });
  queue.add(insert("INSERT INTO t VALUES (2), (1)"));
  queue.add(insert("INSERT INTO t VALUES (4)"));
  queue.run();
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(queue.has_failed(i), i >= 1 && i <= 3) << i;
  EXPECT_THROW(queue.get(2), UsageError);
  EXPECT_EQ(memory.query<int>("SELECT a FROM t ORDER BY a"), (std::vector{1, 4}));
}

// The lane's holder, as others see it

// A function pause() for SQL, known to connections that are opened meanwhile:
// it arrives, and returns once it is released.
class PausingFunction {
 public:
  PausingFunction() {
    instance() = this;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&PausingFunction::add_to));
  }
  PausingFunction(const PausingFunction&) = delete;
  PausingFunction& operator=(const PausingFunction&) = delete;
  ~PausingFunction() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&PausingFunction::add_to));
    instance() = nullptr;
  }

  void await() { has_arrived_.wait(); }
  void release() { is_released_.count_down(); }

 private:
  static PausingFunction*& instance() {
    static PausingFunction* one = nullptr;
    return one;
  }
  static int add_to(sqlite3* connection, const char** /*message*/, const void* /*functions*/) {
    return sqlite3_create_function_v2(
        connection, "pause", 0, SQLITE_UTF8, instance(),
        [](sqlite3_context* context, int, sqlite3_value**) {
          auto& self = *static_cast<PausingFunction*>(sqlite3_user_data(context));
          self.has_arrived_.count_down();
          self.is_released_.wait();
          sqlite3_result_int(context, 1);
        },
        nullptr, nullptr, nullptr);
  }

  std::latch has_arrived_{1};
  std::latch is_released_{1};
};

TEST_F(GroupedWrites, ShowWhoHasTheLaneAndHowManyWait) {
  std::latch is_running(1);
  std::latch is_seen(1);
  int line = 0;
  EXPECT_FALSE(db.lane_holder().has_value());
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    line = __LINE__ + 1;
    db.write([&](Transaction& tx) {
      add(tx, "b");
      is_running.count_down();
      is_seen.wait();
    });
  });
  queue.add(adding("c"));
  queue.add(inserting("d"));
  queue.release();
  is_running.wait();
  const std::optional<LaneHolder> holder = db.lane_holder();
  is_seen.count_down();
  queue.join();
  ASSERT_TRUE(holder.has_value());
  EXPECT_TRUE(mentions(holder->site.to_string(), "group_commit_test.cpp:" + std::to_string(line) + " "))
      << holder->site.to_string();
  EXPECT_EQ(holder->sql, "") << "no statement runs at the moment";
  EXPECT_EQ(holder->waiting, 2U);
  EXPECT_GE(holder->held.count(), 0);
  EXPECT_FALSE(db.lane_holder().has_value());
}

TEST_F(GroupedWrites, ShowTheStatementThatRuns) {
  PausingFunction pause;
  Database other = Database::open(folder / "other.db", options());
  other.execute("CREATE TABLE t (a)");
  int line = 0;
  QueuedWrites queue(other);
  queue.add([&] { other.execute("INSERT INTO t VALUES (1)"); });
  queue.add([&] {
    line = __LINE__ + 1;
    other.execute("INSERT INTO t SELECT pause()");
  });
  queue.add([&] { other.execute("INSERT INTO t VALUES (3)"); });
  queue.release();
  pause.await();
  const std::optional<LaneHolder> holder = other.lane_holder();
  pause.release();
  queue.join();
  ASSERT_TRUE(holder.has_value());
  EXPECT_EQ(holder->sql, "INSERT INTO t SELECT pause()");
  EXPECT_TRUE(mentions(holder->site.to_string(), "group_commit_test.cpp:" + std::to_string(line) + " "))
      << holder->site.to_string();
  EXPECT_EQ(holder->waiting, 1U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NO_THROW(queue.get(i));
  EXPECT_EQ(other.query_one<int>("SELECT count(*) FROM t"), 3);
}

TEST_F(GroupedWrites, ShowThatTheyWaitForAnotherProgram) {
  Options patient = options();
  patient.busy_timeout = std::chrono::minutes(1);
  Database other = Database::open(folder / "other.db", patient);
  other.execute("CREATE TABLE t (a)");
  ForeignConnection foreign(folder / "other.db");
  foreign.run("BEGIN IMMEDIATE");
  std::jthread writer([&] { EXPECT_NO_THROW(other.execute("INSERT INTO t VALUES (1)")); });
  std::optional<LaneHolder> holder;
  do {
    std::this_thread::yield();
    holder = other.lane_holder();
  } while (!holder.has_value() || holder->sql.empty());
  EXPECT_EQ(holder->sql, "BEGIN IMMEDIATE");
  EXPECT_EQ(holder->waiting, 0U);
  foreign.run("ROLLBACK");
  writer.join();
  EXPECT_FALSE(other.lane_holder().has_value());
}

TEST_F(GroupedWrites, ThatCannotBeginFailEachForItself) {
  Options hasty = options();
  hasty.busy_timeout = std::chrono::milliseconds(0);
  Database other = Database::open(folder / "other.db", hasty);
  other.execute("CREATE TABLE t (a)");
  ForeignConnection foreign(folder / "other.db");
  std::atomic<int> ran = 0;
  Transaction tx = other.begin(Behavior::deferred);  // the lane, but not the file's write lock
  foreign.run("BEGIN IMMEDIATE");
  std::atomic<int> busy = 0;
  std::vector<std::jthread> writers;
  for (std::size_t i = 0; i < 3; ++i) {
    writers.emplace_back([&] {
      try {
        other.write([&](Transaction&) { ++ran; });
      } catch (const BusyError& error) {
        EXPECT_TRUE(error.is_retryable());
        ++busy;
      }
    });
    while (other.lane_holder()->waiting != i + 1) std::this_thread::yield();
  }
  tx.rollback();
  writers.clear();
  EXPECT_EQ(busy, 3);
  EXPECT_EQ(ran, 0);
  foreign.run("ROLLBACK");
  EXPECT_NO_THROW(other.execute("INSERT INTO t VALUES (1)"));
}

}  // namespace
}  // namespace sqlane
