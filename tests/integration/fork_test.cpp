#include <atomic>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/foreign_process.hpp"
#include "support/forked_child.hpp"
#include "support/note_database.hpp"
#include "support/temporary_folder.hpp"

// What a child of fork inherits is refused there, and whatever the child does
// with it changes nothing for the parent.

namespace sqlane {
namespace {

using testing::error_of;
using testing::in_child;
using testing::mentions;

class Fork : public ::testing::Test {
 protected:
  [[nodiscard]] static Database open(const std::filesystem::path& path) {
    return Database::open(path, {.durability = Durability::normal});
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_ / "a.db"; }

  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static int count(const Database& db) { return db.query_one<int>("SELECT count(*) FROM t"); }

  const testing::TemporaryFolder folder_;
};

TEST_F(Fork, LeavesTheChildADatabaseThatRefusesEverything) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  in_child([&] {
    EXPECT_THROW(db.write(add_one), UsageError);
    EXPECT_THROW(db.execute("INSERT INTO t VALUES (1)"), UsageError);
    EXPECT_THROW(db.execute("VACUUM"), UsageError);
    EXPECT_THROW(static_cast<void>(db.query<int>("SELECT a FROM t")), UsageError);
    EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT count(*) FROM t")), UsageError);
    EXPECT_THROW(static_cast<void>(db.query_optional<int>("SELECT a FROM t")), UsageError);
    EXPECT_THROW(db.read([](const Snapshot&) {}), UsageError);
    EXPECT_THROW(static_cast<void>(db.begin()), UsageError);
    EXPECT_THROW(static_cast<void>(db.snapshot()), UsageError);
    EXPECT_THROW(static_cast<void>(db.write_async(add_one)), UsageError);
    EXPECT_THROW(static_cast<void>(db.lane_holder()), UsageError);
    EXPECT_THROW(db.close(), UsageError);
    EXPECT_EQ(db.options().path, path());
  });
  EXPECT_NO_THROW(db.write(add_one));
  EXPECT_EQ(count(db), 1);
}

TEST_F(Fork, LeavesTheChildGuardsThatRefuseEverything) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  db.execute("INSERT INTO t VALUES (1), (2)");
  Transaction tx = db.begin();
  add_one(tx);
  const Snapshot snapshot = db.snapshot();
  auto rows = snapshot.query<int>("SELECT a FROM t");
  auto row = rows.begin();
  in_child([&] {
    EXPECT_THROW(add_one(tx), UsageError);
    EXPECT_THROW(static_cast<void>(tx.query_one<int>("SELECT count(*) FROM t")), UsageError);
    EXPECT_THROW(static_cast<void>(tx.savepoint()), UsageError);
    EXPECT_THROW(tx.on_commit([]() noexcept {}), UsageError);
    EXPECT_THROW(tx.commit(), UsageError);
    EXPECT_THROW(tx.rollback(), UsageError);
    EXPECT_THROW(static_cast<void>(snapshot.query_one<int>("SELECT count(*) FROM t")), UsageError);
    EXPECT_THROW(++row, UsageError);
  });
  ++row;
  EXPECT_EQ(*row, 2);
  tx.commit();
  EXPECT_EQ(count(db), 3);
}

TEST_F(Fork, LeavesTheChildSavepointsThatRefuseEverything) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  Transaction tx = db.begin();
  auto savepoint = testing::on_heap(tx);
  add_one(tx);
  in_child([&] {
    EXPECT_THROW(savepoint->release(), UsageError);
    EXPECT_THROW(savepoint->rollback(), UsageError);
  });
  savepoint->release();
  tx.commit();
  EXPECT_EQ(count(db), 1);
}

// What the parent has afterwards, whatever the child destroyed.
class ForkDestroys : public Fork {
 protected:
  ForkDestroys() {
    db_->execute("CREATE TABLE t (a)");
    db_->execute("INSERT INTO t VALUES (1), (2), (3)");
    snapshot_.reset(new Snapshot(db_->snapshot()));
    rows_.reset(new Rows<int>(snapshot_->query<int>("SELECT a FROM t")));
    tx_.reset(new Transaction(db_->begin()));
    add_one(*tx_);
  }

  void expect_nothing_has_changed() {
    EXPECT_TRUE(std::filesystem::exists(path().string() + "-wal"));
    EXPECT_EQ(foreign_.run("INSERT INTO t VALUES (9)"), "5 ");  // SQLITE_BUSY: the parent has its lock
    add_one(*tx_);
    tx_->commit();
    int rows = 0;
    for (const int value : *rows_) EXPECT_EQ(value, ++rows);
    EXPECT_EQ(rows, 3);
    EXPECT_EQ(snapshot_->query_one<int>("SELECT count(*) FROM t"), 3);
    rows_.reset();
    snapshot_.reset();
    EXPECT_NO_THROW(db_->write(add_one));
    EXPECT_EQ(count(*db_), 6);
    EXPECT_EQ(foreign_.run("SELECT count(*) FROM t"), "0 6");
    EXPECT_EQ(foreign_.run("PRAGMA integrity_check"), "0 ok");
  }

  // Another program; made first, so that it inherits nothing.
  testing::ForeignProcess foreign_{path()};
  std::unique_ptr<Database> db_ = std::make_unique<Database>(open(path()));
  std::unique_ptr<Snapshot> snapshot_;
  std::unique_ptr<Rows<int>> rows_;
  std::unique_ptr<Transaction> tx_;
};

TEST_F(ForkDestroys, TheDatabaseWithoutTouchingIt) {
  foreign_.open();
  in_child([&] { db_.reset(); });
  expect_nothing_has_changed();
}

TEST_F(ForkDestroys, GuardsWithoutTouchingTheDatabase) {
  foreign_.open();
  in_child([&] {
    rows_.reset();
    snapshot_.reset();
    tx_.reset();
    db_.reset();
  });
  expect_nothing_has_changed();
}

TEST_F(ForkDestroys, GuardsAfterTheDatabaseWithoutTouchingIt) {
  foreign_.open();
  in_child([&] {
    db_.reset();
    tx_.reset();
    rows_.reset();
    snapshot_.reset();
  });
  expect_nothing_has_changed();
}

TEST_F(ForkDestroys, ASavepointWithoutTouchingTheDatabase) {
  foreign_.open();
  auto savepoint = testing::on_heap(*tx_);
  in_child([&] {
    savepoint.reset();
    tx_.reset();
  });
  savepoint->release();
  expect_nothing_has_changed();
}

TEST_F(ForkDestroys, AGuardWithoutTellingTheChildThatItWasRolledBack) {
  foreign_.open();
  int told = 0;
  tx_->on_rollback([&]() noexcept { ++told; });
  in_child([&] {
    tx_.reset();
    EXPECT_EQ(told, 0);
  });
  expect_nothing_has_changed();
}

// The child has none of them, and would wait for ever.
TEST_F(Fork, DestroysADatabaseWithoutWaitingForItsThreads) {
  auto db =
      std::make_unique<Database>(Database::open(path(), {.on_slow_write = {.callback = [](const LaneHolder&) {}}}));
  db->execute("CREATE TABLE t (a)");
  db->write_async(add_one).get();
  in_child([&] { db.reset(); });
  db->write(add_one);
  EXPECT_EQ(count(*db), 2);
}

TEST_F(ForkDestroys, NothingWhenTheChildMovesTheDatabase) {
  foreign_.open();
  in_child([&] {
    Database moved = std::move(*db_);
    EXPECT_THROW(static_cast<void>(count(moved)), UsageError);
    moved = Database::in_memory();
    EXPECT_NO_THROW(moved.execute("CREATE TABLE t (a)"));
  });
  expect_nothing_has_changed();
}

// Opening in the child

TEST_F(Fork, KeepsTheChildFromOpeningTheSameFile) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "linked");
  in_child([&] {
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(open(path())); }), "fork"));
    EXPECT_THROW(static_cast<void>(open(folder_ / "linked" / path().filename())), UsageError);
    db.~Database();
    new (&db) Database(Database::in_memory());
    EXPECT_THROW(static_cast<void>(open(path())), UsageError);
  });
  EXPECT_NO_THROW(db.write(add_one));
  EXPECT_TRUE(std::filesystem::exists(path().string() + "-wal"));
}

TEST_F(Fork, KeepsTheChildFromOpeningAFileThatAGuardKeepsOpen) {
  auto db = std::make_unique<Database>(open(path()));
  db->execute("CREATE TABLE t (a)");
  Transaction tx = db->begin();
  db.reset();
  in_child([&] { EXPECT_THROW(static_cast<void>(open(path())), UsageError); });
  add_one(tx);
  tx.commit();
}

TEST_F(Fork, KeepsTheChildFromOpeningAFileThatAnOlderGuardKeepsOpen) {
  // Another Database of the file has come and gone since.
  auto db = std::make_unique<Database>(open(path()));
  db->execute("CREATE TABLE t (a)");
  const Snapshot snapshot = db->snapshot();
  db.reset();
  static_cast<void>(count(open(path())));
  in_child([&] { EXPECT_THROW(static_cast<void>(open(path())), UsageError); });
}

TEST_F(Fork, LetsTheChildOpenAnotherFile) {
  Database db = open(path());
  Transaction tx = db.begin();
  in_child([&] {
    Database other = open(folder_ / "other.db");
    other.execute("CREATE TABLE t (a)");
    other.write_async(add_one).get();
    EXPECT_EQ(count(other), 1);
    other.close();
  });
  tx.rollback();
  EXPECT_EQ(count(open(folder_ / "other.db")), 1);
}

TEST_F(Fork, LetsTheChildOpenWhatTheParentHadClosed) {
  {
    Database db = open(path());
    db.execute("CREATE TABLE t (a)");
  }
  in_child([&] {
    Database db = open(path());
    db.write(add_one);
  });
  EXPECT_EQ(count(open(path())), 1);
}

TEST_F(Fork, LetsTheChildOpenWhatTheParentHadClosedAfterAsynchronousWrites) {
  {
    Database db = open(path());
    db.execute("CREATE TABLE t (a)");
    db.write_async(add_one).get();
    db.close();
  }
  in_child([&] {
    Database db = open(path());
    db.write(add_one);
  });
  EXPECT_EQ(count(open(path())), 2);
}

TEST_F(Fork, LetsAGrandchildOpenWhatTheChildHadClosed) {
  in_child([&] {
    {
      Database db = open(path());
      db.execute("CREATE TABLE t (a)");
    }
    in_child([&] { open(path()).write(add_one); });
    EXPECT_EQ(count(open(path())), 1);
  });
}

TEST_F(Fork, LeavesNamedMemoryDatabasesToTheParent) {
  Database db = Database::in_memory("shared");
  db.execute("CREATE TABLE t (a)");
  in_child([&] {
    EXPECT_THROW(static_cast<void>(Database::in_memory("shared")), UsageError);
    EXPECT_NO_THROW(Database::in_memory("other").execute("CREATE TABLE t (a)"));
  });
  EXPECT_NO_THROW(db.write(add_one));
}

TEST_F(Fork, LeavesAFutureToTheParent) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  Transaction tx = db.begin();
  auto future = std::make_unique<WriteFuture<void>>(db.write_async(add_one));
  in_child([&] { future.reset(); });
  tx.commit();
  EXPECT_NO_THROW(future->get());
  EXPECT_EQ(count(db), 1);
}

TEST_F(Fork, InsideAWriteLeavesItToTheParent) {
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  db.write([&](Transaction& tx) {
    add_one(tx);
    in_child([&] {
      EXPECT_THROW(add_one(tx), UsageError);
      EXPECT_THROW(db.write(add_one), UsageError);
    });
    add_one(tx);
  });
  EXPECT_EQ(count(db), 2);
}

// A child that hangs is ended by its alarm, which fails the test.
TEST_F(Fork, AmongThreadsThatWriteOpenAndCloseLetsEachChildWork) {
  constexpr int kForks = 50;
  Database db = open(path());
  db.execute("CREATE TABLE t (a)");
  std::atomic<bool> is_over = false;
  std::atomic<int> written = 0;
  std::latch at_work(5);
  const auto repeat = [&](const std::function<void()>& work) {
    work();
    at_work.count_down();
    while (!is_over) work();
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        repeat([&] {
          db.write(add_one);
          ++written;
        });
      });
    }
    threads.emplace_back([&] {
      repeat([&] {
        db.write_async(add_one).get();
        ++written;
      });
    });
    threads.emplace_back([&] { repeat([&] { static_cast<void>(count(db)); }); });
    threads.emplace_back([&] {
      repeat([&] {
        Database other = open(folder_ / "coming-and-going.db");
        other.execute("CREATE TABLE IF NOT EXISTS t (a)");
      });
    });
    at_work.wait();
    for (int i = 0; i < kForks && !HasFailure(); ++i) {
      SCOPED_TRACE("fork " + std::to_string(i));
      in_child([&] {
        EXPECT_THROW(db.write(add_one), UsageError);
        Database other = open(folder_ / ("child" + std::to_string(i) + ".db"));
        other.execute("CREATE TABLE t (a)");
        for (int row = 0; row < 10; ++row) other.write(add_one);
        EXPECT_EQ(count(other), 10);
      });
    }
    is_over = true;
  }
  EXPECT_EQ(count(db), written);
}

}  // namespace
}  // namespace sqlane
