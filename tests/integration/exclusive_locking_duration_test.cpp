#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <vector>

#include "support/exclusive_locking.hpp"
#include "support/files.hpp"
#include "support/sqlite_shell.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ExclusiveLocking;
using testing::is_locked_out;
using testing::success;

// From when to when others are kept out.

TEST_F(ExclusiveLocking, KeepsOthersOutFromOpeningToClosing) {
  ASSERT_EQ(shell("CREATE TABLE note (id INTEGER PRIMARY KEY)"), success());
  Database db = open();
  EXPECT_TRUE(keeps_the_shell_out()) << "it has run no statement yet";
  add(db, 1);
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(ids(db), std::vector{1});
  EXPECT_TRUE(keeps_the_shell_out());
  {
    Transaction tx = db.begin();
    tx.execute("INSERT INTO note VALUES (2)");
    EXPECT_TRUE(keeps_the_shell_out());
    tx.commit();
  }
  {
    const Snapshot snapshot = db.snapshot();
    EXPECT_TRUE(keeps_the_shell_out());
  }
  db.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
  EXPECT_EQ(shell("INSERT INTO note VALUES (3)"), success());
  EXPECT_EQ(ids(open()), (std::vector{1, 2, 3}));
}

TEST_F(ExclusiveLocking, KeepsOthersOutOfAFileThatItHasJustMade) {
  const Database db = open();
  EXPECT_TRUE(is_locked_out(shell("SELECT 1 FROM sqlite_master")));
  EXPECT_TRUE(is_locked_out(shell("CREATE TABLE note (id)")));
}

TEST_F(ExclusiveLocking, LetsOthersInWhenTheDatabaseIsDestroyed) {
  {
    Database db = open();
    create(db);
    add(db, 1);
  }
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(ExclusiveLocking, LastsAsLongAsAGuard) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  auto tx = std::unique_ptr<Transaction>(new Transaction(db->begin()));
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  db.reset();
  tx->execute("INSERT INTO note (id) VALUES (1)");
  tx->commit();
  tx.reset();
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_EQ(snapshot->query_one<int>("SELECT count(*) FROM note"), 0);
  snapshot.reset();
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

// Readers alone never take the lock: it has to outlast a writer that rests.
TEST_F(ExclusiveLocking, LastsWhileReadersComeAndGo) {
  Options options = exclusive();
  options.upkeep.max_uses = 1;
  Database db = open(options);
  create(db);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ids(db), std::vector<int>());
    EXPECT_TRUE(keeps_the_shell_out()) << "after read " << i;
  }
}

TEST_F(ExclusiveLocking, LastsThroughADrain) {
  Database db = open();
  create(db);
  std::latch held(1);
  std::latch drained(1);
  std::jthread reader([&] {
    const Snapshot snapshot = db.snapshot({"report.cpp", 12, "print_report"});
    held.count_down();
    drained.wait();
    EXPECT_THROW(snapshot.query_one<int>("SELECT count(*) FROM note"), InterruptedError);
  });
  held.wait();
  const std::vector<LeaseReport> overstaying = db.drain(0ms);
  ASSERT_EQ(overstaying.size(), 1U);
  EXPECT_EQ(overstaying[0].site.to_string(), "report.cpp:12 (print_report)");
  EXPECT_TRUE(keeps_the_shell_out());
  drained.count_down();
  reader.join();
  EXPECT_TRUE(keeps_the_shell_out());
  db.close();
  EXPECT_EQ(ids_in_shell(), whole(""));
}

TEST_F(ExclusiveLocking, IsLetGoWhenOpeningFails) {
  testing::write_bytes(path, std::string(5000, 'x'));
  const OpenError error = refusal(exclusive());
  EXPECT_EQ(error.code(), SQLITE_NOTADB);
  fs::remove(path);
  EXPECT_EQ(shell("CREATE TABLE note (id)"), success());
}

}  // namespace
}  // namespace sqlane
