#include <memory>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/note_database.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;
using testing::on_heap;

class Savepoints : public testing::NoteDatabase {};

TEST_F(Savepoints, KeepWhatAReleasedSavepointDid) {
  Transaction tx = db.begin();
  Savepoint savepoint = tx.savepoint();
  add(tx, "a");
  savepoint.release();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { savepoint.release(); }), "ended already"));
  EXPECT_THROW(savepoint.rollback(), UsageError);
  tx.commit();
  EXPECT_EQ(titles(), Titles{"a"});
}

TEST_F(Savepoints, UndoASavepointAloneWhenItsScopeIsLeft) {
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

TEST_F(Savepoints, UndoASavepointAloneWhenAnExceptionPasses) {
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

TEST_F(Savepoints, NestSavepointsToAnyDepth) {
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

TEST_F(Savepoints, RefuseToEndASavepointBeforeANewerOne) {
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

TEST_F(Savepoints, UndoNewerSavepointsWithAnOlderOneThatIsDestroyedFirst) {
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

TEST_F(Savepoints, MayBeDestroyedBeforeTheirSavepoints) {
  auto tx = std::unique_ptr<Transaction>(new Transaction(db.begin()));
  auto savepoint = on_heap(*tx);
  add(*tx, "a");
  tx.reset();
  EXPECT_THROW(savepoint->release(), UsageError);
  savepoint.reset();
  EXPECT_EQ(titles(), Titles());
}

TEST_F(Savepoints, UndoASavepointWhileRowsAreOpen) {
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

TEST_F(Savepoints, TellSavepointsThatRowsOfAWriteAreStillOpen) {
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

TEST_F(Savepoints, UndoASavepointAloneThoughRowsOfAWriteAreOpen) {
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

}  // namespace
}  // namespace sqlane
