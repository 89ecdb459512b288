#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

// Readers of a real file, kept by hand. A file with three notes.
class UpkeepOfReaders : public ::testing::Test {
 protected:
  UpkeepOfReaders() {
    ForeignConnection(path).run("CREATE TABLE note (id INTEGER PRIMARY KEY); INSERT INTO note VALUES (1), (2), (3)");
  }

  void open(Upkeep upkeep, const std::string& warm_up_query = "") {
    upkeep.maintenance = Maintenance::by_hand;
    db.reset();  // all of one file share their options
    db.emplace(Database::open(path, {.readers = 2,
                                     .upkeep = std::move(upkeep),
                                     .warm_up_query = warm_up_query,
                                     .durability = Durability::normal,
                                     .acquire_timeout = 1h}));
  }
  int count() { return db->query_one<int>("SELECT count(*) FROM note"); }

  [[nodiscard]] PoolStatistics readers() const { return db->stats().readers; }
  // Statements, so far.
  [[nodiscard]] std::uint64_t asked_for() const {
    const StatementStatistics statements = db->stats().statements;
    return statements.hits + statements.prepared;
  }
  // The one that is open.
  [[nodiscard]] ResourceReport reader() const {
    const std::vector<ResourceReport> all = db->connections();
    EXPECT_EQ(all.size(), 2U);
    return all.back();
  }
  // Until the only reader is so old, or idle for so long.
  void await_age() const {
    while (reader().age < 2ms) std::this_thread::yield();
  }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  std::optional<Database> db;
};

// What a holder leaves behind

TEST_F(UpkeepOfReaders, EndsRowsThatOutliveTheirSnapshot) {
  open({});
  std::unique_ptr<Rows<int>> rows;
  {
    const Snapshot snapshot = db->snapshot();
    rows.reset(new Rows<int>(snapshot.query<int>("SELECT id FROM note")));
  }
  EXPECT_EQ(readers().cleaned, 1U);
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(rows->begin()); }), "rows have ended"));
  db->execute("DELETE FROM note");
  EXPECT_EQ(count(), 0) << "its snapshot is over as well";
  rows.reset();
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(readers().cleaned, 1U);
  EXPECT_EQ(readers().created, 1U);
  EXPECT_EQ(readers().idle, 1U);
}

TEST_F(UpkeepOfReaders, CountsNothingWhereRowsEndInTheirTime) {
  open({});
  db->read([](const Snapshot& snapshot) {
    for (const int id : snapshot.query<int>("SELECT id FROM note")) {
      if (id == 2) break;
    }
  });
  {
    const Snapshot snapshot = db->snapshot();
    static_cast<void>(snapshot.query_one<int>("SELECT id FROM note"));
  }
  EXPECT_EQ(readers().cleaned, 0U);
}

TEST_F(UpkeepOfReaders, EndsTheSnapshotOfAReadThatFails) {
  open({});
  std::unique_ptr<Rows<int>> rows;
  EXPECT_THROW(db->read([&](const Snapshot& snapshot) {
    rows.reset(new Rows<int>(snapshot.query<int>("SELECT id FROM note")));
    throw std::runtime_error("no more of this");
  }),
               std::runtime_error);
  EXPECT_EQ(readers().cleaned, 1U);
  db->execute("DELETE FROM note");
  EXPECT_EQ(count(), 0);
}

TEST_F(UpkeepOfReaders, LetsNothingBeLeftThatItCouldNotSee) {
  open({});
  const char* const kRefused[] = {
      "PRAGMA cache_size=10",
      "PRAGMA query_only=OFF",
      "PRAGMA temp_store=MEMORY",
      "PRAGMA busy_timeout=1",
      "CREATE TEMP TABLE t (a)",
      "CREATE TEMP VIEW v AS SELECT 1",
      "ATTACH DATABASE ':memory:' AS other",
      "BEGIN",
      "SAVEPOINT s",
      "DELETE FROM note",
  };
  const auto cache_size = [&] { return db->query_one<int>("PRAGMA cache_size"); };
  const int before = cache_size();
  for (const char* sql : kRefused) {
    try {
      db->read([&](const Snapshot& snapshot) { static_cast<void>(snapshot.query<int>(runtime_sql(sql))); });
      ADD_FAILURE() << sql;
    } catch (const UsageError&) {
    } catch (const ReadOnlyError&) {
    }
  }
  EXPECT_EQ(cache_size(), before);
  EXPECT_EQ(readers().created, 1U);
  EXPECT_EQ(count(), 3);
}

// When they are replaced

TEST_F(UpkeepOfReaders, ReplacesAReaderThatWasUsedOften) {
  open({.max_uses = 2});
  count();
  const std::uint64_t first = reader().id;
  EXPECT_EQ(reader().uses, 1U);
  count();
  EXPECT_EQ(readers().closed_for(CloseReason::uses), 1U);
  EXPECT_EQ(readers().total, 0U);
  EXPECT_EQ(count(), 3);
  EXPECT_NE(reader().id, first);
}

TEST_F(UpkeepOfReaders, ReplacesAReaderThatHasGrownOldWhenItIsNextWanted) {
  open({.max_lifetime = 1ms});
  count();
  while (readers().closed_for(CloseReason::age) == 0) EXPECT_EQ(count(), 3);
  EXPECT_EQ(readers().created, 1 + readers().closed_for(CloseReason::age));
}

TEST_F(UpkeepOfReaders, ClosesAReaderThatHasGrownOldIdleOrInUse) {
  open({.max_lifetime = 1ms});
  {
    const Snapshot snapshot = db->snapshot();
    await_age();
    db->maintain_now();
    EXPECT_EQ(readers().in_use, 1U);
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 3) << "nobody takes it away from its holder";
  }
  EXPECT_EQ(readers().closed_for(CloseReason::age), 1U);
  count();
  while (readers().idle > 0) db->maintain_now();
  EXPECT_EQ(readers().closed_for(CloseReason::age), 2U);
}

TEST_F(UpkeepOfReaders, ClosesWhatHasBeenIdleForLongDownToMinIdle) {
  open({.min_idle = 1, .idle_timeout = 1ms});
  {
    const Snapshot one = db->snapshot();
    const Snapshot two = db->snapshot();
  }
  EXPECT_EQ(readers().idle, 2U);
  while (readers().closed_for(CloseReason::idle) == 0) db->maintain_now();
  db->maintain_now();
  await_age();
  db->maintain_now();
  EXPECT_EQ(readers().idle, 1U);
  EXPECT_EQ(readers().closed_for(CloseReason::idle), 1U);
}

TEST_F(UpkeepOfReaders, AsksAReaderWhetherItStillWorksWhereOptionsSaySo) {
  open({.validate_on_acquire = ValidateOnAcquire::always, .validate_on_release = ValidateOnRelease::yes});
  count();
  EXPECT_EQ(readers().validations, 1U) << "a new one is not asked before its first use";
  count();
  EXPECT_EQ(readers().validations, 3U);
  open({.validation_interval = 1ms});
  count();
  EXPECT_EQ(readers().validations, 0U);
  await_age();
  while (readers().validations == 0) db->maintain_now();
  EXPECT_EQ(readers().validations, 1U);
  EXPECT_EQ(readers().created, 1U) << "it did";
}

// Readers that are opened ahead of need

TEST_F(UpkeepOfReaders, OpensThemBeforeTheDatabaseIsThere) {
  open({.min_idle = 2, .warm_up = WarmUp::at_start});
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(readers().idle, 2U);
  EXPECT_EQ(readers().acquires, 0U);
  EXPECT_EQ(db->stats().statements.prepared, 0U);
  ASSERT_EQ(db->connections().size(), 3U);
  EXPECT_EQ(db->connections()[1].uses, 0U);
  count();
  EXPECT_EQ(readers().created, 2U);
}

TEST_F(UpkeepOfReaders, WarmsThemUpWithAQuery) {
  open({.min_idle = 2, .warm_up = WarmUp::at_start}, "SELECT count(*) FROM note");
  EXPECT_EQ(db->stats().statements.prepared, 2U);
  count();
  EXPECT_EQ(db->stats().statements.prepared, 2U);
  EXPECT_EQ(db->stats().statements.hits, 1U);
}

TEST_F(UpkeepOfReaders, OpensThemLaterWhenMaintenanceComes) {
  open({.min_idle = 2}, "SELECT count(*) FROM note");
  EXPECT_EQ(readers().created, 0U);
  db->maintain_now();
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(readers().idle, 2U);
  EXPECT_EQ(db->stats().statements.prepared, 2U);
  const Snapshot held = db->snapshot();
  db->maintain_now();
  EXPECT_EQ(readers().created, 2U) << "there is room for two only";
}

TEST_F(UpkeepOfReaders, RefusesToOpenWhenTheyCannotBeWarmedUp) {
  const std::size_t files = testing::count_open_files();
  const Upkeep upkeep{.min_idle = 1, .warm_up = WarmUp::at_start};
  EXPECT_TRUE(mentions(error_of<Error>([&] { open(upkeep, "SELECT id FROM nowhere"); }), "nowhere"));
  EXPECT_THROW(open(upkeep, "DELETE FROM note"), ReadOnlyError);
  EXPECT_EQ(testing::count_open_files(), files);
  open(upkeep, "SELECT id FROM note");
  EXPECT_EQ(count(), 3);
}

TEST_F(UpkeepOfReaders, GoesOnWithoutThemWhenMaintenanceCannotWarmThemUp) {
  open({.min_idle = 1}, "SELECT id FROM nowhere");
  db->maintain_now();
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 1U);
  EXPECT_EQ(readers().total, 0U);
  EXPECT_EQ(count(), 3);
}

// Those who stay too long

// A thread that reads without end, until it is stopped.
class EndlessReader {
 public:
  explicit EndlessReader(const Database& db)
      : thread_([this, &db] {
          try {
            static_cast<void>(db.read(
                {.stop = stop_.get_token()},
                [](const Snapshot& snapshot) { return snapshot.query_one<std::int64_t>(runtime_sql(kEndless)); },
                {"report.cpp", 12, "print_report"}));
          } catch (const InterruptedError& error) {
            error_ = error.what();
          }
        }) {}
  EndlessReader(const EndlessReader&) = delete;
  EndlessReader& operator=(const EndlessReader&) = delete;
  ~EndlessReader() { stop(); }

  void stop() { stop_.request_stop(); }
  // What it was interrupted with.
  std::string join() {
    thread_.join();
    return error_;
  }

 private:
  std::stop_source stop_;
  std::string error_;
  std::jthread thread_;
};

TEST_F(UpkeepOfReaders, ReportsWhoStaysTooLongWithItsStatementOnce) {
  std::vector<LeaseReport> reports;
  open({.leak_threshold = 1ms, .on_leak = [&](const LeaseReport& report) { reports.push_back(report); }});
  std::optional<EndlessReader> reader;
  do {  // again, where the look came in the moment before its statement ran
    reports.clear();
    const std::uint64_t statements = asked_for();
    reader.emplace(*db);
    while (asked_for() == statements) std::this_thread::yield();
    while (reports.empty()) db->maintain_now();
  } while (reports[0].activity.empty());
  const std::uint64_t leases = readers().acquires;
  for (int i = 0; i < 10; ++i) db->maintain_now();
  reader->stop();
  EXPECT_TRUE(mentions(reader->join(), "a stop was requested"));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].site.to_string(), "report.cpp:12 (print_report)");
  EXPECT_GE(reports[0].held, 1ms);
  EXPECT_EQ(reports[0].activity, kEndless);
  EXPECT_EQ(readers().overstayed, leases);
  EXPECT_EQ(readers().interrupted, 0U);
}

TEST_F(UpkeepOfReaders, ReportsAGuardThatDoesNothingAndEachLeaseAnew) {
  std::vector<LeaseReport> reports;
  open({.leak_threshold = 1ms, .on_leak = [&](const LeaseReport& report) { reports.push_back(report); }});
  for (std::size_t leases = 1; leases <= 2; ++leases) {
    const Snapshot snapshot = db->snapshot();
    while (reports.size() < leases) db->maintain_now();
    db->maintain_now();
    EXPECT_EQ(reports.size(), leases);
    EXPECT_EQ(reports.back().activity, "");
  }
  EXPECT_EQ(readers().overstayed, 2U);
}

TEST_F(UpkeepOfReaders, InterruptsTheStatementOfWhoStaysTooLongAndNoOther) {
  open({.leak_threshold = 1ms, .overstaying = Overstaying::interrupted});
  EndlessReader reader(*db);
  while (asked_for() == 0) std::this_thread::yield();
  while (readers().interrupted == 0) db->maintain_now();
  const std::string error = reader.join();
  EXPECT_TRUE(mentions(error, "interrupted, having held its connection for too long")) << error;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(count(), 3);
  EXPECT_EQ(db->query_one<int>("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
                               "SELECT count(*) FROM n"),
            10'000)
      << "long enough for SQLite to ask";
  EXPECT_EQ(readers().created, 1U) << "on the same connection";
  EXPECT_EQ(readers().interrupted, 1U);
  EXPECT_EQ(readers().overstayed, 1U);
}

TEST_F(UpkeepOfReaders, InterruptsTheNextStatementOfAGuardThatRunsNone) {
  open({.leak_threshold = 1ms, .overstaying = Overstaying::interrupted});
  {
    const Snapshot snapshot = db->snapshot();
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 3);
    while (readers().interrupted == 0) db->maintain_now();
    EXPECT_THROW(snapshot.query_one<int>("SELECT count(*) FROM note"), InterruptedError);
  }
  const Snapshot next = db->snapshot();
  EXPECT_EQ(next.query_one<int>("SELECT count(*) FROM note"), 3);
  EXPECT_EQ(readers().created, 1U);
}

// What one connection was asked to do does not pass to the one that takes its place.
TEST_F(UpkeepOfReaders, InterruptsNoConnectionThatComesAfterwards) {
  open({.min_idle = 1, .max_uses = 1, .leak_threshold = 1ms, .overstaying = Overstaying::interrupted},
       "SELECT count(*) FROM note");
  {
    const Snapshot snapshot = db->snapshot();
    while (readers().interrupted == 0) db->maintain_now();
  }
  while (readers().idle > 0) count();
  db->maintain_now();
  EXPECT_EQ(readers().idle, 1U);
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 0U) << "its successor could not be warmed up";
}

}  // namespace
}  // namespace sqlane
