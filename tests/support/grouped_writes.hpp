#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/queued_writes.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

namespace sqlane::testing {

// Writes that wait together are run by the first of them, in one transaction.
//
//   main              first, second, third
//   has the lane      ask for it, one after the other
//   rolls back
//                     first: has the lane; runs its own job, then the second's
//                     and the third's, commits, wakes them
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
  [[nodiscard]] long commits() const { return count_commits(folder / "app.db"); }

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
  // which line of the test's file it writes.
  template <class Expected>
  void expect_to_fail_those_before(const std::function<void()>& culprit, const int& line, const std::string& why,
                                   const CallSite& test = CallSite::current()) {
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
      const std::string place = std::filesystem::path(test.file).filename().string() + ":" + std::to_string(line) + " ";
      for (std::size_t i = 0; i < 2; ++i) {
        const TransactionAborted error = queue.error_of<TransactionAborted>(i);
        EXPECT_TRUE(error.is_retryable());
        EXPECT_TRUE(error.transaction_ended());
        EXPECT_TRUE(mentions(error, place)) << error.what();
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

}  // namespace sqlane::testing
