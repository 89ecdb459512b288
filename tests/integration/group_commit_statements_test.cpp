#include <string>

#include "support/expect_error.hpp"
#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::GroupedWrites;
using testing::mentions;
using testing::QueuedWrites;

// A single statement is all or nothing, however it fails.

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

}  // namespace
}  // namespace sqlane
