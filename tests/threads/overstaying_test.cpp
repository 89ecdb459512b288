#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;

// Each of these would run for ever. An interruption that is lost shows as a test that hangs.
TEST(Overstaying, IsEndedHoweverEarlyItIsNoticed) {
  constexpr int kThreads = 2;
  constexpr int kReads = 200;
  const testing::TemporaryFolder folder;
  const Database db = Database::open(
      folder / "app.db",
      {.readers = kThreads,
       .upkeep = {.leak_threshold = 1ms, .overstaying = Overstaying::interrupted, .maintenance = Maintenance::by_hand},
       .acquire_timeout = 1h});
  std::atomic<int> running = kThreads;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kReads; ++i) {
        EXPECT_THROW(static_cast<void>(db.query_one<std::int64_t>(
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")),
                     InterruptedError);
      }
      --running;
    });
  }
  while (running > 0) db.maintain_now();
  threads.clear();
  EXPECT_GE(db.stats().readers.interrupted, static_cast<std::uint64_t>(kThreads * kReads));
  EXPECT_LE(db.stats().readers.created, static_cast<std::uint64_t>(kThreads)) << "an interrupted reader is kept";
}

}  // namespace
}  // namespace sqlane
