#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

// Many threads open and close one file, by three paths, and write: without
// patience for SQLite's locks, so that a second lane would show as BusyError.
TEST(OneLaneUnderLoad, IsSharedByThoseWhoComeAndGo) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 60;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory_symlink(folder.path(), folder / "linked");
  const std::array paths{folder / "a.db", folder / "linked" / "a.db", folder / "linked" / "linked" / "a.db"};
  const std::size_t open_files = testing::count_open_files();
  // Somebody has it open all the time, as the file's last closing and first
  // opening are SQLite's business, which takes its locks for that.
  auto keeper = std::make_unique<Database>(Database::open(paths[0], {.durability = Durability::normal}));
  keeper->execute("CREATE TABLE t (a)");
  std::atomic<int> written = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(seed + t);
        try {
          for (int round = 0; round < kRounds; ++round) {
            Database db = Database::open(paths[random() % paths.size()],
                                         {.durability = random() % 4 == 0 ? Durability::full : Durability::normal,
                                          .acquire_timeout = std::chrono::hours(1),
                                          .busy_timeout = std::chrono::milliseconds(0)});
            for (auto writes = random() % 4; writes > 0; --writes) {
              db.execute("INSERT INTO t VALUES (1)");
              ++written;
            }
            if (random() % 2 == 0) {
              static_cast<void>(db.write_async([](Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }));
              ++written;
            }
            if (random() % 2 == 0) db.close();
          }
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
  }
  keeper->close();
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_EQ(Database::open(paths[0]).query_one<int>("SELECT count(*) FROM t"), written);
}

// As above, but each may be the first and the last one.
TEST(OneLaneUnderLoad, IsMadeAndUnmadeByThoseWhoComeAndGo) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 60;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "a.db";
  const std::size_t open_files = testing::count_open_files();
  std::atomic<int> written = 0;
  {
    Database db = Database::open(path);
    db.execute("CREATE TABLE t (a)");
  }
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(seed + t);
        try {
          for (int round = 0; round < kRounds; ++round) {
            WriteFuture<void> last;
            {
              Database db = Database::open(path, {.durability = Durability::normal});
              db.execute("INSERT INTO t VALUES (1)");
              ++written;
              if (random() % 2 == 0) {
                last = db.write_async([](Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); });
              }
              if (random() % 2 == 0) db.close();
            }
            if (last.valid()) {
              last.get();
              ++written;
            }
          }
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_EQ(Database::open(path).query_one<int>("SELECT count(*) FROM t"), written);
}

}  // namespace
}  // namespace sqlane
