#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

// A thread that waits in a ring hears it at once: with an hour to wait, a ring
// that is overlooked shows as a test that hangs. A batch has an hour as well, so
// that none ends early because its thread had to wait for a processor.

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;

class WaitingRing : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(const std::string& name, std::size_t readers = 2) const {
    Database db = Database::open(folder_ / name, {.readers = readers,
                                                  .durability = Durability::normal,
                                                  .acquire_timeout = std::chrono::hours(1),
                                                  .batch = {.run_time = std::chrono::hours(1)}});
    db.execute("CREATE TABLE t (a)");
    return db;
  }

  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static int count(const Database& db) { return db.query_one<int>("SELECT count(*) FROM t"); }
  static void await_waiting(const Database& db, std::size_t count) {
    while (true) {
      const std::optional<LaneHolder> holder = db.lane_holder();
      if (holder && holder->waiting == count) return;
      std::this_thread::yield();
    }
  }

  // Each thread writes to its own database, and from there to the next one's.
  // Exactly one of them hears of the ring; the others' writes all happen.
  void run_ring_of(std::size_t size) {
    std::vector<Database> databases;
    for (std::size_t i = 0; i < size; ++i) databases.push_back(open(std::to_string(i) + ".db"));
    std::latch all_inside(static_cast<std::ptrdiff_t>(size));
    std::atomic<int> refused = 0;
    std::atomic<int> completed = 0;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < size; ++i) {
      threads.emplace_back([&, i] {
        try {
          databases[i].write(
              [&](Transaction& tx) {
                add_one(tx);
                all_inside.arrive_and_wait();
                databases[(i + 1) % size].write(add_one, {"inner.cpp", static_cast<int>(i) + 1, "ask"});
              },
              {"outer.cpp", static_cast<int>(i) + 1, "begin"});
          ++completed;
        } catch (const UsageError& error) {
          ++refused;
          for (std::size_t other = 1; other <= size; ++other) {
            EXPECT_TRUE(mentions(error, "inner.cpp:" + std::to_string(other) + " (ask)")) << error.what();
            EXPECT_TRUE(mentions(error, "outer.cpp:" + std::to_string(other) + " (begin)")) << error.what();
          }
        }
      });
    }
    threads.clear();  // joins
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(completed, static_cast<int>(size) - 1);
    int rows = 0;
    for (const Database& db : databases) rows += count(db);
    EXPECT_EQ(rows, 2 * completed);
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(WaitingRing, OfTwoDatabasesIsRefusedToOneOfTheTwo) {
  // first                     second
  // writes to 0               writes to 1
  // ---- both inside ------->
  // asks for 1: waits         asks for 0: UsageError, and 1 comes free
  // has 1, completes
  run_ring_of(2);
}

TEST_F(WaitingRing, OfThreeDatabasesIsRefusedToOneOfTheThree) { run_ring_of(3); }

TEST_F(WaitingRing, OfTwoDatabasesIsRefusedTimeAndAgain) {
  Database one = open("one.db");
  Database two = open("two.db");
  constexpr int kRounds = 200;
  std::atomic<int> refused = 0;
  std::atomic<int> completed = 0;
  const auto run = [&](Database& outer, Database& inner) {
    for (int round = 0; round < kRounds; ++round) {
      try {
        outer.write([&](Transaction&) { inner.write(add_one); });
        ++completed;
      } catch (const UsageError&) {
        ++refused;
      }
    }
  };
  {
    const std::jthread first([&] { run(one, two); });
    const std::jthread second([&] { run(two, one); });
  }
  EXPECT_EQ(refused + completed, 2 * kRounds);
  EXPECT_EQ(count(one) + count(two), completed);
}

TEST_F(WaitingRing, OfGuardsIsRefused) {
  Database one = open("one.db");
  Database two = open("two.db");
  Transaction mine = one.begin(Behavior::immediate, {"outer.cpp", 1, "begin"});
  std::latch waits(1);
  std::jthread other([&] {
    Transaction theirs = two.begin();
    waits.count_down();
    const Transaction tx = one.begin();
  });
  waits.wait();
  await_waiting(one, 1);
  EXPECT_THROW(two.execute("INSERT INTO t VALUES (1)"), UsageError);
  mine.rollback();
}

TEST_F(WaitingRing, OfReadersThatWriteAndAWriteThatReadsIsRefused) {
  // main                      two readers
  // writes                    have a snapshot each
  //                           ask for the lane: wait
  // ---- both wait ---------
  // asks for a reader: UsageError
  Database db = open("a.db");
  std::latch both_read(2);
  std::vector<std::jthread> readers;
  db.write(
      [&](Transaction& tx) {
        for (int i = 0; i < 2; ++i) {
          readers.emplace_back([&, i] {
            const Snapshot snapshot = db.snapshot({"reader.cpp", i + 1, "look"});
            both_read.arrive_and_wait();
            db.write(add_one, {"reader.cpp", i + 11, "note"});
          });
        }
        await_waiting(db, 2);
        const auto ask = [&] { static_cast<void>(db.snapshot({"writer.cpp", 5, "ask"})); };
        const std::string message = error_of<UsageError>(ask).what();
        for (const char* const site : {"writer.cpp:5 (ask)", "writer.cpp:1 (write)", "reader.cpp:1 (look)",
                                       "reader.cpp:2 (look)", "reader.cpp:11 (note)", "reader.cpp:12 (note)"}) {
          EXPECT_TRUE(mentions(message, site)) << site << " is not in: " << message;
        }
        add_one(tx);
      },
      {"writer.cpp", 1, "write"});
  readers.clear();
  EXPECT_EQ(count(db), 3);
}

TEST_F(WaitingRing, OfAWriteThatWaitsForAReaderAndReadersThatWriteIsRefusedToTheLastReader) {
  // As above, but the write waits for a reader already.
  Database db = open("a.db", 1);
  std::latch reads(1);
  std::latch is_inside(1);
  std::atomic<int> refused = 0;
  std::jthread reader([&] {
    const Snapshot snapshot = db.snapshot({"reader.cpp", 1, "look"});
    reads.count_down();
    is_inside.wait();
    try {
      db.write(add_one);  // before or after the write has asked for a reader
    } catch (const UsageError&) {
      ++refused;
    }
  });
  reads.wait();
  try {
    db.write([&](Transaction& tx) {
      is_inside.count_down();
      add_one(tx);
      EXPECT_EQ(count(db), 0);
    });
  } catch (const UsageError&) {
    ++refused;
  }
  reader.join();
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(count(db), 1);
}

TEST_F(WaitingRing, OfOneThreadThatHasAllReadersIsRefused) {
  const Database db = open("a.db");
  db.read(
      [&](const Snapshot&) {
        const Snapshot second = db.snapshot({"outer.cpp", 2, "read"});
        const auto ask = [&] { db.read([](const Snapshot&) {}, {"inner.cpp", 3, "ask"}); };
        const std::string message = error_of<UsageError>(ask).what();
        for (const char* const site : {"outer.cpp:1 (read)", "outer.cpp:2 (read)", "inner.cpp:3 (ask)"}) {
          EXPECT_TRUE(mentions(message, site)) << site << " is not in: " << message;
        }
      },
      {"outer.cpp", 1, "read"});
  EXPECT_EQ(count(db), 0);
}

TEST_F(WaitingRing, IsNoneWhileAnotherThreadsReaderWillComeBack) {
  // main                      other
  // has a reader              has the last reader
  // asks for another: waits   lets go
  Database db = open("a.db");
  const Snapshot mine = db.snapshot();
  std::latch reads(1);
  std::jthread other([&] {
    const Snapshot theirs = db.snapshot();
    reads.count_down();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  });
  reads.wait();
  EXPECT_NO_THROW(static_cast<void>(count(db)));
}

TEST_F(WaitingRing, IsNoneWhileOtherReadersAreFree) {
  // main                      reader
  // writes                    has a snapshot, asks for the lane: waits
  // reads with the other reader
  Database db = open("a.db");
  std::jthread reader;
  db.write([&](Transaction& tx) {
    reader = std::jthread([&] {
      db.read([&](const Snapshot& snapshot) {
        EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM t"), 0);
        db.write(add_one);
      });
    });
    await_waiting(db, 1);
    EXPECT_EQ(count(db), 0);
    add_one(tx);
  });
  reader.join();
  EXPECT_EQ(count(db), 2);
}

TEST_F(WaitingRing, IsNoneAroundAThreadWhoseWriteWasStopped) {
  // main                      reader
  // has the lane              has the only reader, asks for the lane: waits
  // stops it --------------> InterruptedError, lets go
  // asks for a reader: gets it
  for (int round = 0; round < 20; ++round) {
    Database db = open(std::to_string(round) + ".db", 1);
    std::stop_source stop;
    Transaction tx = db.begin();
    std::jthread reader([&] {
      const Snapshot snapshot = db.snapshot();
      EXPECT_THROW(db.write({.stop = stop.get_token()}, add_one), InterruptedError);
    });
    await_waiting(db, 1);
    stop.request_stop();
    EXPECT_NO_THROW(static_cast<void>(count(db)));
  }
}

TEST_F(WaitingRing, IsNoneAroundAThreadWhoseReadWasStopped) {
  // main                      other
  // has the lane of one       has the lane of two
  // has the reader of one     asks for a reader of one: waits
  // stops it --------------> InterruptedError, lets go
  // asks for the lane of two: gets it
  for (int round = 0; round < 20; ++round) {
    Database one = open("one" + std::to_string(round) + ".db", 1);
    Database two = open("two" + std::to_string(round) + ".db", 1);
    std::stop_source stop;
    const Snapshot mine = one.snapshot();
    std::latch is_inside(1);
    std::jthread other([&] {
      EXPECT_THROW(two.write([&](Transaction&) {
        is_inside.count_down();
        one.read({.stop = stop.get_token()}, [](const Snapshot&) {});
      }),
                   InterruptedError);
    });
    is_inside.wait();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    stop.request_stop();
    EXPECT_NO_THROW(two.write(add_one));
  }
}

TEST_F(WaitingRing, IsNoneAroundAThreadThatHasHeardOfAClose) {
  // main                      other                        third
  // has the lane of one       has the lane of two,
  //                           asks for that of one: waits
  //                                                        waits likewise
  // ---- one is closed -----> ClosedError, lets go         ClosedError: so the other was told before
  // asks for the lane of two: gets it
  for (int round = 0; round < 20; ++round) {
    Database one = open("one" + std::to_string(round) + ".db");
    Database two = open("two" + std::to_string(round) + ".db");
    auto tx = std::unique_ptr<Transaction>(new Transaction(one.begin()));
    std::jthread other([&] { EXPECT_THROW(two.write([&](Transaction&) { one.write(add_one); }), ClosedError); });
    await_waiting(one, 1);
    std::jthread third([&] { EXPECT_THROW(one.write(add_one), ClosedError); });
    await_waiting(one, 2);
    std::jthread closer([&] { one.close(); });
    third.join();
    EXPECT_NO_THROW(two.write(add_one));
    tx.reset();
  }
}

// In one order of the databases no ring can come about, however many hold a reader meanwhile.
// What tells threads apart by the system's numbers takes the next thread for the one that has ended.
TEST_F(WaitingRing, IsNoneAroundAGuardWhoseThreadHasEnded) {
  Database db = open("a.db");
  std::unique_ptr<Transaction> guard;
  std::thread::id ended;
  std::thread([&] {
    guard.reset(new Transaction(db.begin()));
    ended = std::this_thread::get_id();
  }).join();
  constexpr int kThreads = 50;
  bool is_used_again = false;
  for (int i = 0; i < kThreads; ++i) {
    std::thread([&] {
      is_used_again = is_used_again || std::this_thread::get_id() == ended;
      EXPECT_THROW(db.write({.timeout = std::chrono::milliseconds(0)}, add_one), TimeoutError);
    }).join();
  }
  if (!is_used_again) GTEST_SKIP() << "no thread has got the number of the one that ended";
  add_one(*guard);
  guard->commit();
  EXPECT_EQ(count(db), 1);
}

TEST_F(WaitingRing, IsNeverSeenWhereAllKeepToOneOrder) {
  constexpr int kThreads = 6;
  constexpr int kWrites = 600;  // of each thread
  Database one = open("one.db", kThreads);
  Database two = open("two.db", kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        try {
          for (int i = 0; i < kWrites; ++i) {
            const Snapshot snapshot = t % 2 == 0 ? one.snapshot() : two.snapshot();
            if (t == kThreads - 1) {
              two.write(add_one);
            } else {
              one.write([&](Transaction& tx) {
                add_one(tx);
                two.write(add_one);
              });
            }
          }
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
  }
  EXPECT_EQ(count(one), (kThreads - 1) * kWrites);
  EXPECT_EQ(count(two), kThreads * kWrites);
}

TEST_F(WaitingRing, OfABatchWhoseCallersHaveAllReadersIsRefusedToTheJobThatReads) {
  // main                      two readers               third
  // has the lane
  //                           have a snapshot each
  //                           ask for the lane: wait    asks for the lane: waits
  // lets go                   the first runs all three: the third's job asks for a reader
  Database db = open("a.db");
  std::latch both_read(2);
  std::vector<std::jthread> threads;
  {
    Transaction tx = db.begin();
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        const Snapshot snapshot = db.snapshot();
        both_read.arrive_and_wait();
        EXPECT_NO_THROW(db.write(add_one));
      });
    }
    await_waiting(db, 2);
    threads.emplace_back([&] {
      const auto job = [&](Transaction& own) {
        add_one(own);
        static_cast<void>(db.snapshot({"third.cpp", 3, "ask"}));
      };
      const std::string message = error_of<UsageError>([&] { db.write(job); }).what();
      EXPECT_TRUE(mentions(message, "third.cpp:3 (ask)")) << message;
    });
    await_waiting(db, 3);
  }
  threads.clear();
  EXPECT_EQ(count(db), 2);
}

}  // namespace
}  // namespace sqlane
