#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/lane_queue.hpp"
#include "support/queued_writes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::ForeignConnection;
using testing::QueuedWrites;
using testing::TemporaryFolder;

// What is counted on a real file. Each test looks at the difference to before.
class StatisticsOfADatabase : public ::testing::Test {
 protected:
  static Options options() {
    return {.readers = 2,
            .durability = Durability::normal,
            .acquire_timeout = 1h,
            .busy_timeout = 1h,
            .batch = {.run_time = 1h}};  // all that wait share a commit
  }
  void reopen(const Options& options) {
    db.close();
    db = Database::open(path, options);
  }
  void insert(int id) { db.execute("INSERT INTO note VALUES (?)", id); }
  int count() { return db.query_one<int>("SELECT count(*) FROM note"); }

  [[nodiscard]] PoolStatistics readers() const { return db.stats().readers; }
  [[nodiscard]] LaneStatistics lane() const { return db.stats().lane; }
  [[nodiscard]] StatementStatistics statements() const { return db.stats().statements; }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  Database db = [this] {
    ForeignConnection(path).run("CREATE TABLE note (id INTEGER PRIMARY KEY)");
    return Database::open(path, options());
  }();
};

// Readers

TEST_F(StatisticsOfADatabase, AreNoneBeforeItsFirstUse) {
  const DatabaseStatistics now = db.stats();
  EXPECT_EQ(now.database, path.string());
  EXPECT_EQ(now.readers.state, PoolState::active);
  EXPECT_EQ(now.readers.limit, 2U);
  EXPECT_EQ(now.readers.total, 0U);
  EXPECT_EQ(now.readers.acquires, 0U);
  EXPECT_EQ(now.readers.created, 0U);
  EXPECT_EQ(now.readers.reuse_ratio(), 0);
  EXPECT_EQ(now.readers.utilisation(), 0);
  EXPECT_EQ(now.lane.commits, 0U);
  EXPECT_EQ(now.lane.jobs, 0U);
  EXPECT_EQ(now.lane.guards, 0U) << "opening is no transaction of begin()";
  EXPECT_EQ(now.lane.batch_sizes.count(), 0U);
  EXPECT_EQ(now.statements.hits, 0U);
  EXPECT_EQ(now.statements.prepared, 0U);
  EXPECT_EQ(now.busy_waits, 0U);
  EXPECT_EQ(now.errors, 0U);
  EXPECT_EQ(now.checkpoints, 0U);
  EXPECT_EQ(now.fallback_reads, 0U);
}

TEST_F(StatisticsOfADatabase, CountReadersThatAreMadeLentAndReused) {
  for (int i = 0; i < 4; ++i) count();
  EXPECT_EQ(readers().acquires, 4U);
  EXPECT_EQ(readers().created, 1U);
  EXPECT_EQ(readers().total, 1U);
  EXPECT_EQ(readers().idle, 1U);
  EXPECT_DOUBLE_EQ(readers().reuse_ratio(), 0.75);
  {
    const Snapshot one = db.snapshot();
    EXPECT_EQ(readers().in_use, 1U);
    EXPECT_DOUBLE_EQ(readers().utilisation(), 0.5);
    const Snapshot two = db.snapshot();
    EXPECT_EQ(readers().in_use, 2U);
    EXPECT_EQ(readers().idle, 0U);
    EXPECT_DOUBLE_EQ(readers().utilisation(), 1);
  }
  EXPECT_EQ(readers().in_use, 0U);
  EXPECT_EQ(readers().idle, 2U);
  EXPECT_EQ(readers().acquires, 6U);
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(readers().waits, 0U);
  EXPECT_EQ(readers().cleaned, 0U) << "an open snapshot is what readers are lent for";
}

// this thread                 reader
// holds both readers
//                             waits
// lets one go
//                             reads
TEST_F(StatisticsOfADatabase, CountWaitingForAReader) {
  std::optional<std::jthread> reader;
  {
    const Snapshot one = db.snapshot();
    const Snapshot two = db.snapshot();
    reader.emplace([&] { count(); });
    while (readers().waiting == 0) std::this_thread::yield();
    EXPECT_EQ(readers().waiting, 1U);
    EXPECT_EQ(readers().waits, 0U) << "it has not got anything yet";
  }
  reader.reset();
  EXPECT_EQ(readers().waiting, 0U);
  EXPECT_EQ(readers().waits, 1U);
  EXPECT_EQ(readers().wait_times.count(), 1U);
  EXPECT_EQ(readers().acquires, 3U);
  EXPECT_EQ(readers().timeouts, 0U);
}

TEST_F(StatisticsOfADatabase, CountThoseWhoWaitedInVain) {
  {
    const Snapshot one = db.snapshot();
    const Snapshot two = db.snapshot();
    for (int i = 0; i < 3; ++i) EXPECT_THROW(static_cast<void>(db.snapshot({.timeout = 0ms})), TimeoutError);
  }
  EXPECT_EQ(readers().timeouts, 3U);
  EXPECT_EQ(readers().acquires, 2U);
  EXPECT_EQ(readers().waits, 0U);
  EXPECT_EQ(readers().waiting, 0U);
}

TEST_F(StatisticsOfADatabase, TellWhyReadersWereClosed) {
  Options few = options();
  few.readers = 1;
  few.overflow_readers = 1;
  few.upkeep.max_uses = 3;
  reopen(few);
  {
    const Snapshot one = db.snapshot();
    const Snapshot two = db.snapshot();
    EXPECT_EQ(readers().total, 2U);
    EXPECT_DOUBLE_EQ(readers().utilisation(), 1) << "more than the limit are in use";
  }
  EXPECT_EQ(readers().closed_for(CloseReason::overflow), 1U);
  count();
  EXPECT_EQ(readers().closed_for(CloseReason::uses), 0U);
  count();
  EXPECT_EQ(readers().closed_for(CloseReason::uses), 1U);
  EXPECT_EQ(readers().total, 0U);
  count();
  EXPECT_TRUE(db.drain(0ms).empty());
  const PoolStatistics drained = readers();
  EXPECT_EQ(drained.closed_for(CloseReason::pool_closed), 1U);
  EXPECT_EQ(drained.state, PoolState::draining);
  EXPECT_EQ(drained.created, 3U);
  std::uint64_t closed = 0;
  for (const std::uint64_t reason : drained.closed) closed += reason;
  EXPECT_EQ(closed, 3U);
}

TEST_F(StatisticsOfADatabase, MeasureOneHoldIn64) {
  for (int i = 0; i < 128; ++i) count();
  EXPECT_EQ(readers().hold_times.count(), 2U);
}

// Statements

TEST_F(StatisticsOfADatabase, TellStatementsThatWereFoundFromThoseThatWerePrepared) {
  for (int i = 0; i < 3; ++i) insert(i);
  EXPECT_EQ(statements().prepared, 1U);
  EXPECT_EQ(statements().hits, 2U);
  for (int i = 0; i < 3; ++i) count();
  EXPECT_EQ(statements().prepared, 2U);
  EXPECT_EQ(statements().hits, 4U);
  db.write([](Transaction& tx) { tx.execute("DELETE FROM note"); });
  {
    const Snapshot held = db.snapshot();
    count();  // on another reader
  }
  EXPECT_EQ(statements().prepared, 4U);
  EXPECT_EQ(statements().hits, 4U);
}

TEST_F(StatisticsOfADatabase, OutliveTheConnections) {
  Options options = StatisticsOfADatabase::options();
  options.upkeep.max_uses = 1;
  reopen(options);
  for (int i = 0; i < 5; ++i) count();
  EXPECT_EQ(readers().created, 5U);
  EXPECT_EQ(readers().closed_for(CloseReason::uses), 5U);
  EXPECT_EQ(readers().acquires, 5U);
  EXPECT_EQ(statements().prepared, 5U);
  EXPECT_EQ(statements().hits, 0U);
  {
    const Snapshot one = db.snapshot();
    const Snapshot two = db.snapshot();
    EXPECT_EQ(one.query_one<int>("SELECT count(*) FROM note"), 0);
    EXPECT_EQ(two.query_one<int>("SELECT count(*) FROM note"), 0);
    EXPECT_EQ(one.query_one<int>("SELECT count(*) FROM note"), 0);
  }
  EXPECT_EQ(statements().prepared, 7U);
  EXPECT_EQ(statements().hits, 1U);
}

// The lane

TEST_F(StatisticsOfADatabase, CountCommitsAndTheJobsInThem) {
  insert(1);
  db.write([](Transaction& tx) { tx.execute("INSERT INTO note VALUES (2)"); });
  EXPECT_EQ(lane().commits, 2U);
  EXPECT_EQ(lane().jobs, 2U);
  EXPECT_THROW(insert(1), ConstraintError);
  EXPECT_EQ(lane().commits, 2U) << "what fails is not committed";
  EXPECT_EQ(lane().jobs, 2U);
  EXPECT_EQ(lane().batch_sizes.count(), 2U);
  EXPECT_EQ(lane().batch_sizes.max_value(), 1U);
}

TEST_F(StatisticsOfADatabase, CountGuardsApartFromJobs) {
  const std::uint64_t before = lane().guards;
  for (int i = 0; i < 3; ++i) {
    Transaction tx = db.begin();
    tx.execute("INSERT INTO note VALUES (?)", i);
    if (i > 0) tx.commit();
  }
  EXPECT_EQ(lane().guards, before + 3);
  EXPECT_EQ(lane().commits, 0U);
  EXPECT_EQ(lane().jobs, 0U);
  EXPECT_TRUE(db.health().is_healthy());
  EXPECT_EQ(lane().guards, before + 3) << "a look at the lane is no transaction";
}

TEST_F(StatisticsOfADatabase, CountWritesThatShareACommit) {
  insert(1);
  QueuedWrites writes(db);
  const auto add = [&](int id) { writes.add([this, id] { insert(id); }); };
  add(2);
  add(3);
  add(1);  // is there already
  add(4);
  EXPECT_EQ(lane().waiting, 4U);
  writes.run();
  EXPECT_TRUE(writes.has_failed(2));
  EXPECT_EQ(lane().waiting, 0U);
  EXPECT_EQ(lane().commits, 2U);
  EXPECT_EQ(lane().jobs, 4U);
  EXPECT_EQ(lane().batch_sizes.count(), 2U);
  EXPECT_EQ(lane().batch_sizes.sum(), 4U);
  EXPECT_EQ(lane().batch_sizes.max_value(), 3U);
}

TEST_F(StatisticsOfADatabase, CountWritesThatNobodyWaitsFor) {
  std::vector<WriteFuture<void>> posted;
  {
    const Transaction held = db.begin();
    for (int i = 0; i < 3; ++i) {
      posted.push_back(db.write_async([i](Transaction& tx) { tx.execute("INSERT INTO note VALUES (?)", i); }));
    }
    EXPECT_EQ(lane().posted, 3U);
    EXPECT_EQ(lane().waiting, 3U);
  }
  for (auto& one : posted) one.get();
  EXPECT_EQ(lane().posted, 0U);
  EXPECT_EQ(lane().waiting, 0U);
  EXPECT_EQ(lane().jobs, 3U);
  EXPECT_EQ(lane().commits, 1U);
}

// The file

TEST_F(StatisticsOfADatabase, CountCheckpointsAndTellTheLengthOfTheLog) {
  Options often = options();
  often.checkpoint_pages = 2;
  reopen(often);
  std::uint64_t longest = 0;
  for (int i = 0; i < 10; ++i) {
    insert(i);
    const std::uint64_t log = std::filesystem::file_size(testing::beside(path, "-wal"));
    EXPECT_EQ(db.stats().wal_bytes, log);
    longest = std::max(longest, log);
    if (i > 1) continue;
    EXPECT_EQ(db.stats().checkpoints, i == 0 ? 0U : 1U) << "one page is not enough";
  }
  EXPECT_GT(longest, 4096U);
  EXPECT_GT(db.stats().checkpoints, 1U);
  reopen(options());
  EXPECT_EQ(db.stats().checkpoints, 0U) << "counted from the opening on";
}

TEST_F(StatisticsOfADatabase, CountEachLockOfOthersThatIsMet) {
  count();  // on a connection that meets none
  ForeignConnection foreign(path);
  constexpr std::uint64_t kLocks = 3;
  for (std::uint64_t i = 1; i <= kLocks; ++i) {
    foreign.run("BEGIN IMMEDIATE");
    std::jthread writer([&] { insert(static_cast<int>(i)); });
    while (db.stats().busy_waits < i) std::this_thread::yield();
    for (int looks = 0; looks < 1000; ++looks) static_cast<void>(db.stats());
    foreign.run("COMMIT");
    writer.join();
    EXPECT_EQ(db.stats().busy_waits, i) << "however often it was looked for";
  }
  EXPECT_EQ(db.stats().errors, 0U);
}

TEST_F(StatisticsOfADatabase, CountALockThatIsNotWaitedFor) {
  Options hasty = options();
  hasty.busy_timeout = 0ms;
  reopen(hasty);
  ForeignConnection foreign(path);
  foreign.run("BEGIN IMMEDIATE");
  EXPECT_THROW(insert(1), BusyError);
  EXPECT_EQ(db.stats().busy_waits, 1U);
  EXPECT_EQ(db.stats().errors, 1U);
}

TEST_F(StatisticsOfADatabase, CountErrorsOfEachConnection) {
  insert(1);
  EXPECT_THROW(insert(1), ConstraintError);
  EXPECT_EQ(db.stats().errors, 1U);
  EXPECT_THROW(static_cast<void>(db.query_one<std::int64_t>("SELECT abs(-9223372036854775807 - 1)")), Error);
  EXPECT_EQ(db.stats().errors, 2U);
  EXPECT_THROW(static_cast<void>(db.query<int>("SELECT id FROM nowhere")), SchemaError);
  EXPECT_EQ(db.stats().errors, 3U);
  EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT id FROM note WHERE id = 5")), NoRowError);
  EXPECT_EQ(db.stats().errors, 3U) << "that is nothing that SQLite minds";
}

TEST(StatisticsOfAMemoryDatabase, AreLikeThoseOfAFile) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
  const DatabaseStatistics now = db.stats();
  EXPECT_EQ(now.database, ":memory:");
  EXPECT_EQ(now.readers.total, 1U);
  EXPECT_EQ(now.readers.acquires, 3U);
  EXPECT_EQ(now.lane.commits, 1U);
  EXPECT_EQ(now.statements.prepared, 2U);
  EXPECT_EQ(now.statements.hits, 2U);
  EXPECT_GT(now.wal_bytes, 4096U);
  EXPECT_EQ(now.checkpoints, 0U);
  EXPECT_EQ(db.connections().size(), 2U);
  EXPECT_EQ(Database::in_memory("a name").stats().database, ":memory:a name");
}

// Connections

TEST_F(StatisticsOfADatabase, ListTheWriterAndThenTheReaders) {
  const std::vector<ResourceReport> writer_alone = db.connections();
  ASSERT_EQ(writer_alone.size(), 1U);
  EXPECT_EQ(writer_alone[0].id, 1U);
  EXPECT_EQ(writer_alone[0].state, ResourceState::idle);
  EXPECT_EQ(writer_alone[0].errors, 0U);
  count();
  count();
  const Snapshot one = db.snapshot();
  {
    const Snapshot two = db.snapshot();
    const Transaction tx = db.begin();
    const std::vector<ResourceReport> all = db.connections();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].id, 1U);
    EXPECT_EQ(all[0].state, ResourceState::in_use);
    EXPECT_EQ(all[0].uses, writer_alone[0].uses + 1);
    EXPECT_EQ(all[0].idle, 0ms);
    EXPECT_EQ(all[1].id, 1U);
    EXPECT_EQ(all[1].state, ResourceState::in_use);
    EXPECT_EQ(all[1].uses, 3U);
    EXPECT_EQ(all[2].id, 2U);
    EXPECT_EQ(all[2].state, ResourceState::in_use);
    EXPECT_EQ(all[2].uses, 1U);
    EXPECT_EQ(all[2].idle, 0ms);
  }
  const std::vector<ResourceReport> later = db.connections();
  EXPECT_EQ(later[0].state, ResourceState::idle);
  EXPECT_EQ(later[1].state, ResourceState::in_use);
  EXPECT_EQ(later[2].state, ResourceState::idle);
}

TEST_F(StatisticsOfADatabase, GiveEachNewReaderANumberOfItsOwn) {
  Options options = StatisticsOfADatabase::options();
  options.upkeep.max_uses = 1;
  reopen(options);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    const Snapshot snapshot = db.snapshot();
    ASSERT_EQ(db.connections().size(), 2U);
    EXPECT_EQ(db.connections()[1].id, id);
    EXPECT_EQ(db.connections()[1].uses, 1U);
  }
  EXPECT_EQ(db.connections().size(), 1U);
}

}  // namespace
}  // namespace sqlane
