#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using Ids = std::vector<int>;

// A database with note 1, and another in a folder of its own with note 100, for
// reads that the first cannot serve.
class Fallback : public ::testing::Test {
 protected:
  Fallback() {
    ForeignConnection(path).run("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1)");
    ForeignConnection(replica).run("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (100)");
  }

  [[nodiscard]] Options options() const { return {.readers = 1, .acquire_timeout = 0ms, .fallback = replica}; }
  void open() { open(options()); }
  void open(const Options& options) {
    db.reset();  // all of one file share their options
    db.emplace(Database::open(path, options));
  }
  // Where no reader is free.
  template <class Action>
  void while_exhausted(Action&& action) {
    const Snapshot held = db->snapshot();
    action();
  }
  [[nodiscard]] Ids ids() const { return db->query<int>("SELECT id FROM note"); }
  [[nodiscard]] std::uint64_t fallback_reads() const { return db->stats().fallback_reads; }

  TemporaryFolder folder;
  TemporaryFolder elsewhere;
  std::filesystem::path path = folder / "app.db";
  std::filesystem::path replica = elsewhere / "replica.db";
  std::optional<Database> db;
};

// When it is asked

TEST_F(Fallback, ServesReadsThatFindNoReaderInTime) {
  open();
  while_exhausted([&] {
    EXPECT_EQ(ids(), Ids{100});
    EXPECT_EQ(db->query_one<int>("SELECT id FROM note"), 100);
    EXPECT_EQ(db->query_optional<int>("SELECT id FROM note"), 100);
    EXPECT_EQ(db->read([](const Snapshot& s) { return s.query_one<int>("SELECT id FROM note"); }), 100);
    EXPECT_EQ(db->snapshot().query_one<int>("SELECT id FROM note"), 100);
  });
  EXPECT_EQ(fallback_reads(), 5U);
  EXPECT_EQ(db->stats().readers.fallbacks, 5U);
  EXPECT_EQ(db->stats().readers.timeouts, 5U);
  EXPECT_EQ(db->stats().readers.acquires, 1U) << "they were not lent by the readers' pool";
  EXPECT_EQ(db->stats().readers.created, 1U);
  EXPECT_EQ(ids(), Ids{1}) << "a reader is free again";
  EXPECT_EQ(fallback_reads(), 5U);
}

TEST_F(Fallback, ServesReadsWhereNoReaderCanBeOpened) {
  open();
  const std::filesystem::path moved = folder / "moved.db";
  std::filesystem::rename(path, moved);
  EXPECT_EQ(ids(), Ids{100});
  EXPECT_EQ(fallback_reads(), 1U);
  EXPECT_EQ(db->stats().readers.failed_creations, 1U);
  std::filesystem::rename(moved, path);
  EXPECT_EQ(ids(), Ids{1});
}

TEST_F(Fallback, ServesReadsWhileOpeningReadersIsNotTriedAnyMore) {
  Options options = Fallback::options();
  options.upkeep.breaker = Breaker{.failures = 1, .open_for = 1h};
  open(options);
  db->execute("CREATE TABLE more (a)");  // has a log now
  std::filesystem::rename(testing::beside(path, "-wal"), folder / "moved");
  EXPECT_EQ(ids(), Ids{100});
  EXPECT_EQ(ids(), Ids{100});
  EXPECT_EQ(db->stats().readers.failed_creations, 1U);
  EXPECT_EQ(db->stats().readers.refused_creations, 1U);
  EXPECT_EQ(fallback_reads(), 2U);
}

TEST_F(Fallback, IsNotOpenedBeforeItIsNeeded) {
  Options options = Fallback::options();
  options.fallback = elsewhere / "missing.db";
  options.upkeep.min_idle = 1;
  options.upkeep.warm_up = WarmUp::at_start;
  open(options);
  EXPECT_EQ(ids(), Ids{1});
  EXPECT_EQ(fallback_reads(), 0U);
}

// When it is not

TEST_F(Fallback, IsNoPlaceToWrite) {
  open();
  const Transaction held = db->begin();
  std::jthread([&] {
    EXPECT_THROW(db->execute("INSERT INTO note VALUES (2)"), TimeoutError);
    EXPECT_THROW(static_cast<void>(db->begin()), TimeoutError);
  }).join();
  EXPECT_EQ(fallback_reads(), 0U);
}

TEST_F(Fallback, RefusesStatementsThatWrite) {
  open();
  while_exhausted([&] {
    EXPECT_THROW(static_cast<void>(db->query<int>(runtime_sql("DELETE FROM note RETURNING id"))), ReadOnlyError);
  });
}

TEST_F(Fallback, IsNoneForADatabaseThatIsDrainedOrClosed) {
  open();
  EXPECT_TRUE(db->drain(0ms).empty());
  EXPECT_THROW(static_cast<void>(ids()), ClosedError);
  EXPECT_EQ(fallback_reads(), 0U);
  db->close();
  EXPECT_THROW(static_cast<void>(ids()), ClosedError);
}

TEST_F(Fallback, IsNoneForACallThatIsStopped) {
  open();
  std::stop_source stop;
  stop.request_stop();
  while_exhausted([&] {
    EXPECT_THROW(static_cast<void>(db->snapshot({.stop = stop.get_token()})), InterruptedError);
    EXPECT_THROW(db->read({.stop = stop.get_token()}, [](const Snapshot&) {}), InterruptedError);
  });
  EXPECT_EQ(fallback_reads(), 0U);
}

TEST_F(Fallback, IsNoneForAReadThatFailsItself) {
  open();
  EXPECT_THROW(static_cast<void>(db->query<int>("SELECT id FROM nowhere")), SchemaError);
  EXPECT_THROW(static_cast<void>(db->query_one<int>("SELECT id FROM note WHERE id = 2")), NoRowError);
  EXPECT_EQ(fallback_reads(), 0U);
}

TEST_F(Fallback, IsForADatabaseInAFile) {
  EXPECT_THROW(static_cast<void>(Database::in_memory({.fallback = replica})), UsageError);
  EXPECT_THROW(static_cast<void>(Database::in_memory("name", {.fallback = replica})), UsageError);
}

// Its file

TEST_F(Fallback, LeavesItsFileAsItIs) {
  const auto before = testing::contents_of(elsewhere.path());
  const std::size_t files = testing::count_open_files();
  open();
  while_exhausted([&] { EXPECT_EQ(ids(), Ids{100}); });
  db->close();
  EXPECT_EQ(testing::contents_of(elsewhere.path()), before) << "nor is anything beside it";
  EXPECT_EQ(testing::count_open_files(), files);
}

TEST_F(Fallback, LeavesAFileWithALogAsItIs) {
  ForeignConnection(replica).run("PRAGMA journal_mode=WAL; INSERT INTO note VALUES (101)");
  const std::string before = bytes_of(replica);
  open();
  while_exhausted([&] { EXPECT_EQ(ids(), (Ids{100, 101})); });
  db->close();
  EXPECT_EQ(bytes_of(replica), before);
  EXPECT_EQ(ForeignConnection(replica).ask("PRAGMA integrity_check"), "ok");
}

// The replica's own program goes on writing.
TEST_F(Fallback, SeesWhatOthersWriteToIt) {
  ForeignConnection other(replica);
  other.run("PRAGMA journal_mode=WAL");
  open();
  for (int id = 101; id < 104; ++id) {
    other.run("INSERT INTO note VALUES (" + std::to_string(id) + ")");
    while_exhausted([&] { EXPECT_EQ(db->query_one<int>("SELECT max(id) FROM note"), id); });
  }
}

// Where it is no help either

TEST_F(Fallback, LeavesTheFirstErrorWhenItCannotBeOpened) {
  const std::filesystem::path missing = elsewhere / "missing.db";
  const std::filesystem::path broken = elsewhere / "broken.db";
  testing::write_bytes(broken, std::string(5000, 'x'));
  for (const std::filesystem::path& useless : {missing, broken, elsewhere.path()}) {
    SCOPED_TRACE(useless);
    Options options = Fallback::options();
    options.fallback = useless;
    open(options);
    while_exhausted([&] {
      const TimeoutError error = error_of<TimeoutError>([&] { static_cast<void>(ids()); });
      EXPECT_TRUE(mentions(error, "fallback_test.cpp")) << error.what();
    });
    EXPECT_EQ(fallback_reads(), 0U);
    EXPECT_EQ(ids(), Ids{1});
    db.reset();
  }
  EXPECT_FALSE(std::filesystem::exists(missing));
}

TEST_F(Fallback, HasAsManyReadersAsTheDatabase) {
  open();
  while_exhausted([&] {
    const Snapshot other = db->snapshot();
    EXPECT_THROW(static_cast<void>(ids()), TimeoutError);
  });
  EXPECT_EQ(ids(), Ids{1});
}

// Shutdown

TEST_F(Fallback, IsDrainedAsWell) {
  open();
  std::latch held(1);
  std::latch drained(1);
  std::jthread reader([&] {
    while_exhausted([&] {
      const Snapshot other = db->snapshot({"report.cpp", 12, "print_report"});
      held.count_down();
      drained.wait();
      EXPECT_THROW(other.query_one<int>("SELECT id FROM note"), InterruptedError);
    });
  });
  held.wait();
  const std::vector<LeaseReport> overstaying = db->drain(0ms);
  drained.count_down();
  reader.join();
  ASSERT_EQ(overstaying.size(), 2U);
  EXPECT_EQ(overstaying[1].site.to_string(), "report.cpp:12 (print_report)");
}

TEST_F(Fallback, IsWaitedForByClose) {
  const std::size_t files = testing::count_open_files();
  open();
  std::latch held(1);
  std::latch refused(1);
  std::jthread reader([&] {
    auto first = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
    const Snapshot other = db->snapshot({"report.cpp", 12, "print_report"});
    first.reset();
    held.count_down();
    refused.wait();
    EXPECT_EQ(other.query_one<int>("SELECT id FROM note"), 100);
  });
  held.wait();
  const TimeoutError error = error_of<TimeoutError>([&] { db->close(); });
  EXPECT_TRUE(mentions(error, "report.cpp:12 (print_report)")) << error.what();
  refused.count_down();
  reader.join();
  EXPECT_NO_THROW(db->close());
  EXPECT_EQ(testing::count_open_files(), files);
}

TEST_F(Fallback, IsLetGoWithTheDatabaseThoughAGuardLives) {
  open();
  auto held = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  const std::size_t files = testing::count_open_files();
  EXPECT_EQ(ids(), Ids{100});
  EXPECT_GT(testing::count_open_files(), files);
  db.reset();
  EXPECT_EQ(testing::count_open_files(), files);
  EXPECT_EQ(held->query_one<int>("SELECT id FROM note"), 1);
}

TEST_F(Fallback, RefusesToWaitForAGuardOfItsOwnThread) {
  open();
  auto held = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  const Snapshot other = db->snapshot();
  held.reset();
  EXPECT_THROW(static_cast<void>(db->drain(0ms)), UsageError);
  EXPECT_THROW(db->close(), UsageError);
  EXPECT_EQ(other.query_one<int>("SELECT id FROM note"), 100);
}

}  // namespace
}  // namespace sqlane
