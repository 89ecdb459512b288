#include <stdexcept>
#include <string>
#include <vector>

#include "support/note_database.hpp"

namespace sqlane {
namespace {

class Callbacks : public testing::NoteDatabase {};

TEST_F(Callbacks, CallBackOnceAndInOrderAfterTheCommitWithTheLaneFree) {
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

TEST_F(Callbacks, CallBackOnceAndInOrderAfterARollbackWithTheLaneFree) {
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

TEST_F(Callbacks, CallBackForAnUndoneSavepointAtTheEndAndDropItsCommitCallbacks) {
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

TEST_F(Callbacks, LetACallbackOfAnUndoneSavepointUseTheDatabase) {
  db.write([&](Transaction& tx) {
    add(tx, "kept");
    Savepoint savepoint = tx.savepoint();
    tx.on_rollback([&]() noexcept { db.execute("INSERT INTO note (title) VALUES ('from the callback')"); });
    savepoint.rollback();
  });
  EXPECT_EQ(titles(), (Titles{"from the callback", "kept"}));
}

TEST_F(Callbacks, CallBackAfterTheGuardOfATransactionWasDropped) {
  int calls = 0;
  {
    Transaction tx = db.begin();
    tx.on_rollback([&]() noexcept { ++calls; });
    const Savepoint savepoint = tx.savepoint();
    tx.on_rollback([&]() noexcept { ++calls; });
  }
  EXPECT_EQ(calls, 2);
}

TEST_F(Callbacks, DoNotCallBackWhenTheCommitIsRefusedAndTheTransactionIsStillOpen) {
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

}  // namespace
}  // namespace sqlane
