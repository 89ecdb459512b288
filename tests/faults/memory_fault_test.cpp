#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <sqlite3.h>
#include <string>
#include <utility>
#include <vector>

#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/queued_writes.hpp"
#include "support/sqlite_faults.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using detail::Connection;
using detail::ConnectionSettings;
using detail::FileAccess;
using detail::FileKind;
using detail::FileOperation;
using detail::MemoryFile;
using detail::MemoryStore;
using detail::Role;
using testing::error_of;
using testing::handles;
using testing::mentions;
using testing::QueuedWrites;

// Which operation on the files of a store fails.
struct Plan {
  bool is_armed = false;
  std::function<bool(const FileAccess&)> concerns = [](const FileAccess&) { return true; };
  int code = SQLITE_OK;
  int skip = 0;
  int times = 1;
  int failures = 0;

  int ask(const FileAccess& access) {
    if (!is_armed || !concerns(access)) return SQLITE_OK;
    if (skip > 0) {
      --skip;
      return SQLITE_OK;
    }
    if (failures == times) return SQLITE_OK;
    ++failures;
    return code;
  }
};

// A store whose operations go as planned, and the connections to it.
class FaultyStore {
 public:
  explicit FaultyStore(Plan plan = {}, std::size_t limit = 0)
      : plan_(std::make_shared<Plan>(std::move(plan))),
        store_(MemoryStore::make(limit, [plan = plan_](const FileAccess& access) { return plan->ask(access); })) {}

  [[nodiscard]] Plan& plan() { return *plan_; }
  [[nodiscard]] MemoryStore& store() { return *store_; }
  [[nodiscard]] std::unique_ptr<Connection> open(Role role) const {
    return std::make_unique<Connection>(
        ConnectionSettings{.database = ":memory:", .memory = store_, .role = role, .statement_cache = 8});
  }
  // Nobody else has it.
  [[nodiscard]] bool is_closed() const { return store_.use_count() == 1; }

 private:
  std::shared_ptr<Plan> plan_;
  std::shared_ptr<MemoryStore> store_;
};

void execute(Connection& connection, const std::string& sql) {
  detail::Statement(connection, {.text = sql, .access = Access::write}).execute();
}

std::string ask(Connection& connection, const std::string& sql) {
  detail::Statement statement(connection, {.text = sql, .access = Access::read});
  if (!statement.step()) return "";
  return std::string(statement.text(0, "text"));
}

std::set<int> rows_of(Connection& connection) {
  detail::Statement statement(connection, {.text = "SELECT id FROM note", .access = Access::read});
  std::set<int> ids;
  while (statement.step()) ids.insert(static_cast<int>(statement.integer(0, "int")));
  return ids;
}

std::string insert(int id) { return "INSERT INTO note (id, body) VALUES (" + std::to_string(id) + ", 'one')"; }

// A little of everything that the lane, a reader and the governor do. Each
// change is told to have been done, or not; whatever fails, fails with one of
// the library's errors, and a broken connection is replaced.
class Story {
 public:
  explicit Story(FaultyStore& store) : store_(store) {}

  void run() {
    first_life();
    close();
    attempt([&] { change(10, 11, [&] { transaction({insert(10), insert(11)}); }); });
    attempt([&] { rows_of(reader()); });
    close();
  }

  // Requires: nothing fails any more.
  void expect_truth() {
    Connection& connection = writer();
    const bool has_table = ask(connection, "SELECT name FROM sqlite_master") == "note";
    EXPECT_TRUE(table_ == Told::unknown || has_table == (table_ == Told::done));
    const std::set<int> present = has_table ? rows_of(connection) : std::set<int>();
    EXPECT_FALSE(present.contains(kUndone)) << "an undone savepoint came back";
    for (const Change& change : changes_) {
      EXPECT_EQ(present.contains(change.first), present.contains(change.last)) << "half of a transaction";
      if (change.told == Told::unknown) continue;
      EXPECT_EQ(present.contains(change.first), change.told == Told::done) << "row " << change.first;
    }
    EXPECT_EQ(ask(connection, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(ask(*store_.open(Role::reader), "PRAGMA integrity_check"), "ok");
    if (!has_table) execute(connection, kCreate);
    transaction({insert(1000)});
    EXPECT_TRUE(rows_of(*store_.open(Role::reader)).contains(1000));
    close();
  }

 private:
  enum class Told { nothing, done, failed, unknown };
  struct Change {
    int first;
    int last;
    Told told = Told::failed;
  };
  static constexpr int kUndone = 99;
  static constexpr const char* kCreate = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";

  void first_life() {
    attempt([&] {
      table_ = Told::failed;
      told(table_, [&] { transaction({kCreate}); });
    });
    attempt([&] { change(1, 2, [&] { with_savepoints(); }); });
    attempt([&] { change(100, 149, [&] { transaction({many(100, 149)}); }); });
    attempt([&] { change(3, 3, [&] { beside_a_snapshot(); }); });
    attempt([&] { checkpoint(); });
    attempt([&] { change(4, 5, [&] { transaction({insert(4), insert(5)}); }); });
    attempt([&] { change(200, 229, [&] { transaction({many(200, 229), "UPDATE note SET body = body || 'x'"}); }); });
    attempt([&] { rows_of(reader()); });
    attempt([&] { checkpoint(); });
  }

  Connection& writer() {
    if (writer_ == nullptr) writer_ = store_.open(Role::writer);
    return *writer_;
  }
  Connection& reader() {
    if (reader_ == nullptr) reader_ = store_.open(Role::reader);
    return *reader_;
  }

  void transaction(const std::vector<std::string>& statements) {
    Connection& connection = writer();
    connection.begin(Behavior::immediate);
    for (const std::string& sql : statements) execute(connection, sql);
    connection.commit();
  }

  void with_savepoints() {
    Connection& connection = writer();
    connection.begin(Behavior::immediate);
    execute(connection, insert(1));
    connection.open_savepoint();
    execute(connection, insert(kUndone));
    connection.undo_savepoint();
    connection.open_savepoint();
    execute(connection, insert(2));
    connection.release_savepoint();
    connection.commit();
  }

  // reader                 writer
  // begin, looks
  //                        insert, commit
  // sees what it saw
  void beside_a_snapshot() {
    Connection& connection = reader();
    connection.begin_snapshot();
    const std::set<int> before = rows_of(connection);
    transaction({insert(3)});
    try {
      EXPECT_EQ(rows_of(connection), before);
    } catch (const Error&) {  // the writer's work is done all the same
    }
    connection.rollback();
  }

  static std::string many(int first, int last) {
    return "WITH RECURSIVE n(i) AS (SELECT " + std::to_string(first) + " UNION ALL SELECT i + 1 FROM n WHERE i < " +
           std::to_string(last) + ") INSERT INTO note SELECT i, hex(zeroblob(1000)) FROM n";
  }

  void checkpoint() {
    if (checkpointer_ == nullptr) checkpointer_ = store_.open(Role::checkpointer);
    if (!writer().try_begin()) return;
    try {
      static_cast<void>(checkpointer_->checkpoint_passive());
    } catch (const Error&) {
    }
    writer().rollback();
  }

  template <class Action>
  void told(Told& outcome, Action action) {
    try {
      action();
      outcome = Told::done;
    } catch (const CommitOutcomeUnknown&) {
      outcome = Told::unknown;
      throw;
    }
  }
  template <class Action>
  void change(int first, int last, Action action) {
    Change& made = changes_.emplace_back(Change{first, last});
    told(made.told, action);
  }

  // Any error but the library's own passes through, and fails the test.
  template <class Action>
  void attempt(Action action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_STRNE(error.what(), "");
    }
    for (std::unique_ptr<Connection>* const connection : {&writer_, &reader_, &checkpointer_}) {
      if (*connection != nullptr && (*connection)->tidy() == Cleaning::broken) connection->reset();
    }
  }

  void close() {
    checkpointer_.reset();
    reader_.reset();
    writer_.reset();
  }

  FaultyStore& store_;
  std::unique_ptr<Connection> writer_;
  std::unique_ptr<Connection> reader_;
  std::unique_ptr<Connection> checkpointer_;
  Told table_ = Told::nothing;
  std::vector<Change> changes_;
};

bool any(const FileAccess&) { return true; }
bool reading(const FileAccess& access) { return access.operation == FileOperation::read; }
bool writing(const FileAccess& access) { return access.operation == FileOperation::write; }
bool taking_a_lock(const FileAccess& access) {
  return access.operation == FileOperation::lock || access.operation == FileOperation::index_lock;
}
bool taking_memory(const FileAccess& access) {
  return writing(access) || access.operation == FileOperation::index_region || access.operation == FileOperation::open;
}

struct OperationSweep {
  const char* name;
  int code;
  bool (*concerns)(const FileAccess&);
  int times = 1;
};

std::ostream& operator<<(std::ostream& out, const OperationSweep& sweep) { return out << sweep.name; }

class MemoryFaults : public ::testing::TestWithParam<OperationSweep> {};

TEST_P(MemoryFaults, LoseNothingAndLeakNothingWhicheverOperationFails) {
  const OperationSweep& sweep = GetParam();
  constexpr int kMostOperations = 5000;
  const testing::Handles before = handles();
  int skip = 0;
  for (;; ++skip) {
    ASSERT_LT(skip, kMostOperations);
    SCOPED_TRACE("operation " + std::to_string(skip));
    FaultyStore store({.concerns = sweep.concerns, .code = sweep.code, .skip = skip, .times = sweep.times});
    Story story(store);
    store.plan().is_armed = true;
    story.run();
    store.plan().is_armed = false;
    const int failures = store.plan().failures;
    story.expect_truth();
    EXPECT_TRUE(store.is_closed());
    EXPECT_EQ(store.store().find(FileKind::log), nullptr) << "the last one who closed left the log";
    EXPECT_EQ(store.store().find(FileKind::journal), nullptr);
    EXPECT_EQ(store.store().bytes(), store.store().find(FileKind::database)->size());
    // Less where there was no memory to open one: SQLite then closes it by itself.
    EXPECT_LE(handles().open_connections(), before.open_connections());
    EXPECT_EQ(handles().open_statements(), before.open_statements());
    if (failures == 0 || HasFailure()) break;  // one story is enough
  }
  EXPECT_GT(skip, 20) << "hardly anything was made to fail";
}

INSTANTIATE_TEST_SUITE_P(All, MemoryFaults,
                         ::testing::Values(OperationSweep{"AnyReadError", SQLITE_IOERR_READ, any},
                                           OperationSweep{"AnyOutOfMemory", SQLITE_IOERR_NOMEM, any},
                                           OperationSweep{"AnyThreeTimes", SQLITE_IOERR, any, 3},
                                           OperationSweep{"ReadError", SQLITE_IOERR_READ, reading},
                                           OperationSweep{"Full", SQLITE_FULL, writing},
                                           OperationSweep{"FullFromThenOn", SQLITE_FULL, writing, 1'000'000},
                                           OperationSweep{"WriteError", SQLITE_IOERR_WRITE, writing},
                                           OperationSweep{"OutOfMemory", SQLITE_NOMEM, taking_memory},
                                           OperationSweep{"Busy", SQLITE_BUSY, taking_a_lock},
                                           OperationSweep{"BusyTwice", SQLITE_BUSY, taking_a_lock, 2}),
                         [](const ::testing::TestParamInfo<OperationSweep>& tested) {
                           return std::string(tested.param.name);
                         });

// The limit. Three quarters of it are for the database, one for its log.

class MemoryLimit : public ::testing::Test {
 protected:
  static constexpr std::size_t kLimit = 1U << 20U;

  MemoryLimit() { db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB)"); }

  // Adds rows until there is no room; returns how many there are.
  int fill(int bytes = 5000) {
    const auto add = [&] {
      while (true) db.execute("INSERT INTO note (body) VALUES (randomblob(?))", bytes);
    };
    const auto error = error_of<DiskFullError>(add);
    EXPECT_EQ(error.extended_code(), SQLITE_FULL);
    EXPECT_TRUE(mentions(error.sql(), "INSERT")) << "found out by " << error.sql();
    return count();
  }
  void remove_some() { db.execute("DELETE FROM note WHERE id IN (SELECT id FROM note LIMIT 10)"); }
  [[nodiscard]] int count() const { return db.query_one<int>("SELECT count(*) FROM note"); }
  void expect_whole() const { EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok"); }

  Database db = Database::in_memory({.readers = 2,
                                     .memory_limit = kLimit,
                                     .acquire_timeout = std::chrono::minutes(1),
                                     .batch = {.run_time = std::chrono::minutes(1)}});
};

TEST_F(MemoryLimit, IsReachedWithMostOfItInTheDatabase) {
  const int rows = fill();
  EXPECT_GT(rows * 5000, static_cast<int>(kLimit / 2));
  EXPECT_LT(rows * 5000, static_cast<int>(kLimit));
  expect_whole();
}

TEST_F(MemoryLimit, LeavesRoomToChangeAndToDelete) {
  for (int round = 0; round < 5; ++round) {
    const int rows = fill();
    db.execute("UPDATE note SET body = randomblob(5000) WHERE id IN (SELECT id FROM note LIMIT 5)");
    EXPECT_EQ(count(), rows);
    remove_some();
    EXPECT_EQ(count(), rows - 10);
    EXPECT_NO_THROW(db.execute("INSERT INTO note (body) VALUES (randomblob(5000))"));
  }
  while (count() > 0) remove_some();
  EXPECT_GT(fill(), 100);
  expect_whole();
}

TEST_F(MemoryLimit, EndsAWriteThatGoesBeyondAndNothingElse) {
  const int rows = fill();
  const auto write = [&] {
    db.write([](Transaction& tx) {
      tx.execute("DELETE FROM note WHERE id <= 2");
      for (int i = 0; i < 10; ++i) tx.execute("INSERT INTO note (body) VALUES (randomblob(5000))");
    });
  };
  EXPECT_TRUE(error_of<DiskFullError>(write).transaction_ended());
  EXPECT_EQ(count(), rows);
  db.execute("DELETE FROM note WHERE id <= 20");
  EXPECT_NO_THROW(write());
  EXPECT_EQ(count(), rows - 20 + 10);
  expect_whole();
}

// SQLite undoes the whole transaction then: those before it are told so, and
// those behind it are in the next one.
TEST_F(MemoryLimit, IsMetByOneOfABatch) {
  const int rows = fill();
  QueuedWrites queue(db);
  queue.add([&] { db.write([](Transaction& tx) { tx.execute("DELETE FROM note WHERE id = 1"); }); });
  queue.add([&] { db.write([](Transaction& tx) { tx.execute("UPDATE note SET body = zeroblob(10) WHERE id = 2"); }); });
  queue.add([&] {
    db.write([](Transaction& tx) {
      for (int i = 0; i < 10; ++i) tx.execute("INSERT INTO note (body) VALUES (randomblob(50000))");
    });
  });
  queue.add([&] { db.execute("DELETE FROM note WHERE id IN (3, 4)"); });
  queue.run();
  EXPECT_TRUE(mentions(queue.error_of<TransactionAborted>(0), "full"));
  EXPECT_TRUE(mentions(queue.error_of<TransactionAborted>(1), "full"));
  EXPECT_EQ(queue.error_of<DiskFullError>(2).extended_code(), SQLITE_FULL);
  EXPECT_NO_THROW(queue.get(3));
  EXPECT_EQ(count(), rows - 2);
  EXPECT_EQ(db.query_one<int>("SELECT length(body) FROM note WHERE id = 2"), 5000);
  expect_whole();
}

TEST_F(MemoryLimit, RefusesATransactionThatTheLogDoesNotHold) {
  for (int i = 0; i < 60; ++i) db.execute("INSERT INTO note (body) VALUES (randomblob(10000))");
  const auto before = db.query<std::string>("SELECT hex(body) FROM note");
  for (int i = 0; i < 3; ++i) {
    const auto error = error_of<DiskFullError>([&] { db.execute("UPDATE note SET body = randomblob(10000)"); });
    EXPECT_EQ(error.extended_code(), SQLITE_FULL);
    EXPECT_EQ(db.query<std::string>("SELECT hex(body) FROM note"), before);
    EXPECT_EQ(db.execute("UPDATE note SET body = body WHERE id = 1").changes, 1) << "a small one";
  }
  expect_whole();
}

// A snapshot keeps the log from starting over. It is at its end then, and goes
// on once the snapshot does not need it.
TEST_F(MemoryLimit, OfTheLogIsReachedBesideASnapshotAndLeftBehindAfterIt) {
  db.execute("INSERT INTO note (body) VALUES (zeroblob(3000))");
  const auto touch = [&] { db.execute("UPDATE note SET body = randomblob(3000)"); };
  int done = 0;
  {
    const Snapshot snapshot = db.snapshot();
    const auto old = snapshot.query_one<std::string>("SELECT hex(body) FROM note");
    const auto touch_on = [&] {
      for (;; ++done) touch();
    };
    EXPECT_EQ(error_of<DiskFullError>(touch_on).extended_code(), SQLITE_FULL);
    EXPECT_GT(done, 10);
    EXPECT_THROW(touch(), DiskFullError);
    EXPECT_EQ(snapshot.query_one<std::string>("SELECT hex(body) FROM note"), old);
  }
  EXPECT_THROW(touch(), DiskFullError) << "not before the log has been copied";
  for (int i = 0; i < 3 * done; ++i) ASSERT_NO_THROW(touch());
  expect_whole();
}

TEST_F(MemoryLimit, LetsTheLogBeCopiedWhenTheDatabaseIsFull) {
  fill(100);
  const std::uint64_t checkpoints = db.stats().checkpoints;
  for (int i = 0; i < 200; ++i) db.execute("UPDATE note SET body = randomblob(100) WHERE id % 200 = ?", i);
  EXPECT_GT(db.stats().checkpoints, checkpoints + 2);
  EXPECT_LE(db.stats().wal_bytes, kLimit / 4);
  expect_whole();
}

// Connections and stores

TEST(MemoryStoreAtItsLimit, IsNeverBeyondIt) {
  std::size_t most = 0;
  constexpr std::size_t kLimit = 40 * MemoryFile::kChunk;
  FaultyStore store({}, kLimit);
  store.plan().is_armed = true;
  store.plan().concerns = [&](const FileAccess&) {
    most = std::max(most, store.store().bytes());
    return false;
  };
  const std::unique_ptr<Connection> writer = store.open(Role::writer);
  execute(*writer, "CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB)");
  int full = 0;
  for (int i = 0; i < 300; ++i) {
    try {
      execute(*writer, i % 7 == 6
                           ? "DELETE FROM note WHERE id % 3 = 1"
                           : "INSERT INTO note (body) VALUES (randomblob(3000 + 97 * " + std::to_string(i) + "))");
    } catch (const DiskFullError&) {
      ++full;
    }
    static_cast<void>(writer->tidy());
    static_cast<void>(store.open(Role::checkpointer)->checkpoint_passive());
  }
  EXPECT_GT(full, 10);
  EXPECT_GT(most, kLimit / 2);
  EXPECT_LE(most, kLimit);
  EXPECT_EQ(ask(*writer, "PRAGMA integrity_check"), "ok");
}

// The last one that closes removes the log, and the index with it: what the next
// one finds is the database as it is by then.
TEST(MemoryStoreWithoutItsLog, IsReadAsItsDatabaseSays) {
  FaultyStore store;
  std::unique_ptr<Connection> connection = store.open(Role::writer);
  const auto run = [&](const char* sql) { return sqlite3_exec(connection->handle(), sql, nullptr, nullptr, nullptr); };
  execute(*connection, "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)");
  connection.reset();
  connection = store.open(Role::writer);
  sqlite3_set_authorizer(connection->handle(), nullptr, nullptr);
  ASSERT_EQ(run("PRAGMA journal_mode=DELETE"), SQLITE_OK);
  ASSERT_EQ(run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO note SELECT i, 'a' FROM n"),
            SQLITE_OK);
  ASSERT_EQ(run("PRAGMA journal_mode=WAL"), SQLITE_OK);
  EXPECT_EQ(rows_of(*connection).size(), 5000U);
  EXPECT_EQ(ask(*connection, "PRAGMA integrity_check"), "ok");
}

// A commit whose frames were all in the log when it failed was told to have failed.
TEST(MemoryStoreWithALogLeftBehind, DoesNotBringBackACommitThatFailed) {
  constexpr int kFrames = 5000;  // so many need a second region of the index
  FaultyStore store(
      {.concerns = [](const FileAccess& access) { return access.operation == FileOperation::index_region; },
       .code = SQLITE_NOMEM,
       .times = 1'000'000});
  std::unique_ptr<Connection> connection = store.open(Role::writer);
  execute(*connection, "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)");
  connection->begin(Behavior::immediate);
  execute(*connection, "INSERT INTO note VALUES (1, hex(zeroblob(" + std::to_string(kFrames * 2048) + ")))");
  store.plan().is_armed = true;
  EXPECT_ANY_THROW(connection->commit());
  // Nor can it be copied back when all close.
  store.plan() = {.is_armed = true,
                  .concerns =
                      [](const FileAccess& access) {
                        return access.operation == FileOperation::write && access.kind == FileKind::database;
                      },
                  .code = SQLITE_IOERR_WRITE,
                  .times = 1'000'000};
  connection.reset();
  store.plan().is_armed = false;
  EXPECT_NE(store.store().find(FileKind::log), nullptr);
  connection = store.open(Role::writer);
  EXPECT_TRUE(rows_of(*connection).empty());
  EXPECT_EQ(ask(*connection, "PRAGMA integrity_check"), "ok");
}

// Somebody who closes tries to be alone; who opens the database meanwhile is not refused.
TEST(ConnectionsToAMemoryStore, OpenWithoutWaitingWhileOthersClose) {
  FaultyStore store;
  const std::unique_ptr<Connection> writer = store.open(Role::writer);
  execute(*writer, "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT)");
  std::unique_ptr<Connection> closing = store.open(Role::checkpointer);
  rows_of(*closing);
  std::unique_ptr<Connection> opened;
  bool has_tried = false;
  store.plan() = {.is_armed = true, .concerns = [&](const FileAccess& access) {
                    const bool is_first = !has_tried;
                    if (is_first) has_tried = access.operation == FileOperation::lock;
                    if (is_first || opened != nullptr) return false;
                    store.plan().is_armed = false;
                    try {
                      opened = store.open(Role::reader);
                      rows_of(*opened);
                    } catch (const Error& error) {  // SQLite knows no exceptions
                      ADD_FAILURE() << error.what();
                    }
                    return false;
                  }};
  closing.reset();
  EXPECT_NE(opened, nullptr) << "it closed without trying to be alone";
  opened.reset();
  EXPECT_TRUE(rows_of(*writer).empty());
}

}  // namespace
}  // namespace sqlane
