#include <atomic>
#include <cstdint>
#include <latch>
#include <random>
#include <sqlite3.h>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/effort.hpp"
#include "support/open_files.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

constexpr int kClients = 100;
const int kOperationsOfAClient = testing::with_effort(testing::kHasThreadSanitizer ? 200 : 1000);
constexpr int kReaderConnections = 8;
constexpr std::int64_t kCounters = 1000;

// Reads nine times in ten, and else writes a row of its own and counts one up.
TEST(MixedLoad, LosesNoWriteAndNeverFails) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const testing::TemporaryFolder folder;
  const std::size_t open_files = testing::count_open_files();
  ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
  const sqlite3_int64 memory = sqlite3_memory_used();
  Database db = Database::open(
      folder / "load.db",
      {.readers = kReaderConnections, .durability = Durability::normal, .acquire_timeout = std::chrono::minutes(4)});
  db.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)");
  db.execute(
      "CREATE TABLE written (thread INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (thread, number)) "
      "WITHOUT ROWID");
  db.write([&](Transaction& tx) {
    std::vector<std::pair<std::int64_t, int>> rows;
    for (std::int64_t id = 0; id < kCounters; ++id) rows.emplace_back(id, 0);
    tx.execute_many("INSERT INTO counter VALUES (?, ?)", rows);
  });

  std::atomic<int> writing = 0;
  std::atomic<int> reading = 0;
  std::atomic<int> most_writing = 0;
  std::atomic<int> most_reading = 0;
  const auto note = [](std::atomic<int>& most, int now) {
    int before = most;
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
  };
  std::vector<int> acknowledged(kClients);
  {
    std::latch start(kClients);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kClients; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(seed + static_cast<unsigned>(t));
        std::uniform_int_distribution<std::int64_t> row(0, kCounters - 1);
        int& done = acknowledged[static_cast<std::size_t>(t)];
        start.arrive_and_wait();
        try {
          for (int i = 0; i < kOperationsOfAClient; ++i) {
            const std::int64_t id = row(random);
            if (random() % 10 != 0) {
              db.read([&](const Snapshot& snapshot) {
                note(most_reading, ++reading);
                static_cast<void>(snapshot.query_one<std::int64_t>("SELECT n FROM counter WHERE id = ?", id));
                --reading;
              });
            } else {
              db.write([&](Transaction& tx) {
                note(most_writing, ++writing);
                tx.execute("UPDATE counter SET n = n + 1 WHERE id = ?", id);
                tx.execute("INSERT INTO written VALUES (?, ?)", t, done);
                --writing;
              });
              ++done;
            }
          }
        } catch (const std::exception& error) {
          ADD_FAILURE() << "thread " << t << ": " << error.what();
        }
      });
    }
  }
  EXPECT_EQ(most_writing, 1);
  EXPECT_LE(most_reading, kReaderConnections);

  std::int64_t all = 0;
  for (int t = 0; t < kClients; ++t) {
    const int expected = acknowledged[static_cast<std::size_t>(t)];
    const auto [count, highest] = db.query_one<std::tuple<int, int>>(
        "SELECT count(*), coalesce(max(number), -1) FROM written WHERE thread = ?", t);
    EXPECT_EQ(count, expected) << "of thread " << t;
    EXPECT_EQ(highest, expected - 1) << "of thread " << t;
    all += expected;
  }
  EXPECT_GT(all, 0);
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT sum(n) FROM counter"), all);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  db.close();
  EXPECT_EQ(testing::count_open_files(), open_files);
  EXPECT_EQ(sqlite3_memory_used(), memory) << "a connection or a statement is left";
  EXPECT_FALSE(std::filesystem::exists(folder / "load.db-wal"));
}

}  // namespace
}  // namespace sqlane
