#include <atomic>
#include <cstdint>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

class Isolation : public ::testing::Test {
 protected:
  Isolation() { db_.execute("CREATE TABLE note (title TEXT NOT NULL)"); }

  [[nodiscard]] std::int64_t count() const { return db_.query_one<std::int64_t>("SELECT count(*) FROM note"); }

  testing::TemporaryFolder folder_;
  Database db_ = Database::open(folder_ / "notes.db", {.readers = 4, .durability = Durability::normal});
};

TEST_F(Isolation, ShowsAWriteWhenItIsCommittedAndNotBefore) {
  // writer                  reader
  // begin, insert
  // ---- inserted --------> count == 0
  // <---- counted --------
  // commit
  // ---- committed -------> count == 1
  std::latch inserted(1);
  std::latch counted(1);
  std::latch committed(1);
  std::jthread writer([&] {
    Transaction tx = db_.begin();
    tx.execute("INSERT INTO note VALUES ('a')");
    EXPECT_EQ(tx.query_one<std::int64_t>("SELECT count(*) FROM note"), 1);
    inserted.count_down();
    counted.wait();
    tx.commit();
    committed.count_down();
  });
  inserted.wait();
  EXPECT_EQ(count(), 0);
  counted.count_down();
  committed.wait();
  EXPECT_EQ(count(), 1);
}

TEST_F(Isolation, NeverShowsWhatIsRolledBack) {
  // writer                  reader
  // begin, insert
  // ---- inserted --------> count == 0
  // <---- counted --------
  // roll back
  // ---- rolled back -----> count == 0
  std::latch inserted(1);
  std::latch counted(1);
  std::latch rolled_back(1);
  std::jthread writer([&] {
    {
      Transaction tx = db_.begin();
      tx.execute("INSERT INTO note VALUES ('a')");
      inserted.count_down();
      counted.wait();
    }
    rolled_back.count_down();
  });
  inserted.wait();
  EXPECT_EQ(count(), 0);
  counted.count_down();
  rolled_back.wait();
  EXPECT_EQ(count(), 0);
}

TEST_F(Isolation, KeepsASnapshotsViewWhileWritesGoOn) {
  // reader                  writer
  // takes a snapshot
  // ---- taken -----------> inserts
  // <---- inserted --------
  // count == 0 in the snapshot, 1 outside
  db_.execute("INSERT INTO note VALUES ('old')");
  const Snapshot snapshot = db_.snapshot();
  std::latch inserted(1);
  std::jthread writer([&] {
    db_.write([](Transaction& tx) {
      tx.execute("DELETE FROM note");
      tx.execute("INSERT INTO note VALUES ('new')");
      tx.execute("INSERT INTO note VALUES ('newer')");
    });
    db_.execute("CREATE TABLE other (a)");
    inserted.count_down();
  });
  inserted.wait();
  EXPECT_EQ(snapshot.query_one<std::string>("SELECT title FROM note"), "old");
  EXPECT_EQ(snapshot.query_one<std::int64_t>("SELECT count(*) FROM note"), 1);
  EXPECT_EQ(snapshot.query_optional<std::string>("SELECT name FROM sqlite_master WHERE name = 'other'"), std::nullopt);
  EXPECT_EQ(count(), 2);
}

TEST_F(Isolation, GivesAReadTheStateOfItsFirstQuery) {
  // reader                  writer
  // read: count == 0
  // ---- counted ---------> inserts
  // <---- inserted --------
  // count == 0 still
  std::latch counted(1);
  std::latch inserted(1);
  std::jthread writer([&] {
    counted.wait();
    db_.execute("INSERT INTO note VALUES ('a')");
    inserted.count_down();
  });
  db_.read([&](const Snapshot& snapshot) {
    EXPECT_EQ(snapshot.query_one<std::int64_t>("SELECT count(*) FROM note"), 0);
    counted.count_down();
    inserted.wait();
    EXPECT_EQ(snapshot.query_one<std::int64_t>("SELECT count(*) FROM note"), 0);
  });
  EXPECT_EQ(count(), 1);
}

TEST_F(Isolation, LetsManyRowsBeReadWhileTheyAreReplaced) {
  // reader                  writer
  // reads the first row
  // ---- reading ---------> deletes all
  // <---- deleted ---------
  // reads the other rows
  db_.write([](Transaction& tx) {
    tx.execute_many("INSERT INTO note VALUES (?)", std::vector<std::string>(5000, std::string(100, 'x')));
  });
  std::latch reading(1);
  std::latch deleted(1);
  std::jthread writer([&] {
    reading.wait();
    db_.execute("DELETE FROM note");
    deleted.count_down();
  });
  int rows = 0;
  db_.read([&](const Snapshot& snapshot) {
    for (const std::string_view& title : snapshot.query<std::string_view>("SELECT title FROM note")) {
      if (rows++ == 0) {
        reading.count_down();
        deleted.wait();
      }
      ASSERT_EQ(title.size(), 100U);
    }
  });
  EXPECT_EQ(rows, 5000);
  EXPECT_EQ(count(), 0);
}

TEST_F(Isolation, SeesWhatThisThreadHasWritten) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 200;
  db_.execute("CREATE TABLE mine (thread INTEGER PRIMARY KEY, round INTEGER NOT NULL)");
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 1; round <= kRounds; ++round) {
        db_.execute("INSERT OR REPLACE INTO mine VALUES (?, ?)", t, round);
        ASSERT_EQ(db_.query_one<int>("SELECT round FROM mine WHERE thread = ?", t), round);
      }
    });
  }
}

// Money only moves, so every read must find the same sum, whatever runs beside it.
TEST_F(Isolation, ShowsTheSameSumInEveryReadWhileAmountsMove) {
  constexpr int kAccounts = 50;
  constexpr int kBalance = 1000;
  constexpr int kMoves = 800;
  constexpr int kReaders = 3;
  constexpr int kReads = 400;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  db_.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)");
  db_.write([&](Transaction& tx) {
    std::vector<std::pair<int, int>> accounts;
    for (int i = 0; i < kAccounts; ++i) accounts.emplace_back(i, kBalance);
    tx.execute_many("INSERT INTO account VALUES (?, ?)", accounts);
  });

  std::vector<std::jthread> threads;
  for (unsigned writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      std::mt19937 random(seed + writer);
      std::uniform_int_distribution<int> account(0, kAccounts - 1);
      std::uniform_int_distribution<int> amount(1, 100);
      for (int i = 0; i < kMoves / 2; ++i) {
        const int sum = amount(random);
        db_.write([&](Transaction& tx) {
          tx.execute("UPDATE account SET balance = balance - ? WHERE id = ?", sum, account(random));
          tx.execute("UPDATE account SET balance = balance + ? WHERE id = ?", sum, account(random));
        });
      }
    });
  }
  for (int reader = 0; reader < kReaders; ++reader) {
    threads.emplace_back([&] {
      for (int i = 0; i < kReads; ++i) {
        db_.read([&](const Snapshot& snapshot) {
          std::int64_t sum = 0;
          for (const std::int64_t& balance : snapshot.query<std::int64_t>("SELECT balance FROM account"))
            sum += balance;
          ASSERT_EQ(sum, kAccounts * kBalance);
          // The same through another statement, a moment later.
          ASSERT_EQ(snapshot.query_one<std::int64_t>("SELECT sum(balance) FROM account"), sum);
        });
      }
    });
  }
  threads.clear();
  EXPECT_EQ(db_.query_one<std::int64_t>("SELECT sum(balance) FROM account"), kAccounts * kBalance);
}

}  // namespace
}  // namespace sqlane
