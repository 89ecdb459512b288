#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <latch>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing/manual_clock.hpp>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "support/accidents.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

// reopen(): a database goes on with what is at its path after an accident.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::Accident;
using testing::accidents;
using testing::another_database;
using testing::beside;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

using Titles = std::vector<std::string>;

class ReopeningBase {
 protected:
  explicit ReopeningBase(Options options) {
    fs::create_directory(path.parent_path());
    options.readers = 2;
    db.emplace(Database::open(path, options));
    db->execute("CREATE TABLE note (title TEXT)");
    insert("before");
    EXPECT_EQ(titles(), Titles{"before"});
  }

  void insert(const std::string& title) { db->execute("INSERT INTO note VALUES (?)", title); }
  [[nodiscard]] Titles titles() const { return titles_of(*db); }
  [[nodiscard]] static Titles titles_of(const Database& database) {
    return database.query<std::string>("SELECT title FROM note");
  }
  [[nodiscard]] fs::path lost_log() const { return beside(path, "-wal.lost"); }

  TemporaryFolder folder;
  fs::path path = folder / "here" / "app.db";
  std::optional<Database> db;
};

class Reopening : public ReopeningBase, public ::testing::TestWithParam<std::tuple<Accident, Locking>> {
 protected:
  Reopening() : ReopeningBase({.locking = std::get<Locking>(GetParam())}) {}

  void happen() {
    std::get<Accident>(GetParam()).happen(path);
    EXPECT_THROW(insert("lost"), IoError);
  }
  [[nodiscard]] bool is(std::string_view name) const { return std::get<Accident>(GetParam()).name == name; }
  [[nodiscard]] bool leaves_no_file() const {
    return is("DatabaseDeleted") || is("DatabaseMoved") || is("FolderMoved") || is("AllDeleted");
  }
  // Nothing: there is no such table.
  [[nodiscard]] std::optional<Titles> expected() const {
    if (leaves_no_file() || is("DatabaseReplaced") || is("DatabaseCopiedOver")) return Titles{"of another file"};
    if (is("LogDeleted") || is("LogMoved") || is("LogReplaced")) {
      return Titles{"before", "lost"};  // it was committed to that log
    }
    if (is("LogCut")) return Titles{};
    return std::nullopt;
  }
  // As the user does.
  void put_a_file_there() {
    EXPECT_TRUE(mentions(error_of<IoError>([&] { db->reopen(); }), "there is no file", "put one there"));
    fs::rename(another_database(path), path);
  }
};

TEST_P(Reopening, GoesOnWithWhatIsThere) {
  happen();
  if (leaves_no_file()) put_a_file_there();
  db->reopen();
  if (expected()) {
    EXPECT_EQ(titles(), *expected());
  } else {
    EXPECT_THROW(static_cast<void>(titles()), SchemaError);
    db->execute("CREATE TABLE note (title TEXT)");
  }
  Titles all = expected().value_or(Titles{});
  insert("after");
  all.emplace_back("after");
  EXPECT_EQ(titles(), all);
  EXPECT_TRUE(db->health().is_healthy());
  EXPECT_EQ(db->query_one<std::string>("PRAGMA integrity_check"), "ok");
  db.reset();
  EXPECT_EQ(titles_of(Database::open(path)), all);
}

// The log of a file that is elsewhere now, or nowhere, can be what somebody misses most.
TEST_P(Reopening, KeepsALogThatBelongsToAnotherFile) {
  const std::string log = [&] {
    happen();
    std::error_code none;
    return fs::exists(beside(path, "-wal"), none) ? testing::bytes_of(beside(path, "-wal")) : "";
  }();
  if (leaves_no_file()) put_a_file_there();
  db->reopen();
  const bool is_of_another = std::get<Accident>(GetParam()).takes_database && !log.empty();
  EXPECT_EQ(fs::exists(lost_log()), is_of_another);
  if (is_of_another) {
    EXPECT_TRUE(testing::bytes_of(lost_log()) == log);
  }
}

TEST_P(Reopening, HoldsForAllWhoShareIt) {
  Database second = Database::open(path, {.locking = std::get<Locking>(GetParam())});
  happen();
  if (leaves_no_file()) put_a_file_there();
  db->reopen();
  Database third = Database::open(path, {.locking = std::get<Locking>(GetParam())});
  second.execute("CREATE TABLE other (a)");
  third.execute("INSERT INTO other VALUES (1)");
  EXPECT_EQ(db->query_one<int>("SELECT a FROM other"), 1);
  EXPECT_EQ(db->stats().lane.jobs, third.stats().lane.jobs) << "one lane";
}

INSTANTIATE_TEST_SUITE_P(After, Reopening,
                         ::testing::Combine(::testing::ValuesIn(accidents()),
                                            ::testing::Values(Locking::shared, Locking::exclusive)),
                         [](const auto& test) {
                           return std::get<Accident>(test.param).name +
                                  (std::get<Locking>(test.param) == Locking::shared ? "Shared" : "Exclusive");
                         });

class ReopeningTest : public ReopeningBase, public ::testing::Test {
 protected:
  ReopeningTest() : ReopeningBase({.acquire_timeout = std::chrono::milliseconds(0)}) {}
};

TEST_F(ReopeningTest, DoesNothingWhereNothingIsLost) {
  const auto before = db->connections();
  const Snapshot held = db->snapshot();
  std::jthread([&] { EXPECT_NO_THROW(db->reopen()); }).join();
  EXPECT_EQ(db->connections().front().id, before.front().id);
  EXPECT_NO_THROW(Database::in_memory().reopen());
}

TEST_F(ReopeningTest, IsRefusedToAThreadThatHoldsSomething) {
  fs::remove(beside(path, "-wal"));
  {
    const Snapshot held = db->snapshot();
    EXPECT_THROW(db->reopen(), UsageError);
  }
  {
    const Transaction held = db->begin();
    EXPECT_THROW(db->reopen(), UsageError);
  }
  EXPECT_THROW(db->write([&](Transaction&) { db->reopen(); }), UsageError);
  db->reopen();
  EXPECT_EQ(titles(), Titles{"before"});
}

TEST_F(ReopeningTest, WaitsForThoseWhoRead) {
  fs::remove(beside(path, "-wal"));
  std::latch has_read(1);
  std::latch may_end(1);
  std::jthread reader([&] {
    const Snapshot held = db->snapshot();
    has_read.count_down();
    may_end.wait();
    EXPECT_EQ(held.query_one<std::string>("SELECT title FROM note"), "before");
  });
  has_read.wait();
  const TimeoutError error = error_of<TimeoutError>([&] { db->reopen(); });
  EXPECT_TRUE(mentions(error, "a reader is still in use", "reopening_test.cpp")) << error.what();
  may_end.count_down();
  reader.join();
  db->reopen();
  insert("after");
  EXPECT_EQ(titles(), (Titles{"before", "after"}));
}

TEST_F(ReopeningTest, IsRefusedWhereThisProcessHasTheFileOpenThatIsThere) {
  const fs::path other_path = another_database(path);
  Database other = Database::open(other_path);
  fs::rename(other_path, path);
  EXPECT_THROW(insert("lost"), IoError);
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { db->reopen(); }), path.string(), "close that Database first"));
  EXPECT_THROW(insert("lost"), IoError);
  other.close();
}

TEST_F(ReopeningTest, FindsANameForEachLog) {
  for (int i = 0; i < 3; ++i) {
    fs::rename(another_database(path), path);
    EXPECT_THROW(insert("lost"), IoError);
    db->reopen();
    insert("after");
    EXPECT_EQ(titles(), (Titles{"of another file", "after"}));
  }
  EXPECT_TRUE(fs::exists(lost_log()));
  EXPECT_TRUE(fs::exists(lost_log().string() + ".2"));
  EXPECT_TRUE(fs::exists(lost_log().string() + ".3"));
}

// What was lost stays lost until then, also where no connection is left that knows of it.
TEST_F(ReopeningTest, IsWhatEndsALoss) {
  fs::remove(beside(path, "-wal"));
  EXPECT_THROW(insert("lost"), IoError);
  fs::remove(path);
  EXPECT_THROW(db->reopen(), IoError);
  fs::rename(another_database(path), path);
  EXPECT_THROW(insert("lost"), IoError);
  EXPECT_FALSE(db->health().is_healthy());
  db->reopen();
  EXPECT_EQ(titles(), Titles{"of another file"});
}

// A log with pages that a checkpoint has copied already, cut below these: the rest would hide newer pages.
TEST_F(ReopeningTest, LeavesOutALogThatHasLessThanTheDatabase) {
  db.reset();
  db.emplace(Database::open(path, {.checkpoint_pages = 4}));
  for (int i = 0; i < 20; ++i) db->execute("INSERT INTO note VALUES (hex(randomblob(3000)))");
  ASSERT_GT(db->stats().checkpoints, 0U);
  fs::resize_file(beside(path, "-wal"), 32);
  EXPECT_THROW(insert("lost"), IoError);
  db->reopen();
  EXPECT_EQ(db->query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_TRUE(mentions(titles().front(), "before"));
}

// The next commit gave it its length back, so that what is missing is zeros.
TEST_F(ReopeningTest, LeavesOutALogWhoseMiddleIsGone) {
  db.reset();
  db.emplace(Database::open(path));
  insert("in the log still");  // with a page that is copied below, as a newer one
  insert("copied");
  {
    const Snapshot held = db->snapshot();  // the log does not start over
    ForeignConnection(path).run("PRAGMA wal_checkpoint");
    insert("in the log alone");
  }
  const fs::path log = beside(path, "-wal");
  const auto size = fs::file_size(log);
  testing::cut(log, 32 + 24 + 4096);
  testing::cut(log, size);
  EXPECT_THROW(insert("lost"), IoError);
  db->reopen();
  EXPECT_EQ(db->query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(titles(), (Titles{"before", "in the log still", "copied"}));
  EXPECT_TRUE(fs::exists(lost_log()));
}

TEST_F(ReopeningTest, KeepsAllWhereOnlyTheLogsNameIsGone) {
  for (int i = 0; i < 10; ++i) insert("before");
  fs::remove(beside(path, "-wal"));
  fs::remove(beside(path, "-shm"));
  EXPECT_THROW(insert("refused"), IoError);
  db->reopen();
  EXPECT_GE(titles().size(), 11U);
  EXPECT_FALSE(fs::exists(lost_log()));
}

// As a connection makes it that is being opened as the log loses its name.
TEST_F(ReopeningTest, KeepsAllWhereAnEmptyLogHasTheName) {
  for (int i = 0; i < 10; ++i) insert("before");
  fs::remove(beside(path, "-wal"));
  testing::write_bytes(beside(path, "-wal"), "");
  EXPECT_THROW(insert("refused"), IoError);
  db->reopen();
  EXPECT_GE(titles().size(), 11U);
  insert("after");
  EXPECT_EQ(titles().back(), "after");
}

// Others can have written to it by now.
TEST_F(ReopeningTest, SavesNoLogWhoseNameIsThatOfAnotherWithContent) {
  insert("in the log");
  fs::rename(beside(path, "-wal"), beside(path, "-wal.moved"));
  testing::write_bytes(beside(path, "-wal"), std::string(32, 'x'));
  EXPECT_THROW(insert("refused"), IoError);
  db->reopen();
  EXPECT_THROW(static_cast<void>(titles()), SchemaError);
  EXPECT_EQ(db->query_one<std::string>("PRAGMA integrity_check"), "ok");
}

// Readers that could not be opened meanwhile are not held against the file that is there now.
TEST_F(ReopeningTest, LetsReadersBeOpenedAtOnce) {
  const testing::ManualClock clock;
  db.reset();
  db.emplace(Database::open(path, clock.into()));
  insert("in the log");
  fs::remove(beside(path, "-wal"));
  std::string said;
  for (int i = 0; i < 20; ++i) said = error_of<Error>([&] { static_cast<void>(titles()); }).what();
  EXPECT_TRUE(mentions(said, "has failed too often") && mentions(said, "call reopen()")) << said;
  db->reopen();
  EXPECT_EQ(titles(), (Titles{"before", "in the log"}));
}

TEST_F(ReopeningTest, OfOneThatIsOnlyRead) {
  db.reset();
  Database reading = Database::open(path, {.mode = OpenMode::read_only});
  EXPECT_EQ(titles_of(reading), Titles{"before"});
  fs::rename(another_database(path), path);
  EXPECT_FALSE(reading.health().is_healthy());
  EXPECT_THROW(static_cast<void>(titles_of(reading)), IoError);
  fs::permissions(path, fs::perms::owner_read);
  reading.reopen();
  EXPECT_EQ(titles_of(reading), Titles{"of another file"});
}

}  // namespace
}  // namespace sqlane
