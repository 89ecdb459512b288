#include <chrono>
#include <filesystem>
#include <map>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/lane_queue.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::Call;
using testing::Effect;
using testing::error_of;
using testing::Fault;
using testing::FaultInjection;
using testing::handles;
using testing::LaneQueue;
using testing::TemporaryFolder;

// The errors that only a new connection leaves behind.
struct Code {
  const char* name;
  int value;
};
std::ostream& operator<<(std::ostream& out, const Code& code) { return out << code.name; }

constexpr Code kCodes[] = {{"LockedSharedCache", SQLITE_LOCKED_SHAREDCACHE},
                           {"Protocol", SQLITE_PROTOCOL},
                           {"IoLock", SQLITE_IOERR_LOCK},
                           {"IoReadLock", SQLITE_IOERR_RDLOCK},
                           {"IoUnlock", SQLITE_IOERR_UNLOCK},
                           {"IoCheckReservedLock", SQLITE_IOERR_CHECKRESERVEDLOCK},
                           {"IoBlocked", SQLITE_IOERR_BLOCKED},
                           {"IoShmOpen", SQLITE_IOERR_SHMOPEN},
                           {"IoShmSize", SQLITE_IOERR_SHMSIZE},
                           {"IoShmLock", SQLITE_IOERR_SHMLOCK},
                           {"IoShmMap", SQLITE_IOERR_SHMMAP},
                           {"CannotOpen", SQLITE_CANTOPEN},
                           {"NotADatabase", SQLITE_NOTADB}};

// They are tried on one code each where all go the same way.
constexpr int kLock = SQLITE_IOERR_LOCK;

class ReconnectTest : public ::testing::TestWithParam<Code> {
 protected:
  ReconnectTest() {
    db.execute("CREATE TABLE note (title TEXT)");
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.execute("CREATE TABLE child (parent INTEGER REFERENCES parent)");
    static_cast<void>(titles());  // opens the reader
    opened_before = handles().connections_opened;
  }

  using Titles = std::vector<std::string>;
  Titles titles() { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }
  static void insert(Transaction& tx, const std::string& title) { tx.execute("INSERT INTO note VALUES (?)", title); }
  // The one that a fault can be meant for.
  static void insert_culprit(Transaction& tx) { tx.execute("INSERT INTO note VALUES ('culprit')"); }

  [[nodiscard]] long reopened() const { return handles().connections_opened - opened_before; }

  static Fault at_begin(int code, int times = 1) {
    return {.call = Call::step, .sql = "BEGIN IMMEDIATE", .code = code, .times = times};
  }
  static Fault at_culprit(int code, int times = 1, Effect effect = Effect::instead) {
    return {.call = Call::step, .sql = "'culprit'", .code = code, .times = times, .effect = effect};
  }

  TemporaryFolder folder;
  Database db = Database::open(
      folder / "app.db",
      {.readers = 1, .acquire_timeout = 1h, .busy_timeout = 0ms, .page_cache = 16U << 10U, .batch = {.run_time = 1h}});
  long opened_before = 0;
};

class Reconnect : public ReconnectTest {};

INSTANTIATE_TEST_SUITE_P(All, Reconnect, ::testing::ValuesIn(kCodes),
                         [](const ::testing::TestParamInfo<Code>& tested) { return std::string(tested.param.name); });

// Before the closure has begun

TEST_P(Reconnect, TriesBeginAgainOnANewConnectionAndRunsTheJobOnce) {
  const FaultInjection fault(at_begin(GetParam().value));
  int runs = 0;
  int committed = 0;
  const int result = db.write([&](Transaction& tx) {
    ++runs;
    tx.on_commit([&]() noexcept { ++committed; });
    insert(tx, "kept");
    return 7;
  });
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(result, 7);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(committed, 1);
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_P(Reconnect, GivesUpWhenTheThirdConnectionCannotBeginEither) {
  int runs = 0;
  {
    const FaultInjection fault(at_begin(GetParam().value, -1));
    const Error error = error_of<Error>([&] { db.write({.retry = Retry::safe}, [&](Transaction&) { ++runs; }); });
    EXPECT_EQ(error.extended_code(), GetParam().value);
    EXPECT_EQ(fault.failures(), 3);
    EXPECT_EQ(reopened(), 2);
  }
  EXPECT_EQ(runs, 0);
  db.write([](Transaction& tx) { insert(tx, "kept"); });
  EXPECT_EQ(reopened(), 3);
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_P(Reconnect, GivesAGuardANewConnectionToBeginOn) {
  const FaultInjection fault(at_begin(GetParam().value));
  Transaction tx = db.begin();
  EXPECT_EQ(fault.failures(), 1);
  insert(tx, "kept");
  tx.commit();
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), Titles{"kept"});
}

// In the middle of a closure

TEST_P(Reconnect, TellsTheCallerOfAClosureThatHasRunAndGivesTheNextWriteANewConnection) {
  int runs = 0;
  int rolled_back = 0;
  {
    const FaultInjection fault(at_culprit(GetParam().value));
    const auto job = [&](Transaction& tx) {
      ++runs;
      tx.on_rollback([&]() noexcept { ++rolled_back; });
      insert(tx, "undone");
      insert_culprit(tx);
    };
    EXPECT_EQ(error_of<Error>([&] { db.write(job); }).extended_code(), GetParam().value);
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(rolled_back, 1);
  db.write([](Transaction& tx) { insert(tx, "kept"); });
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_P(Reconnect, RunsAClosureAgainThatMayBeAndDropsTheCallbacksOfTheAttemptThatFailed) {
  const FaultInjection fault(at_culprit(GetParam().value));
  std::vector<std::string> calls;
  int runs = 0;
  const int result = db.write({.retry = Retry::safe}, [&](Transaction& tx) {
    const std::string run = std::to_string(++runs);
    tx.on_commit([&calls, run]() noexcept { calls.push_back("commit " + run); });
    tx.on_rollback([&calls, run]() noexcept { calls.push_back("rollback " + run); });
    insert(tx, "kept");
    insert_culprit(tx);
    return runs;
  });
  EXPECT_EQ(result, 2);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(calls, std::vector<std::string>{"commit 2"});
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), (Titles{"kept", "culprit"}));
}

TEST_P(Reconnect, RunsAClosureThreeTimesAtMost) {
  int runs = 0;
  int rolled_back = 0;
  {
    const FaultInjection fault(at_culprit(GetParam().value, -1));
    const auto job = [&](Transaction& tx) {
      ++runs;
      tx.on_rollback([&]() noexcept { ++rolled_back; });
      insert(tx, "undone");
      insert_culprit(tx);
    };
    EXPECT_EQ(error_of<Error>([&] { db.write({.retry = Retry::safe}, job); }).extended_code(), GetParam().value);
  }
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(rolled_back, 1) << "only those of the last attempt";
  EXPECT_EQ(titles(), Titles());
}

// A commit

TEST_P(Reconnect, NeverTriesACommitOfUnknownOutcomeAgain) {
  int runs = 0;
  {
    const FaultInjection fault(
        {.call = Call::step, .sql = "COMMIT", .code = GetParam().value, .effect = Effect::after});
    const auto job = [&](Transaction& tx) {
      ++runs;
      insert(tx, "perhaps");
    };
    EXPECT_FALSE(error_of<CommitOutcomeUnknown>([&] { db.write({.retry = Retry::safe}, job); }).is_retryable());
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_EQ(runs, 1);
  db.write([](Transaction& tx) { insert(tx, "kept"); });
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), (Titles{"perhaps", "kept"}));
}

// The same error that would be worth another try, but from outside: a job that
// writes to another database, whose commit has an unknown outcome.
TEST_F(ReconnectTest, DoesNotRunAClosureAgainThatThrowsSomebodyElsesUnknownOutcome) {
  int runs = 0;
  const auto job = [&](Transaction&) {
    ++runs;
    throw CommitOutcomeUnknown("elsewhere", {.code = SQLITE_IOERR, .extended_code = kLock});
  };
  EXPECT_THROW(db.write({.retry = Retry::safe}, job), CommitOutcomeUnknown);
  EXPECT_EQ(runs, 1);
}

TEST_F(ReconnectTest, DoesNotRunAClosureAgainAfterAnyOtherError) {
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_BUSY, SQLITE_CORRUPT}) {
    int runs = 0;
    const FaultInjection fault(at_culprit(code));
    const auto job = [&](Transaction& tx) {
      ++runs;
      insert_culprit(tx);
    };
    EXPECT_THROW(db.write({.retry = Retry::safe}, job), Error) << "code " << code;
    EXPECT_EQ(runs, 1) << "code " << code;
  }
  EXPECT_EQ(reopened(), 0);
}

// Settings

TEST_F(ReconnectTest, GivesTheNewConnectionAllSettings) {
  const auto settings = [](Transaction& tx) {
    return std::vector{tx.query_one<int>("PRAGMA foreign_keys"), tx.query_one<int>("PRAGMA synchronous"),
                       tx.query_one<int>("PRAGMA cell_size_check"), tx.query_one<int>("PRAGMA cache_size"),
                       tx.query_one<int>("PRAGMA mmap_size")};
  };
  const std::vector<int> before = db.write(settings);
  {
    const FaultInjection fault(at_begin(kLock));
    EXPECT_EQ(db.write(settings), before);
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_EQ(before, (std::vector{1, 2, 1, -16, 0}));
  EXPECT_THROW(db.execute("INSERT INTO child VALUES (7)"), ConstraintError);
  // Refused by the authorizer alone: the compiler sees no more than a PRAGMA.
  EXPECT_THROW(db.execute("PRAGMA synchronous=OFF"), UsageError);
  EXPECT_THROW(db.execute("CREATE TEMP TABLE t (i)"), UsageError);
  // With cache_spill=ON a transaction of this size could not undo a savepoint.
  db.write([](Transaction& tx) {
    {
      const Savepoint undone = tx.savepoint();
      tx.execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
          "INSERT INTO note SELECT 'a long title number ' || i FROM n");
    }
    insert(tx, "kept");
  });
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), Titles{"kept"});
}

// Batches

class ReconnectInABatch : public ReconnectTest {
 protected:
  // What became of one job of the queue.
  struct Outcome {
    int runs = 0;
    std::string error;  // none: committed
    std::vector<std::string> calls;
  };

  template <class Body>
  void add(LaneQueue& queue, const std::string& title, WriteOptions options, Body body) {
    Outcome& outcome = outcomes[title];
    queue.add([this, &outcome, options = std::move(options), body] {
      try {
        db.write(options, [&](Transaction& tx) {
          ++outcome.runs;
          tx.on_commit([&]() noexcept { outcome.calls.emplace_back("commit"); });
          tx.on_rollback([&]() noexcept { outcome.calls.emplace_back("rollback"); });
          body(tx);
        });
      } catch (const TransactionAborted& error) {
        outcome.error = error.is_retryable() ? "aborted" : "aborted for good";
      } catch (const IoError&) {
        outcome.error = "I/O";
      } catch (const std::exception& error) {
        outcome.error = error.what();
      }
    });
  }
  void add(LaneQueue& queue, const std::string& title, WriteOptions options = {}) {
    add(queue, title, std::move(options), [title](Transaction& tx) { insert(tx, title); });
  }
  void add_culprit(LaneQueue& queue, WriteOptions options = {}) {
    add(queue, "culprit", std::move(options), [](Transaction& tx) { insert_culprit(tx); });
  }

  void expect(const std::string& title, int runs, const std::string& error) {
    const Outcome& outcome = outcomes[title];
    EXPECT_EQ(outcome.runs, runs) << title;
    EXPECT_EQ(outcome.error, error) << title;
    EXPECT_EQ(outcome.calls, std::vector<std::string>{error.empty() ? "commit" : "rollback"}) << title;
  }

  std::map<std::string, Outcome> outcomes;
};

TEST_F(ReconnectInABatch, KeepsTheNeighboursOfOneThatFailsAloneAndRunsThemOnce) {
  LaneQueue queue(db);
  add(queue, "before", {.retry = Retry::safe});
  add_culprit(queue);
  add(queue, "behind");
  const FaultInjection fault(at_culprit(kLock));
  queue.run();
  expect("before", 1, "");
  expect("culprit", 1, "I/O");
  expect("behind", 1, "");
  EXPECT_EQ(titles(), (Titles{"before", "behind"}));
}

TEST_F(ReconnectInABatch, RunsOneThatFailsAloneAgainAfterTheCommitOfTheOthers) {
  LaneQueue queue(db);
  add(queue, "before");
  add_culprit(queue, {.retry = Retry::safe});
  add(queue, "behind");
  const FaultInjection fault(at_culprit(kLock));
  queue.run();
  expect("before", 1, "");
  expect("culprit", 2, "");
  expect("behind", 1, "");
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), (Titles{"before", "culprit", "behind"}));
}

TEST_F(ReconnectInABatch, RunsTheNeighboursAgainThatWereLostAndMayBeAndTellsTheOthers) {
  LaneQueue queue(db);
  add(queue, "safe", {.retry = Retry::safe});
  add(queue, "unsafe");
  add(queue, "also safe", {.retry = Retry::safe});
  add_culprit(queue, {.retry = Retry::safe});
  add(queue, "behind");
  const FaultInjection fault(at_culprit(kLock, 1, Effect::engine_rolls_back));
  queue.run();
  expect("safe", 2, "");
  expect("unsafe", 1, "aborted");
  expect("also safe", 2, "");
  expect("culprit", 2, "");
  expect("behind", 1, "");
  EXPECT_EQ(reopened(), 1);
  EXPECT_EQ(titles(), (Titles{"safe", "also safe", "culprit", "behind"}));
}

TEST_F(ReconnectInABatch, RunsTheNeighboursAgainThoughTheCulpritMayNotBe) {
  LaneQueue queue(db);
  add(queue, "safe", {.retry = Retry::safe});
  add(queue, "unsafe");
  add_culprit(queue);
  add(queue, "behind");
  const FaultInjection fault(at_culprit(kLock, 1, Effect::engine_rolls_back));
  queue.run();
  expect("safe", 2, "");
  expect("unsafe", 1, "aborted");
  expect("culprit", 1, "I/O");
  expect("behind", 1, "");
  EXPECT_EQ(titles(), (Titles{"safe", "behind"}));
}

TEST_F(ReconnectInABatch, GivesUpOnAllWhenTheCulpritNeverSucceeds) {
  LaneQueue queue(db);
  add(queue, "safe", {.retry = Retry::safe});
  add_culprit(queue, {.retry = Retry::safe});
  add(queue, "behind");
  {
    const FaultInjection fault(at_culprit(kLock, -1, Effect::engine_rolls_back));
    queue.run();
  }
  EXPECT_EQ(outcomes["culprit"].runs, 3);
  EXPECT_EQ(outcomes["culprit"].error, "I/O");
  EXPECT_LE(outcomes["safe"].runs, 3);
  expect("behind", 1, "");
  Titles expected;
  if (outcomes["safe"].error.empty()) expected.emplace_back("safe");
  expected.emplace_back("behind");
  EXPECT_EQ(titles(), expected) << "whoever was told of a commit is there, and nobody else";
}

TEST_F(ReconnectInABatch, TellsEachWhenTheNewConnectionCannotBeOpened) {
  LaneQueue queue(db);
  add(queue, "safe", {.retry = Retry::safe});
  add_culprit(queue, {.retry = Retry::safe});
  {
    const FaultInjection fault(at_culprit(kLock, 1, Effect::engine_rolls_back));
    // The file is away for as long as the new connection is looked for.
    std::filesystem::rename(folder / "app.db", folder / "away.db");
    queue.run();
    std::filesystem::rename(folder / "away.db", folder / "app.db");
  }
  EXPECT_NE(outcomes["safe"].error, "");
  EXPECT_NE(outcomes["culprit"].error, "");
  EXPECT_EQ(titles(), Titles());
  db.write([](Transaction& tx) { insert(tx, "kept"); });
  EXPECT_EQ(titles(), Titles{"kept"});
}

TEST_F(ReconnectInABatch, TellsAllOfAnUnknownOutcomeAndRunsNoneAgain) {
  LaneQueue queue(db);
  add(queue, "a", {.retry = Retry::safe});
  add(queue, "b", {.retry = Retry::safe});
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = kLock, .effect = Effect::after});
    queue.run();
  }
  for (const char* title : {"a", "b"}) {
    EXPECT_EQ(outcomes[title].runs, 1) << title;
    EXPECT_NE(outcomes[title].error, "") << title;
    EXPECT_TRUE(outcomes[title].calls.empty()) << title;
  }
}

// Readers

TEST_P(Reconnect, RetiresAReaderAndReadsOnANewOne) {
  const long closed_before = handles().connections_closed;
  const FaultInjection fault({.call = Call::step, .sql = "SELECT title", .code = GetParam().value});
  EXPECT_EQ(titles(), Titles());
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(handles().connections_closed, closed_before + 1);
  EXPECT_EQ(reopened(), 1);
}

TEST_P(Reconnect, GivesUpReadingAfterThreeReaders) {
  const FaultInjection fault({.call = Call::step, .sql = "SELECT title", .code = GetParam().value, .times = -1});
  EXPECT_EQ(error_of<Error>([&] { static_cast<void>(titles()); }).extended_code(), GetParam().value);
  EXPECT_EQ(fault.failures(), 3);
}

TEST_P(Reconnect, TellsAReadClosureAndGivesTheNextOneANewReader) {
  int runs = 0;
  const auto job = [&](const Snapshot& snapshot) {
    ++runs;
    return snapshot.query_optional<std::string>("SELECT title FROM note ORDER BY title");
  };
  {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT title", .code = GetParam().value});
    EXPECT_EQ(error_of<Error>([&] { static_cast<void>(db.read(job)); }).extended_code(), GetParam().value);
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(db.read(job), std::nullopt);
  EXPECT_EQ(reopened(), 1);
}

TEST_P(Reconnect, BeginsASnapshotOnANewReader) {
  const FaultInjection fault({.call = Call::step, .sql = "SELECT 1 FROM sqlite_master", .code = GetParam().value});
  const Snapshot snapshot = db.snapshot();
  EXPECT_EQ(fault.failures(), 1);
  EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 0);
  EXPECT_EQ(reopened(), 1);
}

TEST_F(ReconnectTest, KeepsAReaderAfterAnyOtherError) {
  for (const int code : {SQLITE_IOERR_READ, SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_NOMEM}) {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT title", .code = code});
    EXPECT_THROW(static_cast<void>(titles()), Error);
  }
  EXPECT_EQ(titles(), Titles());
  EXPECT_EQ(reopened(), 0);
}

// SQLITE_CANTOPEN comes from a big sort as well, whose temporary file cannot be opened.
TEST_F(ReconnectTest, DoesNotThrowAwayAMemoryDatabase) {
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE note (title TEXT)");
  {
    const FaultInjection fault({.call = Call::step, .sql = "SELECT title", .code = SQLITE_CANTOPEN, .times = -1});
    EXPECT_THROW(static_cast<void>(memory.query<std::string>("SELECT title FROM note ORDER BY title")), IoError);
  }
  EXPECT_NO_THROW(memory.execute("INSERT INTO note VALUES ('a')"));
}

}  // namespace
}  // namespace sqlane
