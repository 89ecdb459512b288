#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>

#include "support/expect_error.hpp"
#include "support/files.hpp"
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

class Closing : public ::testing::Test {
 protected:
  Closing() { db->execute("CREATE TABLE note (title TEXT)"); }

  void expect_alone() const {
    const auto contents = testing::contents_of(folder.path());
    EXPECT_EQ(contents.size(), 1U) << "a log is left";
    EXPECT_TRUE(contents.contains("app.db"));
  }
  std::string count() { return ForeignConnection(folder / "app.db").ask("SELECT count(*) FROM note"); }

  TemporaryFolder folder;
  std::size_t files_before = testing::count_open_files();
  std::unique_ptr<Database> db =
      std::make_unique<Database>(Database::open(folder / "app.db", {.readers = 2, .acquire_timeout = 1ms}));
};

TEST_F(Closing, LeavesTheDatabaseAlone) {
  db->execute("INSERT INTO note VALUES ('a')");
  EXPECT_EQ(db->query<std::string>("SELECT title FROM note").size(), 1U);
  db->close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  expect_alone();
  EXPECT_EQ(count(), "1");
}

TEST_F(Closing, TwiceDoesNothing) {
  db->close();
  EXPECT_NO_THROW(db->close());
}

TEST_F(Closing, RefusesEverythingAfterwards) {
  db->close();
  EXPECT_THROW(db->execute("DELETE FROM note"), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query_one<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(static_cast<void>(db->query_optional<int>("SELECT 1")), ClosedError);
  EXPECT_THROW(db->write([](Transaction&) {}), ClosedError);
  EXPECT_THROW(db->read([](const Snapshot&) {}), ClosedError);
  EXPECT_THROW(static_cast<void>(db->begin()), ClosedError);
  EXPECT_THROW(static_cast<void>(db->snapshot()), ClosedError);
}

// this thread                  reader
//                              begins a snapshot
// closes: TimeoutError
//                              reads, ends it
// closes
TEST_F(Closing, NamesTheSnapshotThatIsStillAlive) {
  std::latch begun(1);
  std::latch refused(1);
  const int line = __LINE__ + 2;
  std::thread reader([&] {
    const Snapshot snapshot = db->snapshot();
    begun.count_down();
    refused.wait();
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM note"), 0);
  });
  begun.wait();
  const TimeoutError error = error_of<TimeoutError>([&] { db->close(); });
  EXPECT_TRUE(mentions(error, "closing_test.cpp:" + std::to_string(line))) << error.what();
  EXPECT_THROW(db->execute("DELETE FROM note"), ClosedError);
  refused.count_down();
  reader.join();
  EXPECT_NO_THROW(db->close());
  EXPECT_EQ(testing::count_open_files(), files_before);
  expect_alone();
}

TEST_F(Closing, TakesBackTheSnapshotOfAThreadThatHasEnded) {
  std::unique_ptr<Snapshot> snapshot;
  std::thread([&] { snapshot.reset(new Snapshot(db->snapshot())); }).join();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(snapshot->query_one<int>("SELECT 1")); }),
                       "the thread that began it has ended"));
  EXPECT_EQ(db->stats().readers.recovered, 1U);
  EXPECT_NO_THROW(db->close());
  snapshot.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
  expect_alone();
}

TEST_F(Closing, RefusesToWaitForAGuardOfItsOwnThread) {
  auto tx = std::unique_ptr<Transaction>(new Transaction(db->begin()));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { db->close(); }), "closing_test.cpp"));
  tx->execute("INSERT INTO note VALUES ('a')");
  tx->commit();
  EXPECT_NO_THROW(db->close());
  expect_alone();
  EXPECT_EQ(count(), "1");
}

TEST_F(Closing, RefusesToWaitForItselfInsideARead) {
  const int line = __LINE__ + 1;
  db->read([&](const Snapshot&) {
    const UsageError error = error_of<UsageError>([&] { db->close(); });
    EXPECT_TRUE(mentions(error, "closing_test.cpp:" + std::to_string(line))) << error.what();
  });
  EXPECT_NO_THROW(db->execute("INSERT INTO note VALUES ('a')"));
}

TEST_F(Closing, RefusesToWaitForItselfInsideAWrite) {
  db->write([&](Transaction& tx) {
    tx.execute("INSERT INTO note VALUES ('a')");
    EXPECT_THROW(db->close(), UsageError);
  });
  db->close();
  expect_alone();
  EXPECT_EQ(count(), "1");
}

TEST_F(Closing, LetsATransactionOutliveTheDatabase) {
  Transaction tx = db->begin();
  db.reset();
  tx.execute("INSERT INTO note VALUES ('a')");
  EXPECT_EQ(tx.query_one<int>("SELECT count(*) FROM note"), 1);
  tx.commit();
  EXPECT_EQ(testing::count_open_files(), files_before);
  expect_alone();
  EXPECT_EQ(count(), "1");
}

TEST_F(Closing, LetsASnapshotOutliveTheDatabase) {
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
  db.reset();
  EXPECT_EQ(snapshot->query_one<int>("SELECT count(*) FROM note"), 0);
  snapshot.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
  expect_alone();
}

TEST_F(Closing, LeavesNoLogWhicheverGuardEndsLast) {
  for (const bool snapshot_first : {true, false}) {
    SCOPED_TRACE(snapshot_first);
    if (db == nullptr) db = std::make_unique<Database>(Database::open(folder / "app.db"));
    auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
    auto tx = std::unique_ptr<Transaction>(new Transaction(db->begin()));
    db.reset();
    tx->execute("INSERT INTO note VALUES ('a')");
    if (snapshot_first) snapshot.reset();
    tx->commit();
    tx.reset();
    snapshot.reset();
    EXPECT_EQ(testing::count_open_files(), files_before);
    expect_alone();
  }
  EXPECT_EQ(count(), "2");
}

}  // namespace
}  // namespace sqlane
