#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <sqlite3.h>
#include <string>

#include "care/checkpoint_governor.hpp"
#include "sqlite/connection.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::beside;
using testing::ForeignConnection;
using testing::TemporaryFolder;

constexpr std::uintmax_t kPage = 4096;
constexpr std::size_t kCheckpointPages = 50;
constexpr std::uintmax_t kEvery = kCheckpointPages * kPage;

class Checkpoints : public ::testing::Test {
 protected:
  Checkpoints() { db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, filler BLOB)"); }

  [[nodiscard]] std::uintmax_t log_size() const {
    return std::filesystem::file_size(beside(folder / "app.db", "-wal"));
  }
  void write() {
    db.execute("INSERT INTO note (filler) VALUES (zeroblob(3000))");
    ++written;
  }
  // What counts in the end: the content, and that it is all in one file.
  void expect_whole() {
    EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), written);
    db.close();
    EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U);
    ForeignConnection other(folder / "app.db");
    EXPECT_EQ(other.ask("PRAGMA integrity_check"), "ok");
    EXPECT_EQ(other.ask("SELECT count(*) FROM note"), std::to_string(written));
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db",
                               {.readers = 4, .durability = Durability::normal, .checkpoint_pages = kCheckpointPages});
  std::int64_t written = 0;
};

TEST_F(Checkpoints, KeepTheLogShort) {
  for (int i = 0; i < 1000; ++i) write();
  EXPECT_LT(log_size(), 3 * kEvery);
  expect_whole();
}

TEST_F(Checkpoints, KeepTheLogShortBesideReadersThatComeAndGo) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), written);
    write();
  }
  EXPECT_LT(log_size(), 3 * kEvery);
  expect_whole();
}

TEST_F(Checkpoints, LetTheLogGrowForALongSnapshotAndStartItOverAfterwards) {
  std::int64_t before = 0;
  {
    write();
    const Snapshot snapshot = db.snapshot();
    before = snapshot.query_one<std::int64_t>("SELECT count(*) FROM note");
    for (int i = 0; i < 600; ++i) write();
    EXPECT_EQ(snapshot.query_one<std::int64_t>("SELECT count(*) FROM note"), before);
    EXPECT_GT(log_size(), 5 * kEvery);
  }
  // SQLite starts the log over from its beginning without making the file
  // shorter, so that the file no longer grows is what there is to see.
  for (int i = 0; i < 200; ++i) write();
  const std::uintmax_t grown = log_size();
  for (int i = 0; i < 1000; ++i) write();
  EXPECT_EQ(log_size(), grown);
  expect_whole();
}

TEST_F(Checkpoints, ReachTheDatabaseFileItself) {
  for (int i = 0; i < 400; ++i) write();
  EXPECT_GT(std::filesystem::file_size(folder / "app.db"), 200 * kPage);
  expect_whole();
}

TEST_F(Checkpoints, GiveWayToAnotherProgramThatWrites) {
  ForeignConnection other(folder / "app.db");
  for (int i = 0; i < 300; ++i) {
    write();
    other.run("INSERT INTO note (filler) VALUES (zeroblob(3000))");
    ++written;
  }
  EXPECT_LT(log_size(), 20 * kEvery);
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), written);
}

// Two readers whose views overlap: there is never a moment without one. They
// move on while they are waited for, as readers on threads of their own do.
TEST(OverlappingReaders, DoNotKeepTheLogFromStartingOver) {
  using detail::Connection;
  using detail::Role;
  const TemporaryFolder folder;
  const std::string path = (folder / "app.db").string();
  ForeignConnection(path).run("CREATE TABLE note (filler BLOB)");
  const auto open = [&](Role role) {
    return std::make_unique<Connection>(detail::ConnectionSettings{.database = path,
                                                                   .role = role,
                                                                   .durability = Durability::normal,
                                                                   .statement_cache = 1,
                                                                   .page_cache = 1U << 20U});
  };
  const auto writer = open(Role::writer);
  const auto one = open(Role::reader);
  const auto two = open(Role::reader);
  one->begin_snapshot();
  two->begin_snapshot();
  const auto move_on = [](Connection& reader) {
    reader.rollback();
    reader.begin_snapshot();
  };
  const auto turn_over = [&](detail::Clock::time_point) {
    move_on(*one);
    move_on(*two);
    return true;
  };
  detail::CheckpointGovernor governor(
      static_cast<int>(kCheckpointPages), [&] { return open(Role::checkpointer); }, turn_over, detail::Clock::steady());
  for (int i = 0; i < 2000; ++i) {
    writer->begin(Behavior::immediate);
    ASSERT_EQ(sqlite3_exec(writer->handle(), "INSERT INTO note VALUES (zeroblob(3000))", nullptr, nullptr, nullptr),
              SQLITE_OK);
    writer->commit();
    if (governor.is_due(*writer)) governor.checkpoint(*writer);
    if (i % 20 == 0) move_on(i % 40 == 0 ? *one : *two);
  }
  EXPECT_LT(std::filesystem::file_size(beside(path, "-wal")), 8 * kEvery);
}

}  // namespace
}  // namespace sqlane
