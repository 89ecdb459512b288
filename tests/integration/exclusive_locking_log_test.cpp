#include <filesystem>
#include <string>
#include <vector>

#include "support/exclusive_locking.hpp"
#include "support/files.hpp"
#include "support/foreign_process.hpp"
#include "support/sqlite_shell.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::beside;
using testing::ChildProcess;
using testing::ExclusiveLocking;
using testing::is_locked_out;
using testing::LinePipe;
using testing::success;

// The log, and what is left behind for others.

TEST_F(ExclusiveLocking, HasNoIndexFile) {
  Database db = open();
  create(db);
  add(db, 1);
  EXPECT_EQ(ids(db), std::vector{1});
  EXPECT_TRUE(has_log());
  EXPECT_FALSE(has_index_file());
  db.close();
  EXPECT_EQ(testing::contents_of(folder.path()).size(), 1U) << "the file alone";
}

TEST_F(ExclusiveLocking, CopiesTheLogBackAndStartsItOver) {
  constexpr std::uintmax_t kPage = 4096;
  Options options = exclusive();
  options.checkpoint_pages = 50;
  Database db = open(options);
  create(db);
  for (int i = 0; i < 1000; ++i) {
    db.execute("INSERT INTO note (filler) VALUES (zeroblob(3000))");
    EXPECT_EQ(db.query_one<int>("SELECT max(id) FROM note"), i + 1);
  }
  EXPECT_GT(db.stats().checkpoints, 10U);
  EXPECT_LT(fs::file_size(beside(path, "-wal")), 3 * 50 * kPage);
  EXPECT_TRUE(keeps_the_shell_out());
  EXPECT_FALSE(has_index_file());
  db.close();
  EXPECT_EQ(shell("PRAGMA integrity_check; SELECT count(*) FROM note"), success("ok\n1000"));
}

// A child that writes 1, 2, … into the file, with no checkpoint, until it is killed.
void write_and_be_killed(const fs::path& path, int acknowledged) {
  ChildProcess child([&](const LinePipe& from_parent, const LinePipe& to_parent) {
    Database db = Database::open(
        path, {.durability = Durability::normal, .locking = Locking::exclusive, .checkpoint_pages = 1'000'000});
    db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    for (int id = 1;; ++id) {
      db.execute("INSERT INTO note VALUES (?)", id);
      if (id == acknowledged) {
        Transaction tx = db.begin();
        tx.execute("DELETE FROM note");
        to_parent.write("done");
        std::string line;
        static_cast<void>(from_parent.read(line));  // for ever
      }
    }
  });
  EXPECT_EQ(child.hear(), "done");
  EXPECT_TRUE(is_locked_out(testing::run_in_shell(path, "SELECT 1 FROM note")));
  child.kill();
  EXPECT_TRUE(fs::exists(beside(path, "-wal")));
  EXPECT_FALSE(fs::exists(beside(path, "-shm")));
}

TEST_F(ExclusiveLocking, LeavesALogThatOthersReadWhenItIsKilled) {
  write_and_be_killed(path, 4);
  EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
}

TEST_F(ExclusiveLocking, LeavesALogThatItReadsItselfWhenItIsKilled) {
  for (const Options& options : {exclusive(), shared()}) {
    fs::remove(path);
    write_and_be_killed(path, 4);
    EXPECT_EQ(ids(open(options)), (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
  }
}

TEST_F(ExclusiveLocking, LeavesALogThatOthersReadBesideAnOlderIndex) {
  ASSERT_EQ(shell("PRAGMA journal_mode=WAL"), success("wal"));
  write_and_be_killed(path, 4);
  testing::write_bytes(beside(path, "-shm"), std::string(32U << 10U, '\x5a'));
  EXPECT_EQ(ids_in_shell(), whole("1,2,3,4"));
}

}  // namespace
}  // namespace sqlane
