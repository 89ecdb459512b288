#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

constexpr int kOpeners = 8;
constexpr int kOpenings = 50;

TEST(ConcurrentOpen, OfANewFileWorksForEverybody) {
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  for (int round = 0; round < kOpenings; ++round) {
    const std::filesystem::path path = folder / ("new" + std::to_string(round) + ".db");
    std::latch start(kOpeners);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kOpeners; ++t) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        try {
          Database db = Database::open(path, {.durability = Durability::normal});
          EXPECT_EQ(db.begin().query_one<std::string>("PRAGMA journal_mode"), "wal");
          db.execute("CREATE TABLE IF NOT EXISTS t (a)");
          db.execute("INSERT INTO t VALUES (1)");
          db.close();
        } catch (const std::exception& error) {
          ADD_FAILURE() << "round " << round << ": " << error.what();
        }
      });
    }
    threads.clear();
    Database db = Database::open(path);
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM t"), kOpeners);
  }
  EXPECT_EQ(testing::count_open_files(), open_files);
  // Nothing but the databases is left: no file that was made beside one.
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(files, kOpenings);
}

TEST(ConcurrentOpen, OfANamedMemoryDatabaseGivesOneDatabase) {
  for (int round = 0; round < kOpenings; ++round) {
    const std::string name = "round" + std::to_string(round);
    std::latch start(kOpeners);
    std::latch all_open(kOpeners);
    std::latch all_wrote(kOpeners);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kOpeners; ++t) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        Database db = Database::in_memory(name);
        all_open.arrive_and_wait();
        db.execute("CREATE TABLE IF NOT EXISTS t (a)");
        db.execute("INSERT INTO t VALUES (1)");
        all_wrote.arrive_and_wait();
        EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM t"), kOpeners);
      });
    }
  }
}

}  // namespace
}  // namespace sqlane
