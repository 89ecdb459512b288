#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/grouped_writes.hpp"
#include "support/queued_writes.hpp"
#include "support/write_ahead_log.hpp"

namespace sqlane {
namespace {

using testing::GroupedWrites;
using testing::QueuedWrites;

// Who runs them, and when; and what each gets.

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

}  // namespace
}  // namespace sqlane
