#include <string>

#include "support/expect_error.hpp"
#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::GroupedWrites;
using testing::mentions;
using testing::QueuedWrites;

// Errors that end the whole transaction.

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
  EXPECT_TRUE(mentions(error, "group_commit_aborted_test.cpp:" + std::to_string(line) + " ")) << error.what();
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

}  // namespace
}  // namespace sqlane
