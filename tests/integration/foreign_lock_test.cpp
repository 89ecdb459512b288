#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_process.hpp"
#include "support/lane_queue.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::await_sql;
using testing::await_waiting;
using testing::error_of;
using testing::ForeignProcess;
using testing::mentions;
using testing::TemporaryFolder;

// Another process that has the write lock. It begins before the database is opened here.
class ForeignLock : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(std::chrono::milliseconds busy_timeout) {
    Database db = Database::open(folder / "app.db", {.acquire_timeout = 1h, .busy_timeout = busy_timeout});
    db.execute("CREATE TABLE note (title TEXT)");
    other.open();
    EXPECT_EQ(other.run("BEGIN IMMEDIATE; INSERT INTO note VALUES ('theirs')"), "0 ");
    return db;
  }

  using Titles = std::vector<std::string>;
  static Titles titles(const Database& db) { return db.query<std::string>("SELECT title FROM note ORDER BY rowid"); }

  TemporaryFolder folder;
  ForeignProcess other{folder / "app.db"};
};

// here                       the other
//                            has the write lock
// BEGIN: waits
//                            commits
// sees what it wrote, writes
TEST_F(ForeignLock, IsWaitedForByAWrite) {
  Database db = open(1h);
  Titles seen;
  std::jthread writer([&] {
    db.write([&](Transaction& tx) {
      seen = {tx.query_one<std::string>("SELECT title FROM note")};
      tx.execute("INSERT INTO note VALUES ('mine')");
    });
  });
  await_sql(db, "BEGIN IMMEDIATE");
  EXPECT_EQ(titles(db), Titles()) << "reading needs no lock";
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  writer.join();
  EXPECT_EQ(seen, Titles{"theirs"});
  EXPECT_EQ(titles(db), (Titles{"theirs", "mine"}));
}

TEST_F(ForeignLock, IsWaitedForByAGuardAndByASingleStatement) {
  Database db = open(1h);
  std::jthread guard([&] {
    Transaction tx = db.begin();
    tx.execute("INSERT INTO note VALUES ('of a guard')");
    tx.commit();
  });
  await_sql(db, "BEGIN IMMEDIATE");
  std::jthread statement([&] { db.execute("INSERT INTO note VALUES ('by itself')"); });
  await_waiting(db, 1);
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  guard.join();
  statement.join();
  EXPECT_EQ(titles(db), (Titles{"theirs", "of a guard", "by itself"}));
}

TEST_F(ForeignLock, IsNotWaitedForAfterTheBusyTimeout) {
  Database db = open(3ms);
  int runs = 0;
  const BusyError error = error_of<BusyError>([&] { db.write([&](Transaction&) { ++runs; }); });
  EXPECT_TRUE(error.is_retryable());
  EXPECT_FALSE(error.transaction_ended());
  EXPECT_EQ(error.sql(), "BEGIN IMMEDIATE");
  EXPECT_THROW(static_cast<void>(db.begin()), BusyError);
  EXPECT_EQ(runs, 0);
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  db.write([&](Transaction&) { ++runs; });
  EXPECT_EQ(runs, 1);
}

TEST_F(ForeignLock, FailsEachOfThoseWhoWaitForItByItself) {
  Database db = open(1ms);
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] { EXPECT_THROW(db.execute("INSERT INTO note VALUES ('mine')"), BusyError); });
  }
  writers.clear();
  EXPECT_FALSE(db.lane_holder());
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  EXPECT_EQ(titles(db), Titles{"theirs"});
}

TEST_F(ForeignLock, IsNamedToThoseWhoWaitBehindForTheLane) {
  Database db = open(1h);
  std::jthread writer([&] { db.write([&](Transaction&) {}, {"notes.cpp", 12, "save_note"}); });
  await_sql(db, "BEGIN IMMEDIATE");
  const TimeoutError error = error_of<TimeoutError>([&] { db.write({.timeout = 0ms}, [](Transaction&) {}); });
  EXPECT_TRUE(error.is_retryable());
  for (const char* part : {"held by notes.cpp:12 (save_note)", "running \"BEGIN IMMEDIATE\"",
                           "another process has to give up the write lock"}) {
    EXPECT_TRUE(mentions(error, part)) << error.what();
  }
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  writer.join();
}

TEST_F(ForeignLock, IsNotBlamedForAWriteOfThisProcess) {
  Database db = open(1h);
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  const testing::LaneQueue held(db);
  std::string message;
  std::jthread([&] {
    message = error_of<TimeoutError>([&] { db.write({.timeout = 0ms}, [](Transaction&) {}); }).what();
  }).join();
  EXPECT_TRUE(mentions(message, "held by")) << message;
  EXPECT_FALSE(mentions(message, "another process")) << message;
}

TEST_F(ForeignLock, EndsWithTheOtherProcess) {
  Database db = open(1h);
  std::jthread writer([&] { db.execute("INSERT INTO note VALUES ('mine')"); });
  await_sql(db, "BEGIN IMMEDIATE");
  other.kill();
  writer.join();
  EXPECT_EQ(titles(db), Titles{"mine"});
}

}  // namespace
}  // namespace sqlane
