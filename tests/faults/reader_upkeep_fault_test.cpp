#include <chrono>
#include <filesystem>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::Call;
using testing::error_of;
using testing::FaultInjection;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;
using Reasons = std::vector<std::string>;

// Readers that fail, and what becomes of them.
class ReaderFaults : public ::testing::Test {
 protected:
  ReaderFaults() { ForeignConnection(path).run("CREATE TABLE note (id INTEGER PRIMARY KEY)"); }

  void open(Upkeep upkeep) {
    upkeep.maintenance = Maintenance::by_hand;
    db.emplace(Database::open(
        path, {.readers = 1, .upkeep = std::move(upkeep), .durability = Durability::normal, .acquire_timeout = 0ms}));
  }
  int count() { return db->query_one<int>("SELECT count(*) FROM note"); }
  void fail_with(int code) {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT count", .code = code});
    EXPECT_THROW(count(), Error) << code;
    EXPECT_EQ(fault.failures(), 1);
  }

  [[nodiscard]] PoolStatistics readers() const { return db->stats().readers; }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "app.db";
  std::optional<Database> db;
};

// While reading

TEST_F(ReaderFaults, ReplaceAReaderAfterAsManyErrorsAsTheOptionsSay) {
  open({.max_errors = 2});
  fail_with(SQLITE_IOERR_READ);
  ASSERT_EQ(db->connections().size(), 2U);
  EXPECT_EQ(db->connections()[1].errors, 1U);
  EXPECT_EQ(db->stats().errors, 1U);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(readers().created, 1U);
  fail_with(SQLITE_CORRUPT);
  EXPECT_EQ(readers().closed_for(CloseReason::errors), 1U);
  EXPECT_EQ(db->connections().size(), 1U);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(db->connections()[1].errors, 0U);
  EXPECT_EQ(db->stats().errors, 2U) << "errors outlive their connection";
}

TEST_F(ReaderFaults, CountErrorsAlsoWhereTheReaderIsKept) {
  open({});
  for (std::uint64_t errors = 1; errors <= 3; ++errors) {
    fail_with(SQLITE_IOERR_READ);
    EXPECT_EQ(db->connections()[1].errors, errors);
  }
  EXPECT_EQ(readers().created, 1U);
}

TEST_F(ReaderFaults, HoldAgainstAReaderOnlyWhatSpeaksAgainstIt) {
  open({.max_errors = 1});
  for (const int code : {SQLITE_BUSY, SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_TOOBIG, SQLITE_FULL}) fail_with(code);
  EXPECT_EQ(readers().created, 1U);
  EXPECT_EQ(db->connections()[1].errors, 0U);
  EXPECT_EQ(db->stats().errors, 5U);
  for (const int code : {SQLITE_IOERR_READ, SQLITE_CORRUPT, SQLITE_NOMEM}) {
    const std::uint64_t closed = readers().closed_for(CloseReason::errors);
    fail_with(code);
    EXPECT_EQ(readers().closed_for(CloseReason::errors), closed + 1) << code;
  }
}

TEST_F(ReaderFaults, ReplaceABrokenReaderAtOnce) {
  open({});
  {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT count", .code = SQLITE_CANTOPEN});
    EXPECT_EQ(count(), 0) << "on the next one";
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_EQ(readers().closed_for(CloseReason::broken), 1U);
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(readers().cleaned, 1U);
}

// When they are asked whether they still work

TEST_F(ReaderFaults, ReplaceAReaderThatDoesNotAnswerBeforeItIsLent) {
  open({.validate_on_acquire = ValidateOnAcquire::always});
  count();
  const FaultInjection fault({.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = SQLITE_IOERR_READ});
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 1U);
  EXPECT_EQ(readers().created, 2U);
  EXPECT_EQ(readers().acquires, 2U);
  EXPECT_EQ(readers().validations, 1U);
}

TEST_F(ReaderFaults, ReplaceAReaderThatDoesNotAnswerWhenItComesBack) {
  open({.validate_on_release = ValidateOnRelease::yes});
  {
    const Snapshot snapshot = db->snapshot();
    const FaultInjection fault({.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = SQLITE_IOERR_READ});
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 0);
    EXPECT_EQ(fault.failures(), 0);
  }
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 0U);
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  const FaultInjection fault({.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = SQLITE_IOERR_READ});
  snapshot.reset();
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 1U);
}

// While they are opened

TEST_F(ReaderFaults, TryNoMoreForAWhileAfterSoManyFailures) {
  open({.breaker = Breaker{.failures = 2, .open_for = 1h}});
  const FaultInjection fault({.call = Call::open, .sql = "app.db", .code = SQLITE_CANTOPEN, .times = -1});
  for (int i = 0; i < 5; ++i) EXPECT_THROW(count(), OpenError);
  EXPECT_EQ(fault.failures(), 2);
  EXPECT_EQ(readers().failed_creations, 2U);
  EXPECT_EQ(readers().refused_creations, 3U);
  EXPECT_EQ(readers().acquires, 0U);
  EXPECT_EQ(readers().created, 0U);
  const OpenError error = error_of<OpenError>([&] { count(); });
  EXPECT_TRUE(error.is_retryable());
  EXPECT_TRUE(mentions(error, "has failed too often")) << error.what();
  EXPECT_NO_THROW(db->execute("INSERT INTO note VALUES (1)")) << "the writer is there already";
}

TEST_F(ReaderFaults, TryAgainAfterThatWhile) {
  open({.breaker = Breaker{.failures = 1, .open_for = 1ms}});
  {
    const FaultInjection fault({.call = Call::open, .sql = "app.db", .code = SQLITE_CANTOPEN, .times = -1});
    EXPECT_THROW(count(), OpenError);
    while (fault.failures() < 2) EXPECT_THROW(count(), OpenError) << "one try, that fails as well";
  }
  bool works = false;
  while (!works) {
    try {
      works = count() == 0;
    } catch (const OpenError&) {  // the while is not over
    }
  }
  EXPECT_EQ(readers().created, 1U);
  EXPECT_EQ(readers().failed_creations, 2U);
}

TEST_F(ReaderFaults, LeaveTheDatabaseWithoutReadersThatAreWarmedUp) {
  const FaultInjection fault({.call = Call::step, .sql = "sum(id)", .code = SQLITE_IOERR_READ, .times = 1});
  const Options options{.readers = 2,
                        .upkeep = {.min_idle = 2, .maintenance = Maintenance::by_hand},
                        .warm_up_query = "SELECT sum(id) FROM note"};
  db.emplace(Database::open(path, options));
  db->maintain_now();
  EXPECT_EQ(readers().closed_for(CloseReason::invalid), 1U);
  EXPECT_EQ(readers().idle, 0U);
  db->maintain_now();
  EXPECT_EQ(readers().idle, 2U) << "the next maintenance tries again";
}

// What health() says of them

TEST_F(ReaderFaults, MakeTheDatabaseUnhealthyUntilReadersCanBeOpenedAgain) {
  open({.breaker = Breaker{.failures = 1, .open_for = 1ms}});
  {
    const FaultInjection fault({.call = Call::open, .sql = "app.db", .code = SQLITE_CANTOPEN, .times = -1});
    const Health health = db->health();
    EXPECT_EQ(health.verdict, Verdict::unhealthy);
    EXPECT_EQ(health.reasons, Reasons{"readers cannot be opened"});
    EXPECT_TRUE(mentions(health.last_error, "cannot open")) << health.last_error;
  }
  Health health = db->health();
  while (!health.is_healthy()) health = db->health();
  EXPECT_TRUE(health.reasons.empty());
  EXPECT_NE(health.last_error, "");
  EXPECT_EQ(count(), 0);
}

TEST_F(ReaderFaults, AreSeenByAHealthCheckThatReplacesTheReader) {
  open({});
  count();
  {
    // The writer is asked before.
    const FaultInjection fault(
        {.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = SQLITE_IOERR, .skip = 1});
    const Health health = db->health();
    EXPECT_EQ(fault.failures(), 1);
    EXPECT_EQ(health.verdict, Verdict::unhealthy);
    EXPECT_EQ(health.reasons, Reasons{"a reader did not answer, and was replaced"});
  }
  EXPECT_EQ(readers().closed_for(CloseReason::broken), 1U);
  EXPECT_TRUE(db->health().is_healthy());
  EXPECT_EQ(readers().created, 2U);
}

TEST_F(ReaderFaults, OfTheWriterAreSeenByAHealthCheck) {
  open({});
  count();
  {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = SQLITE_IOERR});
    const Health health = db->health();
    EXPECT_EQ(health.verdict, Verdict::unhealthy);
    EXPECT_EQ(health.reasons, Reasons{"the writer cannot read the database, and is opened anew"});
  }
  EXPECT_TRUE(db->health().is_healthy());
}

// What is counted

TEST_F(ReaderFaults, LeaveTheCountersOfTheWriterThatIsReplaced) {
  open({});
  const auto insert = [&] { db->execute("INSERT INTO note VALUES (NULL)"); };
  insert();
  insert();
  const DatabaseStatistics before = db->stats();
  {
    const FaultInjection fault({.call = Call::step, .sql = "INSERT", .code = SQLITE_CANTOPEN});
    EXPECT_THROW(insert(), IoError);
  }
  EXPECT_EQ(db->stats().errors, before.errors + 1);
  insert();
  const DatabaseStatistics after = db->stats();
  EXPECT_EQ(after.lane.jobs, before.lane.jobs + 1);
  EXPECT_EQ(after.lane.commits, before.lane.commits + 1);
  EXPECT_EQ(after.statements.hits, before.statements.hits + 1) << "of the try that failed";
  EXPECT_EQ(after.statements.prepared, before.statements.prepared + 1) << "on the new connection";
  EXPECT_EQ(db->connections()[0].id, 2U);
}

}  // namespace
}  // namespace sqlane
