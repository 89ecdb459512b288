#include <string>

#include "support/expect_error.hpp"
#include "support/note_database.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;

class AbortedTransactions : public testing::NoteDatabase {};

TEST_F(AbortedTransactions, ThatSqliteEndedSayItAndRefuseEverything) {
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

TEST_F(AbortedTransactions, ThatSqliteEndedLeaveTheLaneFreeAndNothingBehind) {
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

TEST_F(AbortedTransactions, OfWriteReportTheEndThatTheClosureSwallowed) {
  const auto swallow = [](Transaction& tx) {
    add(tx, "a");
    EXPECT_THROW(add(tx, "poison"), ConstraintError);
    EXPECT_THROW(add(tx, "b"), TransactionAborted);
  };
  EXPECT_TRUE(error_of<TransactionAborted>([&] { db.write(swallow); }).transaction_ended());
  EXPECT_EQ(titles(), Titles());
}

TEST_F(AbortedTransactions, ThatSqliteEndedInsideASavepointAreGoneWhole) {
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

TEST_F(AbortedTransactions, ThatSqliteEndedAbortTheRowsThatWereBeingRead) {
  Transaction tx = db.begin();
  add(tx, "a");
  add(tx, "b");
  auto rows = tx.query<std::string>("SELECT title FROM note");
  auto row = rows.begin();
  EXPECT_THROW(add(tx, "poison"), ConstraintError);
  // Not a quiet end after half of the rows.
  EXPECT_THROW(++row, TransactionAborted);
}

}  // namespace
}  // namespace sqlane
