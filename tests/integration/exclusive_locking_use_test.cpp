#include <atomic>
#include <filesystem>
#include <latch>
#include <thread>
#include <vector>

#include "support/exclusive_locking.hpp"
#include "support/open_files.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::count_open_files;
using testing::ExclusiveLocking;

// What goes on as with shared locking.

TEST_F(ExclusiveLocking, LetsReadersSeeOneCommittedStateBesideTheWriter) {
  constexpr int kWrites = 300;
  Database db = open();
  db.execute("CREATE TABLE pair (a INTEGER NOT NULL, b INTEGER NOT NULL)");
  db.execute("INSERT INTO pair VALUES (0, 0)");
  std::atomic<int> written = 0;
  std::latch start(4);
  {
    std::vector<std::jthread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back([&] {
        start.arrive_and_wait();
        for (int seen = 0; seen < kWrites;) {
          const int before = written;
          db.read([&](const Snapshot& snapshot) {
            seen = snapshot.query_one<int>("SELECT a FROM pair");
            EXPECT_EQ(snapshot.query_one<int>("SELECT b FROM pair"), seen);
          });
          EXPECT_GE(seen, before);
          if (HasFailure()) break;
        }
      });
    }
    start.arrive_and_wait();
    for (int i = 1; i <= kWrites; ++i) {
      db.write([&](Transaction& tx) {
        tx.execute("UPDATE pair SET a = ?", i);
        tx.execute("UPDATE pair SET b = ?", i);
      });
      written = i;
    }
  }
  EXPECT_FALSE(has_index_file());
}

// SQLite closes a descriptor of a file that the process has locked only when it
// opens the file again, and uses it then. https://sqlite.org/src/file/src/os_unix.c
TEST_F(ExclusiveLocking, KeepsTheNumberOfDescriptorsBoundedWhileReadersAreReplaced) {
  constexpr int kThreads = 4;
  Options options = exclusive();
  options.upkeep.max_uses = 1;
  Database db = open(options);
  create(db);
  const std::size_t files = count_open_files();
  const auto read = [&] {
    for (int i = 0; i < 200; ++i) EXPECT_EQ(ids(db), std::vector<int>());
  };
  read();
  EXPECT_LE(count_open_files(), files + 2);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(read);
  }
  // For each reader the file, and its log while it is in use.
  EXPECT_LE(count_open_files(), files + 2 * kThreads);
  EXPECT_EQ(db.stats().readers.created, 200U * (kThreads + 1));
  db.close();
  EXPECT_EQ(count_open_files(), files_before);
}

TEST_F(ExclusiveLocking, LetsTheFileBeVacuumed) {
  Database db = open();
  create(db);
  db.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
      "INSERT INTO note SELECT i, zeroblob(1000) FROM n");
  const int before = db.query_one<int>("PRAGMA page_count");
  db.execute("DELETE FROM note WHERE id > 2");
  db.execute("VACUUM");
  EXPECT_LT(db.query_one<int>("PRAGMA page_count"), before / 10);
  EXPECT_TRUE(keeps_the_shell_out());
  db.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
}

TEST_F(ExclusiveLocking, TellsOfItsHealthAndOfAFileThatWasMoved) {
  Database db = open();
  create(db);
  EXPECT_EQ(db.health().verdict, Verdict::healthy);
  fs::rename(path, folder / "moved.db");
  EXPECT_THROW(add(db, 1), IoError);
  fs::rename(folder / "moved.db", path);
}

}  // namespace
}  // namespace sqlane
