#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::GroupedWrites;
using testing::QueuedWrites;

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

}  // namespace
}  // namespace sqlane
