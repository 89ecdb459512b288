#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <set>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/queued_writes.hpp"
#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::Call;
using testing::Effect;
using testing::error_of;
using testing::Fault;
using testing::FaultInjection;
using testing::handles;
using testing::mentions;
using testing::QueuedWrites;
using testing::TemporaryFolder;

class GroupFaults : public ::testing::Test {
 protected:
  using Titles = std::vector<std::string>;

  GroupFaults() {
    db.execute("CREATE TABLE note (title TEXT UNIQUE)");
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.execute("CREATE TABLE strict_child (parent INTEGER REFERENCES parent)");
  }

  static void add(Transaction& tx, const std::string& title) { tx.execute("INSERT INTO note VALUES (?)", title); }
  std::function<void()> adding(const std::string& title) {
    return [this, title] { db.write([&](Transaction& tx) { add(tx, title); }); };
  }
  std::function<void()> inserting(const std::string& title) {
    return [this, title] { db.execute("INSERT INTO note VALUES (?)", title); };
  }
  // Writes where `line` says, with a text of its own for faults to find.
  std::function<void()> culprit(int& line) {
    return [this, &line] {
      line = __LINE__ + 1;
      db.write([](Transaction& tx) {
        add(tx, "undone");
        tx.execute("INSERT INTO note VALUES ('culprit')");
      });
    };
  }
  std::function<void()> culprit_statement(int& line) {
    return [this, &line] {
      line = __LINE__ + 1;
      db.execute("INSERT INTO note VALUES ('culprit')");
    };
  }
  std::function<void()> throwing() {
    return [this] {
      db.write([](Transaction& tx) {
        add(tx, "undone");
        throw std::out_of_range("the caller's own");
      });
    };
  }

  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY title"); }
  void empty() { db.execute("DELETE FROM note"); }

  static void expect_aborted_by(const QueuedWrites& queue, std::size_t number, int line) {
    const TransactionAborted error = queue.error_of<TransactionAborted>(number);
    EXPECT_TRUE(error.is_retryable());
    EXPECT_TRUE(error.transaction_ended());
    EXPECT_TRUE(mentions(error, "group_commit_fault_test.cpp:" + std::to_string(line) + " ")) << error.what();
  }

  [[nodiscard]] Database open(std::chrono::milliseconds busy_timeout) const {
    return Database::open(folder / "app.db", {.readers = 1,
                                              .durability = Durability::normal,
                                              .acquire_timeout = std::chrono::minutes(1),
                                              .busy_timeout = busy_timeout,
                                              .batch = {.run_time = std::chrono::hours(1)}});
  }

  TemporaryFolder folder;
  Database db = open(std::chrono::milliseconds(0));
};

// The COMMIT that they share

TEST_F(GroupFaults, InTheMiddleOfTheCommitTellEachThatItsOutcomeIsOpen) {
  const long opened = handles().connections_opened;
  std::atomic<int> callbacks = 0;
  QueuedWrites queue(db);
  for (const char* title : {"a", "b"}) {
    queue.add([&, title] {
      db.write([&](Transaction& tx) {
        tx.on_commit([&]() noexcept { ++callbacks; });
        tx.on_rollback([&]() noexcept { ++callbacks; });
        add(tx, title);
      });
    });
  }
  queue.add(inserting("c"));
  queue.add(throwing());
  queue.add(adding("d"));
  {
    const FaultInjection fault(
        {.call = Call::step, .sql = "COMMIT", .code = SQLITE_IOERR_FSYNC, .times = -1, .effect = Effect::after});
    queue.run();
    EXPECT_EQ(fault.failures(), 1) << "a commit is never tried again";
  }
  std::set<const std::exception*> exceptions;
  for (const std::size_t i : {0U, 1U, 2U, 4U}) {
    const CommitOutcomeUnknown error = queue.error_of<CommitOutcomeUnknown>(i);
    EXPECT_EQ(error.extended_code(), SQLITE_IOERR_FSYNC);
    EXPECT_EQ(error.database(), (folder / "app.db").string());
    EXPECT_FALSE(error.is_retryable());
    EXPECT_TRUE(error.transaction_ended());
    exceptions.insert(queue.exception_of(i));
  }
  EXPECT_EQ(exceptions.size(), 4U) << "threads must not share an exception";
  EXPECT_THROW(queue.get(3), std::out_of_range);
  EXPECT_EQ(callbacks, 0);
  db.execute("INSERT INTO note VALUES ('later')");
  EXPECT_GT(handles().connections_opened, opened) << "the writer has to be a new one";
  EXPECT_EQ(titles(), (Titles{"a", "b", "c", "d", "later"}));
}

TEST_F(GroupFaults, ThatFindTheCommitBusyHaveItTriedAgain) {
  db.close();
  db = open(std::chrono::hours(1));
  QueuedWrites queue(db);
  for (const char* title : {"a", "b", "c"}) queue.add(adding(title));
  {
    const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = SQLITE_BUSY});
    queue.run();
    EXPECT_EQ(fault.failures(), 1);
  }
  for (const std::size_t i : {0U, 1U, 2U}) EXPECT_FALSE(queue.has_failed(i));
  EXPECT_EQ(titles(), (Titles{"a", "b", "c"}));
}

TEST_F(GroupFaults, ThatRefuseTheCommitFailEachAndLeaveNothing) {
  struct Refusal {
    int code;
    Effect effect;
    std::function<void(const QueuedWrites&, std::size_t)> expect;
  };
  const auto is = []<class Expected>(bool has_ended) {
    return [has_ended](const QueuedWrites& queue, std::size_t number) {
      EXPECT_EQ(queue.error_of<Expected>(number).transaction_ended(), has_ended);
    };
  };
  const std::vector<Refusal> refusals{
      {SQLITE_FULL, Effect::instead, is.operator()<DiskFullError>(false)},
      {SQLITE_FULL, Effect::engine_rolls_back, is.operator()<DiskFullError>(true)},
      {SQLITE_IOERR_WRITE, Effect::engine_rolls_back, is.operator()<IoError>(true)},
      {SQLITE_NOMEM, Effect::engine_rolls_back, is.operator()<Error>(true)},
  };
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE("code " + std::to_string(refusal.code));
    std::atomic<int> committed = 0;
    std::atomic<int> rolled_back = 0;
    QueuedWrites queue(db);
    queue.add([&] {
      db.write([&](Transaction& tx) {
        tx.on_commit([&]() noexcept { ++committed; });
        tx.on_rollback([&]() noexcept { ++rolled_back; });
        add(tx, "a");
      });
    });
    queue.add(inserting("b"));
    queue.add(throwing());
    queue.add(adding("c"));
    {
      const FaultInjection fault({.call = Call::step, .sql = "COMMIT", .code = refusal.code, .effect = refusal.effect});
      queue.run();
      EXPECT_EQ(fault.failures(), 1);
    }
    for (const std::size_t i : {0U, 1U, 3U}) refusal.expect(queue, i);
    EXPECT_NE(queue.exception_of(0), queue.exception_of(1));
    EXPECT_NE(queue.exception_of(1), queue.exception_of(3));
    EXPECT_THROW(queue.get(2), std::out_of_range);
    EXPECT_EQ(committed, 0);
    EXPECT_EQ(rolled_back, 1);
    EXPECT_EQ(titles(), Titles());
    db.execute("INSERT INTO note VALUES ('later')");
    EXPECT_EQ(titles(), Titles{"later"});
    empty();
  }
}

TEST_F(GroupFaults, ThatTakeTheFileAwayAreToldToEach) {
  std::atomic<int> callbacks = 0;
  QueuedWrites queue(db);
  queue.add([&] {
    db.write([&](Transaction& tx) {
      tx.on_commit([&]() noexcept { ++callbacks; });
      tx.on_rollback([&]() noexcept { ++callbacks; });
      add(tx, "a");
    });
  });
  queue.add(inserting("b"));
  queue.add([&] {
    db.write([&](Transaction& tx) {
      add(tx, "c");
      std::filesystem::rename(folder / "app.db", folder / "elsewhere.db");
    });
  });
  queue.run();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(queue.error_of<IoError>(i).extended_code(), SQLITE_READONLY_DBMOVED);
  }
  EXPECT_NE(queue.exception_of(0), queue.exception_of(1));
  EXPECT_EQ(callbacks, 0);
}

// A statement of one of them

TEST_F(GroupFaults, ThatEndTheTransactionFailThoseBeforeAndNotThoseAfter) {
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_CORRUPT, SQLITE_INTERRUPT}) {
    for (const bool is_statement : {false, true}) {
      for (int round = 0; round < 2; ++round) {  // the second time it is prepared already
        SCOPED_TRACE("code " + std::to_string(code) + ", statement " + std::to_string(is_statement));
        int line = 0;
        QueuedWrites queue(db);
        queue.add(adding("a"));
        queue.add(inserting("b"));
        queue.add(is_statement ? culprit_statement(line) : culprit(line));
        queue.add(inserting("c"));
        queue.add(adding("d"));
        {
          const FaultInjection fault({.call = Call::step,
                                      .sql = "'culprit'",
                                      .code = code,
                                      .effect = Effect::engine_rolls_back,
                                      .but_not = "EXPLAIN"});
          queue.run();
        }
        expect_aborted_by(queue, 0, line);
        expect_aborted_by(queue, 1, line);
        EXPECT_NE(queue.exception_of(0), queue.exception_of(1));
        const Error error = queue.error_of<Error>(2);
        EXPECT_EQ(error.extended_code(), code);
        EXPECT_TRUE(error.transaction_ended());
        EXPECT_NO_THROW(queue.get(3));
        EXPECT_NO_THROW(queue.get(4));
        EXPECT_EQ(titles(), (Titles{"c", "d"}));
        empty();
      }
    }
  }
}

TEST_F(GroupFaults, OfAStatementThatAreOverWithItFailItsJobAlone) {
  for (const int code : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_NOMEM, SQLITE_BUSY}) {
    for (const bool is_statement : {false, true}) {
      for (std::size_t place = 0; place < 3; ++place) {
        SCOPED_TRACE("code " + std::to_string(code) + ", place " + std::to_string(place));
        int line = 0;
        QueuedWrites queue(db);
        if (place >= 1) queue.add(adding("a"));
        if (place >= 2) queue.add(inserting("b"));
        queue.add(is_statement ? culprit_statement(line) : culprit(line));
        if (place < 1) queue.add(adding("a"));
        if (place < 2) queue.add(inserting("b"));
        {
          const FaultInjection fault({.call = Call::step, .sql = "'culprit'", .code = code, .but_not = "EXPLAIN"});
          queue.run();
          EXPECT_EQ(fault.failures(), 1);
        }
        for (std::size_t i = 0; i < 3; ++i) {
          if (i == place) {
            EXPECT_EQ(queue.error_of<Error>(i).extended_code(), code);
          } else {
            EXPECT_NO_THROW(queue.get(i));
          }
        }
        EXPECT_EQ(titles(), (Titles{"a", "b"}));
        empty();
      }
    }
  }
}

TEST_F(GroupFaults, ThatKeepTheNextTransactionFromBeginningFailOneJobOnly) {
  int line = 0;
  std::atomic<int> ran = 0;
  db.execute("CREATE TRIGGER no_poison BEFORE INSERT ON parent BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END");
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] {
    line = __LINE__ + 1;
    db.execute("INSERT INTO parent VALUES (1)");
  });
  queue.add([&] { db.write([&](Transaction&) { ++ran; }); });
  queue.add(adding("b"));
  queue.add(inserting("c"));
  {
    const FaultInjection fault({.call = Call::step, .sql = "BEGIN IMMEDIATE", .code = SQLITE_IOERR_READ, .skip = 1});
    queue.run();
    EXPECT_EQ(fault.failures(), 1);
  }
  expect_aborted_by(queue, 0, line);
  EXPECT_THROW(queue.get(1), ConstraintError);
  EXPECT_THROW(queue.get(2), IoError);
  EXPECT_EQ(ran, 0);
  EXPECT_NO_THROW(queue.get(3));
  EXPECT_NO_THROW(queue.get(4));
  EXPECT_EQ(titles(), (Titles{"b", "c"}));
}

// To know whether a statement undoes itself, its program is looked at once; and
// that is a statement as well.
TEST_F(GroupFaults, WhileAStatementIsLookedAtAreToldToThoseWhomTheyConcern) {
  for (const Effect effect : {Effect::instead, Effect::engine_rolls_back}) {
    SCOPED_TRACE("effect " + std::to_string(static_cast<int>(effect)));
    // Each time another text, at which nobody has looked yet.
    const std::string sql = "INSERT INTO note VALUES (?)" + std::string(effect == Effect::instead ? "" : " ");
    const auto statement = [&](const char* title) { return [&, title] { db.execute(runtime_sql(sql), title); }; };
    QueuedWrites queue(db);
    for (const char* title : {"a", "b", "c"}) queue.add(statement(title));
    {
      const FaultInjection fault({.call = Call::step, .sql = "EXPLAIN INSERT", .code = SQLITE_NOMEM, .effect = effect});
      queue.run();
      EXPECT_EQ(fault.failures(), 1);
    }
    Titles expected;
    for (std::size_t i = 0; i < 3; ++i) {
      if (!queue.has_failed(i)) expected.emplace_back(1, static_cast<char>('a' + i));
    }
    EXPECT_EQ(titles(), expected);
    empty();
  }
}

// The savepoint around one of them

TEST_F(GroupFaults, ThatKeepAJobFromBeingUndoneAloneFailThoseBeforeIt) {
  for (const char* control : {"ROLLBACK TO sqlane_job", "RELEASE sqlane_job"}) {
    for (const Effect effect : {Effect::instead, Effect::engine_rolls_back}) {
      SCOPED_TRACE(control);
      int line = 0;
      QueuedWrites queue(db);
      queue.add(adding("a"));
      queue.add(inserting("b"));
      queue.add([&] {
        line = __LINE__ + 1;
        db.write([](Transaction& tx) {
          add(tx, "undone");
          throw std::out_of_range("the caller's own");
        });
      });
      queue.add(adding("c"));
      {
        const FaultInjection fault({.call = Call::step, .sql = control, .code = SQLITE_NOMEM, .effect = effect});
        queue.run();
        EXPECT_EQ(fault.failures(), 1);
      }
      expect_aborted_by(queue, 0, line);
      expect_aborted_by(queue, 1, line);
      EXPECT_THROW(queue.get(2), std::out_of_range);
      EXPECT_NO_THROW(queue.get(3));
      EXPECT_EQ(titles(), Titles{"c"});
      empty();
    }
  }
}

TEST_F(GroupFaults, WhenASavepointCannotBeMadeItsJobDoesNotRun) {
  std::atomic<int> ran = 0;
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add([&] { db.write([&](Transaction&) { ++ran; }); });
  queue.add(adding("b"));
  {
    const FaultInjection fault({.call = Call::step, .sql = "SAVEPOINT sqlane_job", .code = SQLITE_NOMEM});
    queue.run();
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(queue.error_of<Error>(1).code(), SQLITE_NOMEM);
  EXPECT_NO_THROW(queue.get(2));
  Titles expected{"b"};
  if (!queue.has_failed(0)) expected.insert(expected.begin(), "a");
  EXPECT_EQ(titles(), expected);
}

TEST_F(GroupFaults, WhenASavepointCannotBeReleasedItsJobFailsAlone) {
  QueuedWrites queue(db);
  queue.add(adding("a"));
  queue.add(adding("undone"));
  queue.add(adding("b"));
  {
    const FaultInjection fault({.call = Call::step, .sql = "RELEASE sqlane_job", .code = SQLITE_NOMEM});
    queue.run();
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_NO_THROW(queue.get(0));
  EXPECT_EQ(queue.error_of<Error>(1).code(), SQLITE_NOMEM);
  EXPECT_NO_THROW(queue.get(2));
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

TEST_F(GroupFaults, WhenAJobThatWasToBeUndoneCannotBeRolledBackCostTheConnectionAlone) {
  QueuedWrites queue(db);
  queue.add(throwing());
  queue.add(adding("a"));
  queue.add(inserting("b"));
  const long opened = handles().connections_opened;
  {
    // The first ROLLBACK is that of the guard that holds the lane.
    const FaultInjection fault({.call = Call::step, .sql = "ROLLBACK", .code = SQLITE_NOMEM, .skip = 1});
    queue.run();
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_THROW(queue.get(0), std::out_of_range);
  EXPECT_NO_THROW(queue.get(1));
  EXPECT_NO_THROW(queue.get(2));
  EXPECT_EQ(handles().connections_opened, opened + 1) << "a new writer";
  EXPECT_EQ(titles(), (Titles{"a", "b"}));
}

// The foreign keys that one of them deferred must be the next one's immediate again.
TEST_F(GroupFaults, ThatKeepForeignKeysDeferredDoNotLetTheNextJobDefer) {
  for (int round = 0; round < 3; ++round) {  // the first time, preparing alone has the effect
    SCOPED_TRACE("round " + std::to_string(round));
    std::atomic<bool> is_refused_at_once = false;
    QueuedWrites queue(db);
    queue.add(adding("a"));
    queue.add([&] { db.write([](Transaction& tx) { tx.execute("PRAGMA defer_foreign_keys=ON"); }); });
    queue.add([&] {
      db.write([&](Transaction& tx) {
        try {
          tx.execute("INSERT INTO strict_child VALUES (9)");
        } catch (const ConstraintError&) {
          is_refused_at_once = true;
        }
        tx.execute("DELETE FROM strict_child");
      });
    });
    {
      const FaultInjection fault({.call = Call::step, .sql = "defer_foreign_keys=OFF", .code = SQLITE_NOMEM});
      queue.run();
      EXPECT_EQ(fault.failures(), 1);
    }
    EXPECT_TRUE(queue.has_failed(1));
    EXPECT_TRUE(is_refused_at_once || queue.has_failed(2));
    empty();
  }
}

// Any call may fail, and what each job was told is true

class EveryCallFails : public GroupFaults {
 protected:
  // A job among others, and what it has been told.
  struct Told {
    std::string title;  // of the note that it adds
    std::atomic<int> ran = 0;
    std::atomic<int> asked = 0;  // to be called back
    std::atomic<int> committed = 0;
    std::atomic<int> rolled_back = 0;
  };

  void add_with_callbacks(Transaction& tx, Told& told) {
    ++told.ran;
    tx.on_commit([&]() noexcept { ++told.committed; });
    tx.on_rollback([&]() noexcept { ++told.rolled_back; });
    ++told.asked;
    add(tx, told.title);
  }

  // False when there was no such call.
  bool run_with(Fault fault) {
    std::array<Told, 5> told;
    for (std::size_t i = 0; i < told.size(); ++i) told[i].title = std::string(1, static_cast<char>('a' + i));
    QueuedWrites queue(db);
    queue.add([&] { db.write([&](Transaction& tx) { add_with_callbacks(tx, told[0]); }); });
    queue.add(inserting(told[1].title));
    queue.add([&] {
      db.write([&](Transaction& tx) {
        tx.execute("PRAGMA defer_foreign_keys=ON");
        Savepoint savepoint = tx.savepoint();
        add_with_callbacks(tx, told[2]);
        savepoint.release();
        const Savepoint undone = tx.savepoint();
        add(tx, "undone");
      });
    });
    queue.add([&] {
      db.write([&](Transaction& tx) {
        add_with_callbacks(tx, told[3]);
        throw std::out_of_range("the caller's own");
      });
    });
    queue.add(inserting(told[4].title));
    int failures = 0;
    {
      const FaultInjection injection(std::move(fault));
      queue.run();
      failures = injection.failures();
    }
    Titles expected;
    Titles open;
    for (std::size_t i = 0; i < told.size(); ++i) {
      bool is_open = false;
      std::string error;
      try {
        queue.get(i);
        expected.push_back(told[i].title);
      } catch (const CommitOutcomeUnknown&) {
        is_open = true;
        open.push_back(told[i].title);
      } catch (const std::exception& failure) {
        error = failure.what();
      }
      if (i == 1 || i == 4) continue;
      const bool is_kept = !queue.has_failed(i);
      EXPECT_LE(told[i].ran, 1) << "job " << i << ": " << error;
      EXPECT_EQ(told[i].committed, is_kept ? 1 : 0) << "job " << i << ": " << error;
      EXPECT_EQ(told[i].rolled_back, is_kept || is_open ? 0 : told[i].asked.load()) << "job " << i << ": " << error;
    }
    EXPECT_TRUE(queue.has_failed(3));
    const Titles found = titles();
    Titles with_open(expected);
    with_open.insert(with_open.end(), open.begin(), open.end());
    std::sort(with_open.begin(), with_open.end());
    EXPECT_TRUE(found == expected || found == with_open)
        << ::testing::PrintToString(found) << " instead of " << ::testing::PrintToString(expected);
    EXPECT_THROW(db.execute("INSERT INTO strict_child VALUES (9)"), ConstraintError) << "keys are deferred no longer";
    empty();
    return failures != 0;
  }

  void sweep(Call call, int code, Effect effect) {
    for (int number = 0; number < 500; ++number) {
      SCOPED_TRACE("call " + std::to_string(static_cast<int>(call)) + ", code " + std::to_string(code) + ", effect " +
                   std::to_string(static_cast<int>(effect)) + ", number " + std::to_string(number));
      const bool has_failed = run_with({.call = call, .code = code, .skip = number, .effect = effect});
      if (HasFailure()) return;
      if (!has_failed) {
        EXPECT_GT(number, 5);
        return;
      }
    }
    ADD_FAILURE() << "there is no end to the calls";
  }
};

TEST_F(EveryCallFails, InASharedTransactionAndWhatEachIsToldIsTrue) {
  run_with({.call = Call::open, .sql = "no such file"});
  for (const int code : {SQLITE_NOMEM, SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_BUSY}) {
    sweep(Call::step, code, Effect::instead);
    if (code != SQLITE_BUSY) sweep(Call::step, code, Effect::engine_rolls_back);
  }
  sweep(Call::bind, SQLITE_NOMEM, Effect::instead);
}

}  // namespace
}  // namespace sqlane
