#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/grouped_writes.hpp"
#include "support/note_database.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::GroupedWrites;
using testing::mentions;
using testing::on_heap;
using testing::QueuedWrites;

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

}  // namespace
}  // namespace sqlane
