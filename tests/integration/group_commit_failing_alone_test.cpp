#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"

namespace sqlane {
namespace {

using testing::ForeignConnection;
using testing::GroupedWrites;
using testing::mentions;
using testing::QueuedWrites;

// One that fails is undone alone.

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
