#include <array>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <latch>
#include <limits>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/forked_child.hpp"
#include "support/queued_writes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::contents_of;
using testing::error_of;
using testing::in_child;
using testing::mentions;
using testing::QueuedWrites;
using testing::TemporaryFolder;

constexpr unsigned kDeadline = 60;  // seconds; the kernel ends a process that hangs
constexpr std::size_t kMiB = 1U << 20U;
constexpr ProcessOptions kWithoutStatistics{.memory_statistics = MemoryStatistics::off};

// SQLite is configured once in a process. So each of these has a program of its
// own, started anew, in which nothing has used SQLite yet.
void in_own_process(const std::function<void()>& body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [&] {
    ::alarm(kDeadline);
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    std::exit(::testing::Test::HasFailure() ? 1 : 0);  // NOLINT(concurrency-mt-unsafe)
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

bool counts_memory() { return sqlite3_memory_used() != 0; }

void expect_it_works(Database& db) {
  db.execute("CREATE TABLE IF NOT EXISTS works (a)");
  EXPECT_EQ(db.execute("INSERT INTO works VALUES (1)").changes, 1);
  EXPECT_GE(db.query_one<int>("SELECT count(*) FROM works"), 1);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

TEST(Process, CountsMemoryUnlessToldOtherwise) {
  in_own_process([] {
    configure_process({});
    Database db = Database::in_memory();
    EXPECT_TRUE(counts_memory());
    EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 0);
  });
}

TEST(Process, CanDoWithoutMemoryStatistics) {
  in_own_process([] {
    configure_process(kWithoutStatistics);
    const TemporaryFolder folder;
    Database db = Database::open(folder / "app.db");
    expect_it_works(db);
    EXPECT_FALSE(counts_memory());
  });
}

TEST(Process, CannotBeConfiguredOnceADatabaseWasOpened) {
  in_own_process([] {
    { Database db = Database::in_memory(); }
    Database db = Database::in_memory();
    EXPECT_TRUE(mentions(error_of<UsageError>([] { configure_process(kWithoutStatistics); }), "in use"));
    EXPECT_THROW(configure_process({.heap_limit = kMiB}), UsageError);
    EXPECT_THROW(configure_process({}), UsageError);
    expect_it_works(db);
    EXPECT_TRUE(counts_memory());
    EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 0);
  });
}

TEST(Process, CannotBeConfiguredOnceOthersUseSqlite) {
  in_own_process([] {
    ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
    EXPECT_THROW(configure_process({.heap_limit = kMiB}), UsageError);
    EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 0);
  });
}

TEST(Process, TakesTheSameOptionsAgainAndNoOthers) {
  in_own_process([] {
    const ProcessOptions options{.heap_limit = 64 * kMiB};
    const auto expect_kept = [&] {
      EXPECT_NO_THROW(configure_process(options));
      EXPECT_TRUE(mentions(error_of<UsageError>([] { configure_process({}); }), "before, with other options"));
      EXPECT_THROW(configure_process(kWithoutStatistics), UsageError);
      EXPECT_THROW(configure_process({.heap_limit = 65 * kMiB}), UsageError);
      EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 64 * kMiB);
    };
    configure_process(options);
    expect_kept();
    Database db = Database::in_memory();
    expect_kept();
    EXPECT_TRUE(counts_memory());
  });
}

TEST(Process, TakesOptionsAgainBeforeSqliteIsUsed) {
  in_own_process([] {
    configure_process(kWithoutStatistics);
    EXPECT_NO_THROW(configure_process(kWithoutStatistics));
    EXPECT_THROW(configure_process({}), UsageError);
    Database db = Database::in_memory();
    EXPECT_FALSE(counts_memory());
  });
}

TEST(Process, RefusesALimitThatNobodyWouldCountFor) {
  in_own_process([] {
    const ProcessOptions contradicting{.memory_statistics = MemoryStatistics::off, .heap_limit = kMiB};
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { configure_process(contradicting); }), "heap_limit"));
    EXPECT_NO_THROW(configure_process({.heap_limit = 2 * kMiB})) << "nothing was configured before";
    EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 2 * kMiB);
  });
}

TEST(Process, RefusesALimitBeyondAllNumbers) {
  in_own_process([] {
    constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
    EXPECT_THROW(configure_process({.heap_limit = std::size_t{1} << 63U}), UsageError);
    EXPECT_THROW(configure_process({.heap_limit = std::numeric_limits<std::size_t>::max()}), UsageError);
    EXPECT_NO_THROW(configure_process({.heap_limit = kLargest}));
    EXPECT_EQ(sqlite3_hard_heap_limit64(-1), kLargest);
  });
}

// Threads and forks

TEST(Process, IsConfiguredByOneOfManyThreads) {
  in_own_process([] {
    constexpr int kThreads = 8;
    const std::array<ProcessOptions, 2> both{ProcessOptions{}, kWithoutStatistics};
    std::array<bool, kThreads> succeeded{};
    std::latch ready(kThreads);
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        ready.arrive_and_wait();
        try {
          configure_process(both[i % 2]);
          succeeded[i] = true;
        } catch (const UsageError&) {
        }
      });
    }
    threads.clear();
    Database db = Database::in_memory();
    for (std::size_t i = 0; i < kThreads; ++i) {
      EXPECT_EQ(succeeded[i], (both[i % 2].memory_statistics == MemoryStatistics::on) == counts_memory());
    }
  });
}

TEST(Process, IsConfiguredBeforeAnotherThreadOpensADatabaseOrNotAtAll) {
  in_own_process([] {
    std::latch ready(2);
    const TemporaryFolder folder;
    const std::jthread opening([&] {
      ready.arrive_and_wait();
      Database db = Database::open(folder / "app.db");
      expect_it_works(db);
    });
    bool is_configured = false;
    ready.arrive_and_wait();
    try {
      configure_process(kWithoutStatistics);
      is_configured = true;
    } catch (const UsageError&) {
    }
    Database db = Database::in_memory();
    EXPECT_EQ(counts_memory(), !is_configured);
  });
}

TEST(Process, LeavesItsConfigurationToAChildOfFork) {
  in_own_process([] {
    configure_process(kWithoutStatistics);
    Database db = Database::in_memory();
    in_child([] {
      EXPECT_NO_THROW(configure_process(kWithoutStatistics));
      EXPECT_THROW(configure_process({}), UsageError);
      Database own = Database::in_memory();
      EXPECT_FALSE(counts_memory());
    });
  });
}

TEST(Process, CanBeConfiguredInAChildWhoseParentHasNotUsedSqlite) {
  in_own_process([] {
    in_child([] {
      configure_process(kWithoutStatistics);
      Database own = Database::in_memory();
      EXPECT_FALSE(counts_memory());
    });
    configure_process({});
    Database db = Database::in_memory();
    EXPECT_TRUE(counts_memory());
  });
}

// Where memory ends

constexpr std::size_t kLimit = 8 * kMiB;

class LimitedHeap : public ::testing::Test {
 protected:
  // A database with one row, in a process that may have kLimit.
  template <class Body>
  static void run(const Body& body) {
    in_own_process([&] {
      configure_process({.heap_limit = kLimit});
      const TemporaryFolder folder;
      Database db = Database::open(folder / "app.db", {.readers = 1,
                                                       .durability = Durability::normal,
                                                       .acquire_timeout = 1h,
                                                       .page_cache = 64U << 10U,
                                                       .batch = {.run_time = 1h}});
      db.execute("CREATE TABLE t (a)");
      db.execute("INSERT INTO t VALUES ('first')");
      body(db);
      expect_it_works(db);
    });
  }

  static int count(const Database& db) { return db.query_one<int>("SELECT count(*) FROM t"); }
  static void fill(Transaction& tx) {  // 16 MiB of changed pages
    for (int i = 0; i < 64; ++i) tx.execute("INSERT INTO t VALUES (randomblob(262144))");
  }

  static void expect_out_of_memory(const Error& error) {
    EXPECT_EQ(error.code(), SQLITE_NOMEM) << error.what();
    EXPECT_FALSE(error.is_retryable());
  }
};

TEST_F(LimitedHeap, UndoesAWriteThatNeedsMore) {
  run([](Database& db) {
    for (int i = 0; i < 3; ++i) expect_out_of_memory(error_of<Error>([&] { db.write(fill); }));
    EXPECT_EQ(count(db), 1);
    db.write([](Transaction& tx) { tx.execute("INSERT INTO t VALUES ('second')"); });
    EXPECT_EQ(count(db), 2);
  });
}

// After SQLite has ended a transaction by itself, an INSERT would commit alone.
TEST_F(LimitedHeap, LetsNothingBehindATransactionThatNeededMoreCommitAlone) {
  run([](Database& db) {
    {
      Transaction tx = db.begin();
      expect_out_of_memory(error_of<Error>([&] { fill(tx); }));
      try {
        tx.execute("INSERT INTO t VALUES ('second')");
      } catch (const TransactionAborted&) {
      }
    }
    EXPECT_EQ(count(db), 1);
  });
}

TEST_F(LimitedHeap, UndoesAStatementThatNeedsMoreByItself) {
  run([](Database& db) {
    expect_out_of_memory(error_of<Error>([&] { db.execute("INSERT INTO t VALUES (zeroblob(?) || 'x')", 16 * kMiB); }));
    expect_out_of_memory(error_of<Error>([&] {
      db.execute(
          "INSERT INTO t SELECT randomblob(65536) FROM (VALUES (1), (2), (3), (4)), (VALUES (1), (2), (3), (4)),"
          " (VALUES (1), (2), (3), (4)), (VALUES (1), (2), (3), (4))");
    }));
    EXPECT_EQ(count(db), 1);
  });
}

TEST_F(LimitedHeap, EndsAReadThatNeedsMore) {
  run([](Database& db) {
    db.read([&](const Snapshot& snapshot) {
      expect_out_of_memory(error_of<Error>(
          [&] { static_cast<void>(snapshot.query_one<std::string>("SELECT hex(zeroblob(?))", 16 * kMiB)); }));
      EXPECT_EQ(snapshot.query_one<std::string>("SELECT a FROM t"), "first");
    });
    EXPECT_EQ(count(db), 1);
  });
}

// SQLite makes the bytes of a zeroblob when they are asked for.
TEST_F(LimitedHeap, EndsAReadWhoseBlobNeedsMore) {
  run([](Database& db) {
    db.execute("CREATE TABLE size (bytes)");
    db.execute("INSERT INTO size VALUES (?)", 16 * kMiB);
    expect_out_of_memory(error_of<Error>(
        [&] { static_cast<void>(db.query_one<std::vector<std::byte>>("SELECT zeroblob(bytes) FROM size")); }));
    EXPECT_EQ(count(db), 1);
  });
}

TEST_F(LimitedHeap, KeepsWhatSharedACommitWithAWriteThatNeededMore) {
  run([](Database& db) {
    QueuedWrites writes(db);
    const auto insert = [&](const char* value) {
      return writes.add(
          [&db, value] { db.write([&](Transaction& tx) { tx.execute("INSERT INTO t VALUES (?)", value); }); });
    };
    insert("second");
    const std::size_t culprit = writes.add([&] { db.write(fill); });
    insert("third");
    writes.run();
    expect_out_of_memory(writes.error_of<Error>(culprit));
    int acknowledged = 1;
    for (const std::size_t neighbour : {culprit - 1, culprit + 1}) {
      if (!writes.has_failed(neighbour)) {
        ++acknowledged;
      } else {
        EXPECT_NO_THROW(static_cast<void>(writes.error_of<TransactionAborted>(neighbour)));
      }
    }
    EXPECT_EQ(count(db), acknowledged);
    EXPECT_FALSE(writes.has_failed(culprit + 1)) << "it came behind";
  });
}

TEST_F(LimitedHeap, KeepsADatabaseFromBeingOpenedAndLeavesItAsItWas) {
  in_own_process([] {
    const TemporaryFolder folder;
    configure_process({.heap_limit = kLimit});
    {
      Database db = Database::open(folder / "app.db");
      db.execute("CREATE TABLE t (a)");
    }
    const auto before = contents_of(folder.path());
    const std::int64_t used = sqlite3_memory_used();
    int failures = 0;
    for (std::int64_t room = 1;; room += 512) {
      sqlite3_hard_heap_limit64(used + room);
      try {
        const Database db = Database::open(folder / "app.db");
        break;
      } catch (const OpenError& error) {
        EXPECT_EQ(error.code(), SQLITE_NOMEM) << error.what();
        ++failures;
      }
      EXPECT_EQ(sqlite3_memory_used(), used) << "after room for " << room;
      EXPECT_EQ(contents_of(folder.path()), before) << "after room for " << room;
    }
    EXPECT_GT(failures, 20) << "hardly anything was made to fail";
    sqlite3_hard_heap_limit64(kLimit);
    Database db = Database::open(folder / "app.db");
    expect_it_works(db);
  });
}

// The limit comes a little later each time, up to where nothing fails.
TEST_F(LimitedHeap, LosesNothingWhereverItEnds) {
  in_own_process([] {
    constexpr std::int64_t kStep = 512;
    const TemporaryFolder folder;
    configure_process({.heap_limit = kLimit});
    std::vector<std::int64_t> kept;  // acknowledged
    bool all_went_well = false;
    int failures = 0;
    for (std::int64_t round = 0; !all_went_well; ++round) {
      ASSERT_LT(round, 2000);
      Database db = Database::open(folder / "app.db", {.durability = Durability::normal, .page_cache = 64U << 10U});
      db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a)");
      all_went_well = true;
      const auto insert = [&](std::int64_t id) {
        try {
          db.write([&](Transaction& tx) {
            tx.execute("INSERT INTO t VALUES (?, randomblob(10000))", id);
            tx.execute("INSERT INTO t VALUES (?, randomblob(10000))", -id);
          });
          kept.push_back(id);
        } catch (const CommitOutcomeUnknown&) {
          all_went_well = false;
          if (db.query_one<bool>("SELECT count(*) FROM t WHERE id = ?", id)) kept.push_back(id);
        } catch (const Error& error) {
          expect_out_of_memory(error);
          all_went_well = false;
          ++failures;
        }
      };
      sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1 + round * kStep);
      insert(2 * round + 1);
      sqlite3_hard_heap_limit64(kLimit);
      const bool went_well = all_went_well;
      insert(2 * round + 2);
      EXPECT_EQ(kept.back(), 2 * round + 2) << "it has not recovered";
      all_went_well = went_well;
      EXPECT_EQ(db.query<std::int64_t>("SELECT id FROM t WHERE id > 0 ORDER BY id"), kept) << "round " << round;
      EXPECT_EQ(db.query<std::int64_t>("SELECT -id FROM t WHERE id < 0 ORDER BY id DESC"), kept) << "round " << round;
      if (::testing::Test::HasFailure()) break;  // one story is enough
    }
    EXPECT_GT(failures, 20) << "hardly anything was made to fail";
    Database db = Database::open(folder / "app.db");
    expect_it_works(db);
  });
}

}  // namespace
}  // namespace sqlane
