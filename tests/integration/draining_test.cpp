#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::await_sql;
using testing::await_waiting;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

class Draining : public ::testing::Test {
 protected:
  Draining() { db->execute("CREATE TABLE note (id INTEGER PRIMARY KEY)"); }

  void insert(int id) { db->execute("INSERT INTO note VALUES (?)", id); }
  // As another program finds them once the database is closed.
  std::string ids_afterwards() {
    db->close();
    EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U) << "a log is left";
    ForeignConnection other(folder / "app.db");
    EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
    return other.ask("SELECT group_concat(id) FROM (SELECT id FROM note ORDER BY id)");
  }
  // Until a drain() on another thread has begun.
  void await_draining() const {
    while (db->stats().readers.state == PoolState::active) std::this_thread::yield();
  }

  TemporaryFolder folder;
  std::optional<Database> db =
      Database::open(folder / "app.db", {.readers = 1, .durability = Durability::normal, .acquire_timeout = 1h});
};

// What it refuses

TEST_F(Draining, EndsAtOnceWhereNothingRuns) {
  insert(1);
  EXPECT_EQ(db->query_one<int>("SELECT count(*) FROM note"), 1);
  EXPECT_TRUE(db->drain(1h).empty());
  EXPECT_EQ(db->stats().readers.total, 0U);
  EXPECT_EQ(ids_afterwards(), "1");
}

TEST_F(Draining, RefusesNewReadsAndWrites) {
  EXPECT_TRUE(db->drain(0ms).empty());
  EXPECT_THROW(insert(1), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query_one<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query_optional<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(db->write([](Transaction&) {}), ClosedError);
  EXPECT_THROW(static_cast<void>(db->write_async([](Transaction&) {})), ClosedError);
  EXPECT_THROW(db->read([](const Snapshot&) {}), ClosedError);
  EXPECT_THROW(static_cast<void>(db->begin()), ClosedError);
  EXPECT_THROW(static_cast<void>(db->snapshot()), ClosedError);
  EXPECT_EQ(ids_afterwards(), "");
}

TEST_F(Draining, StillAnswersWhatIsAskedAboutIt) {
  insert(1);
  EXPECT_TRUE(db->drain(0ms).empty());
  EXPECT_EQ(db->stats().readers.state, PoolState::draining);
  EXPECT_EQ(db->stats().lane.jobs, 2U);
  EXPECT_FALSE(db->lane_holder());
  EXPECT_EQ(db->connections().size(), 1U) << "the writer is closed last";
  const Health health = db->health();
  EXPECT_EQ(health.verdict, Verdict::unhealthy);
  ASSERT_EQ(health.reasons.size(), 1U);
  EXPECT_TRUE(mentions(health.reasons[0], "being drained")) << health.reasons[0];
  EXPECT_NO_THROW(db->maintain_now());
}

TEST_F(Draining, TwiceDoesNothing) {
  insert(1);
  EXPECT_TRUE(db->drain(0ms).empty());
  EXPECT_TRUE(db->drain(1h).empty());
  EXPECT_EQ(ids_afterwards(), "1");
  EXPECT_THROW(static_cast<void>(db->drain(0ms)), ClosedError);
}

TEST_F(Draining, TellsEachOfThoseWhoWaitOnce) {
  constexpr int kWaiters = 3;
  std::atomic<int> told = 0;
  std::vector<std::jthread> waiters;
  std::optional<std::jthread> drainer;
  {
    const Snapshot snapshot = db->snapshot();
    Transaction tx = db->begin();
    tx.execute("INSERT INTO note VALUES (1)");
    for (int i = 0; i < kWaiters; ++i) {
      waiters.emplace_back([&] {
        EXPECT_THROW(insert(2), ClosedError);
        ++told;
      });
      waiters.emplace_back([&] {
        EXPECT_THROW(static_cast<void>(db->query<int>("SELECT id FROM note")), ClosedError);
        ++told;
      });
    }
    await_waiting(*db, kWaiters);
    while (db->stats().readers.waiting < kWaiters) std::this_thread::yield();
    drainer.emplace([&] { EXPECT_TRUE(db->drain(1h).empty()); });
    waiters.clear();
    EXPECT_EQ(told, 2 * kWaiters);
    EXPECT_EQ(db->stats().readers.timeouts, 0U);
    tx.commit();
  }
  drainer.reset();
  EXPECT_EQ(ids_afterwards(), "1");
}

// Those that run

// this thread                 writer              reader
//                             inserts             reads
// drains: waits
//                             inserts, commits    reads again, ends
// nobody overstays
TEST_F(Draining, LetsThoseThatRunFinish) {
  std::latch running(2);
  std::latch go_on(1);
  std::jthread writer([&] {
    db->write([&](Transaction& tx) {
      tx.execute("INSERT INTO note VALUES (1)");
      running.count_down();
      go_on.wait();
      tx.execute("INSERT INTO note VALUES (2)");
    });
  });
  std::jthread reader([&] {
    db->read([&](const Snapshot& snapshot) {
      EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 0);
      running.count_down();
      go_on.wait();
      EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 0);
    });
  });
  running.wait();
  std::jthread drainer([&] { EXPECT_TRUE(db->drain(1h).empty()); });
  await_draining();
  go_on.count_down();
  writer.join();
  reader.join();
  drainer.join();
  EXPECT_EQ(ids_afterwards(), "1,2");
}

TEST_F(Draining, LetsWritesThatNobodyWaitsForFinish) {
  std::vector<WriteFuture<void>> posted;
  std::optional<std::jthread> drainer;
  {
    Transaction held = db->begin();
    for (int i = 1; i <= 3; ++i) {
      posted.push_back(db->write_async([i](Transaction& tx) { tx.execute("INSERT INTO note VALUES (?)", i); }));
    }
    drainer.emplace([&] { EXPECT_TRUE(db->drain(1h).empty()); });
    await_draining();
  }
  for (auto& one : posted) EXPECT_NO_THROW(one.get());
  drainer.reset();
  EXPECT_EQ(ids_afterwards(), "1,2,3");
}

// Those that stay

TEST_F(Draining, ReportsAndInterruptsAReaderThatStays) {
  std::jthread reader([&] {
    const InterruptedError error = error_of<InterruptedError>([&] {
      static_cast<void>(
          db->read([](const Snapshot& snapshot) { return snapshot.query_one<std::int64_t>(runtime_sql(kEndless)); },
                   {"report.cpp", 12, "print_report"}));
    });
    EXPECT_TRUE(mentions(error, "interrupted")) << error.what();
    EXPECT_EQ(error.sql(), kEndless);
  });
  // Once it is prepared, a moment is missing before it runs.
  while (db->stats().statements.prepared < 2) std::this_thread::yield();
  const std::vector<LeaseReport> overstaying = db->drain(1ms);
  reader.join();
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying[0].site.to_string(), "report.cpp:12 (print_report)");
  EXPECT_TRUE(overstaying[0].activity == kEndless || overstaying[0].activity.empty()) << overstaying[0].activity;
  EXPECT_EQ(db->stats().readers.interrupted, 1U);
  EXPECT_EQ(ids_afterwards(), "");
}

TEST_F(Draining, ReportsAndInterruptsAWriteThatStaysAndUndoesIt) {
  insert(1);
  std::jthread writer([&] {
    const InterruptedError error = error_of<InterruptedError>([&] {
      db->write(
          [](Transaction& tx) {
            tx.execute("INSERT INTO note VALUES (2)");
            static_cast<void>(tx.query_one<std::int64_t>(runtime_sql(kEndless)));
          },
          {"import.cpp", 7, "import"});
    });
    EXPECT_EQ(error.sql(), kEndless);
  });
  await_sql(*db, "WITH RECURSIVE");
  const std::vector<LeaseReport> overstaying = db->drain(1ms);
  writer.join();
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying[0].site.to_string(), "import.cpp:7 (import)");
  EXPECT_EQ(overstaying[0].activity, kEndless);
  EXPECT_GE(overstaying[0].held, 1ms);
  EXPECT_EQ(ids_afterwards(), "1") << "what was acknowledged, and nothing else";
}

TEST_F(Draining, InterruptsTheNextStatementOfGuardsThatRunNone) {
  insert(1);
  std::latch held(2);
  std::latch drained(1);
  std::jthread writer([&] {
    Transaction tx = db->begin(Behavior::immediate, {"import.cpp", 7, "import"});
    tx.execute("INSERT INTO note VALUES (2)");
    held.count_down();
    drained.wait();
    EXPECT_THROW(tx.execute("INSERT INTO note VALUES (3)"), InterruptedError);
  });
  std::jthread reader([&] {
    const Snapshot snapshot = db->snapshot({"report.cpp", 12, "print_report"});
    held.count_down();
    drained.wait();
    EXPECT_THROW(snapshot.query_one<int>("SELECT count(*) FROM note"), InterruptedError);
  });
  held.wait();
  for (int drains = 0; drains < 2; ++drains) {
    const std::vector<LeaseReport> overstaying = db->drain(0ms);
    ASSERT_EQ(overstaying.size(), 2U) << "whoever holds something still is reported again";
    EXPECT_EQ(overstaying[0].site.to_string(), "report.cpp:12 (print_report)");
    EXPECT_EQ(overstaying[0].activity, "");
    EXPECT_EQ(overstaying[1].site.to_string(), "import.cpp:7 (import)");
    EXPECT_EQ(overstaying[1].activity, "");
  }
  drained.count_down();
  writer.join();
  reader.join();
  EXPECT_TRUE(db->drain(1h).empty());
  EXPECT_EQ(ids_afterwards(), "1");
}

TEST_F(Draining, FailsWritesWhoseTurnDoesNotComeInTime) {
  std::latch held(1);
  std::latch drained(1);
  std::jthread writer([&] {
    Transaction tx = db->begin();
    tx.execute("INSERT INTO note VALUES (1)");
    held.count_down();
    drained.wait();
    tx.commit();
  });
  held.wait();
  bool has_run = false;
  WriteFuture<void> posted = db->write_async([&](Transaction&) { has_run = true; });
  EXPECT_EQ(db->drain(1ms).size(), 1U);
  EXPECT_THROW(posted.get(), ClosedError);
  EXPECT_FALSE(has_run);
  drained.count_down();
  writer.join();
  EXPECT_EQ(ids_afterwards(), "1") << "a transaction that only has to be committed may be";
}

// Whose wait could not end

TEST_F(Draining, IsRefusedToWhoHoldsSomething) {
  db->write([&](Transaction& tx) {
    const int line = __LINE__ + 1;
    const UsageError error = error_of<UsageError>([&] { static_cast<void>(db->drain(1h)); });
    EXPECT_TRUE(mentions(error, "draining_test.cpp:" + std::to_string(line))) << error.what();
    tx.execute("INSERT INTO note VALUES (1)");
  });
  db->read([&](const Snapshot&) { EXPECT_THROW(static_cast<void>(db->drain(1h)), UsageError); });
  {
    const Transaction tx = db->begin();
    EXPECT_THROW(static_cast<void>(db->drain(1h)), UsageError);
  }
  {
    const Snapshot snapshot = db->snapshot();
    EXPECT_THROW(static_cast<void>(db->drain(1h)), UsageError);
  }
  db->write_async([&](Transaction&) { EXPECT_THROW(static_cast<void>(db->drain(1h)), UsageError); }).get();
  std::promise<void> called;
  db->write([&](Transaction& tx) { tx.execute("INSERT INTO note VALUES (2)"); });
  db->write_async([&](Transaction& tx) {
    tx.on_commit([&]() noexcept {
      EXPECT_THROW(static_cast<void>(db->drain(1h)), UsageError);
      called.set_value();
    });
  });
  called.get_future().get();
  EXPECT_EQ(db->stats().readers.state, PoolState::active) << "what is refused changes nothing";
  insert(3);
  EXPECT_EQ(ids_afterwards(), "1,2,3");
}

// Others

TEST_F(Draining, IsOfAllWhoShareTheDatabase) {
  Database other = Database::open(folder / "app.db");
  insert(1);
  EXPECT_TRUE(other.drain(0ms).empty());
  EXPECT_THROW(insert(2), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query<int>("SELECT id FROM note")), ClosedError);
  db->close();
  EXPECT_THROW(static_cast<void>(other.query<int>("SELECT id FROM note")), ClosedError);
  other.close();
  EXPECT_EQ(ids_afterwards(), "1");
}

TEST_F(Draining, IsOverWithTheLastOfThem) {
  insert(1);
  EXPECT_TRUE(db->drain(0ms).empty());
  db.reset();
  db.emplace(Database::open(folder / "app.db"));
  insert(2);
  EXPECT_EQ(ids_afterwards(), "1,2");
}

TEST(DrainingAMemoryDatabase, RefusesNewCallsAndReportsWhoStays) {
  Database db = Database::in_memory();
  std::latch held(1);
  std::latch drained(1);
  std::jthread reader([&] {
    const Snapshot snapshot = db.snapshot({"report.cpp", 12, "print_report"});
    held.count_down();
    drained.wait();
    EXPECT_THROW(snapshot.query_one<int>("SELECT 1"), InterruptedError);
  });
  held.wait();
  const std::vector<LeaseReport> overstaying = db.drain(0ms);
  drained.count_down();
  reader.join();
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying[0].site.to_string(), "report.cpp:12 (print_report)");
  EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT 1")), ClosedError);
  EXPECT_NO_THROW(db.close());
}

}  // namespace
}  // namespace sqlane
