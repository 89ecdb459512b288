#include "support/foreign_process.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::beside;
using testing::ChildProcess;
using testing::error_of;
using testing::ForeignConnection;
using testing::ForeignProcess;
using testing::LinePipe;
using testing::mentions;
using testing::TemporaryFolder;

// The other process begins before the database is opened here.
class AnotherProcess : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(std::chrono::milliseconds busy_timeout = 10ms) {
    Database db = Database::open(folder / "app.db", {.busy_timeout = busy_timeout});
    db.execute("CREATE TABLE IF NOT EXISTS note (title TEXT)");
    other.open();
    return db;
  }

  TemporaryFolder folder;
  ForeignProcess other{folder / "app.db"};
};

// here                       the other
//                            begins, holds the write lock
// BusyError, three times
// reads all the same
//                            commits
// writes
TEST_F(AnotherProcess, ThatHoldsTheWriteLockMakesWritesBusyUntilItLetsGo) {
  Database db = open();
  ASSERT_EQ(other.run("BEGIN IMMEDIATE; INSERT INTO note VALUES ('theirs')"), "0 ");
  const BusyError error = error_of<BusyError>([&] { db.execute("INSERT INTO note VALUES ('mine')"); });
  EXPECT_TRUE(error.is_retryable());
  EXPECT_EQ(error.database(), (folder / "app.db").string());
  EXPECT_THROW(db.write([](Transaction&) {}), BusyError);
  EXPECT_THROW(static_cast<void>(db.begin()), BusyError);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  db.execute("INSERT INTO note VALUES ('mine')");
  EXPECT_EQ(db.query<std::string>("SELECT title FROM note ORDER BY rowid"),
            (std::vector<std::string>{"theirs", "mine"}));
}

TEST_F(AnotherProcess, SeesWhatWasWrittenHereAndIsSeen) {
  Database db = open();
  for (int i = 0; i < 20; ++i) {
    db.execute("INSERT INTO note VALUES (?)", std::to_string(i));
    EXPECT_EQ(other.run("SELECT max(rowid) FROM note"), "0 " + std::to_string(2 * i + 1));
    EXPECT_EQ(other.run("INSERT INTO note VALUES ('theirs')"), "0 ");
    EXPECT_EQ(db.query_one<int>("SELECT max(rowid) FROM note"), 2 * i + 2);
  }
}

TEST_F(AnotherProcess, ThatIsInTheMiddleOfAWriteWhenItIsKilledLeavesNothing) {
  Database db = open();
  ASSERT_EQ(other.run("BEGIN IMMEDIATE; INSERT INTO note VALUES ('theirs')"), "0 ");
  EXPECT_THROW(db.execute("INSERT INTO note VALUES ('mine')"), BusyError);
  other.kill();
  db.execute("INSERT INTO note VALUES ('mine')");
  EXPECT_EQ(db.query<std::string>("SELECT title FROM note"), std::vector<std::string>{"mine"});
}

TEST_F(AnotherProcess, ThatHoldsTheFileKeepsItFromBecomingAWalDatabase) {
  {
    ForeignConnection make(folder / "app.db");
    make.run("CREATE TABLE note (title TEXT)");
  }
  other.open();
  ASSERT_EQ(other.run("BEGIN IMMEDIATE; INSERT INTO note VALUES ('theirs')"), "0 ");
  const OpenError error =
      error_of<OpenError>([&] { static_cast<void>(Database::open(folder / "app.db", {.busy_timeout = 5ms})); });
  EXPECT_TRUE(error.is_retryable()) << error.what();
  ASSERT_EQ(other.run("COMMIT"), "0 ");
  const Database db = Database::open(folder / "app.db", {.busy_timeout = 5ms});
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note"), "theirs");
}

TEST_F(AnotherProcess, ThatReadsOnKeepsItsView) {
  Database db = open();
  ASSERT_EQ(other.run("BEGIN; SELECT count(*) FROM note"), "0 0");
  db.execute("INSERT INTO note VALUES ('mine')");
  EXPECT_EQ(other.run("SELECT count(*) FROM note"), "0 0");
  EXPECT_EQ(other.run("COMMIT; SELECT count(*) FROM note"), "0 1");
}

// Killed

// child                             here
// open, write 1, "1", write 2, …
//                                   has heard 200 acknowledgements: kills it
//                                   all 200 are there
TEST(AKilledProgram, HasEverythingThatItAcknowledged) {
  constexpr int kAcknowledged = 200;
  const TemporaryFolder folder;
  const fs::path path = folder / "app.db";
  int last = 0;
  {
    ChildProcess child([&](const LinePipe&, const LinePipe& to_parent) {
      Database db = Database::open(path, {.checkpoint_pages = 10});
      db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, filler BLOB)");
      for (int i = 1;; ++i) {
        if (i % 2 == 0) {
          db.execute("INSERT INTO note VALUES (?, zeroblob(500))", i);
        } else {
          db.write([&](Transaction& tx) { tx.execute("INSERT INTO note VALUES (?, zeroblob(5000))", i); });
        }
        to_parent.write(std::to_string(i));
      }
    });
    std::string line;
    while (last < kAcknowledged && child.hear(line)) last = std::stoi(line);
    child.kill();
    while (child.hear(line)) last = std::stoi(line);  // acknowledged before it died
  }
  ASSERT_GE(last, kAcknowledged);
  ForeignConnection other(path);  // the stock library recovers it
  EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(other.ask("SELECT count(*) FROM note WHERE id <= " + std::to_string(last)), std::to_string(last));
  const Database db = Database::open(path);
  EXPECT_GE(db.query_one<int>("SELECT max(id) FROM note"), last);
}

}  // namespace
}  // namespace sqlane
