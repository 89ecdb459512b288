#include "cli/recommendations.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1U << 20U;

// A disk that syncs in 2 ms, a file that is larger than the usual cache.
BenchMeasurements usual() {
  BenchMeasurements found;
  found.cores = 4;
  found.page_size = 4096;
  found.file_bytes = 100'000'000;
  found.page_cache_for_all = 101 * kMiB;
  found.default_page_cache = 16 * kMiB;
  found.default_checkpoint_pages = 1000;
  found.sync.append = {.count = 100, .median = 2ms, .p99 = 5ms, .max = 6ms};
  const auto batch = [](Durability durability, std::size_t rows, double rate) {
    return WriteMeasurement{.durability = durability, .rows = rows, .rows_per_second = rate};
  };
  found.batches = {batch(Durability::full, 1, 400),         batch(Durability::full, 10, 4'000),
                   batch(Durability::full, 100, 36'000),    batch(Durability::full, 1000, 40'000),
                   batch(Durability::normal, 1, 40'000),    batch(Durability::normal, 10, 100'000),
                   batch(Durability::normal, 100, 200'000), batch(Durability::normal, 1000, 220'000)};
  found.writers = {{.threads = 1, .rows_per_second = 400}, {.threads = 64, .rows_per_second = 20'000}};
  found.reads = {{.mode = ReadMode::autocommit, .threads = 1, .per_second = 100'000},
                 {.mode = ReadMode::autocommit, .threads = 4, .per_second = 350'000},
                 {.mode = ReadMode::snapshot, .threads = 1, .per_second = 500'000}};
  found.cache_reads = {{.page_cache = 16 * kMiB, .per_second = 100'000},
                       {.page_cache = 101 * kMiB, .per_second = 250'000}};
  found.locking = {{.locking = Locking::shared, .rows_per_second = 40'000},
                   {.locking = Locking::exclusive, .rows_per_second = 60'000}};
  found.locking_reads = {{.locking = Locking::shared, .per_second = 100'000},
                         {.locking = Locking::exclusive, .per_second = 200'000}};
  found.checkpoints = {{.checkpoint_pages = 250, .rows_per_second = 50'000},
                       {.checkpoint_pages = 1000, .rows_per_second = 95'000},
                       {.checkpoint_pages = 4000, .rows_per_second = 100'000}};
  return found;
}

struct Case {
  const char* what;
  void (*change)(BenchMeasurements&);
  const char* setting;
  const char* advice;
  const char* reason;  // a part of it
};

TEST(Recommendations, FollowFromTheMeasurements) {
  for (const Case& it : {
           Case{"a disk that syncs slowly", [](auto&) {}, "durability", "full", "100 times"},
           Case{"normal is not much faster", [](auto& found) { found.batches[4].rows_per_second = 500; }, "durability",
                "full", "next to nothing"},
           Case{"a sync that no disk does", [](auto& found) { found.sync.append.median = 2us; }, "durability", "full",
                "no disk can do"},
           Case{"hundred rows have most of it", [](auto&) {}, "rows of a transaction", "100", "36.0 k rows/s"},
           Case{"a thousand rows bring more", [](auto& found) { found.batches[3].rows_per_second = 90'000; },
                "rows of a transaction", "1000", "90.0 k rows/s"},
           Case{"one row is as fast as many",
                [](auto& found) {
                  for (auto& batch : found.batches) batch.rows_per_second = 1000;
                },
                "rows of a transaction", "1", "about as fast"},
           Case{"writers share syncs", [](auto&) {}, "writing threads", "as many as there are", "50 times"},
           Case{"writers share nothing", [](auto& found) { found.writers[1].rows_per_second = 410; }, "writing threads",
                "one is enough", "brings nothing"},
           Case{"a larger cache reads faster", [](auto&) {}, "page_cache", "101MiB", "2.5 times"},
           Case{"a larger cache reads no faster", [](auto& found) { found.cache_reads[1].per_second = 105'000; },
                "page_cache", "16MiB", "operating system"},
           Case{"the usual cache holds the file", [](auto& found) { found.page_cache_for_all = 2 * kMiB; },
                "page_cache", "16MiB", "holds the whole file"},
           Case{"readers help each other", [](auto&) {}, "readers", "4 (the default)", "3.5 times"},
           Case{"readers do not", [](auto& found) { found.reads[1].per_second = 101'000; }, "readers", "few",
                "bring no more"},
           Case{"a snapshot saves locks", [](auto&) {}, "several reads", "in one db.read()", "5.0 times"},
           Case{"exclusive is faster", [](auto&) {}, "locking", "exclusive, if no other process needs the file",
                "200.0 k/s against 100.0 k/s"},
           Case{"exclusive is not",
                [](auto& found) {
                  found.locking[1].rows_per_second = 41'000;
                  found.locking_reads[1].per_second = 101'000;
                },
                "locking", "shared", "little"},
           Case{"the default checkpoints as well", [](auto&) {}, "checkpoint_pages", "1000 (the default)",
                "within a tenth"},
           Case{"later checkpoints are better", [](auto& found) { found.checkpoints[1].rows_per_second = 60'000; },
                "checkpoint_pages", "4000", "16.4 MB"},
       }) {
    BenchMeasurements found = usual();
    it.change(found);
    const auto all = recommend(found);
    const auto one =
        std::find_if(all.begin(), all.end(), [&](const Recommendation& each) { return each.setting == it.setting; });
    ASSERT_NE(one, all.end()) << it.what;
    EXPECT_EQ(one->advice, it.advice) << it.what;
    EXPECT_NE(one->reason.find(it.reason), std::string::npos) << it.what << ": " << one->reason;
  }
}

TEST(Recommendations, AreNotMadeOfWhatWasNotMeasured) {
  BenchMeasurements nothing;
  nothing.page_cache_for_all = 2 * kMiB;
  nothing.default_page_cache = kMiB;
  EXPECT_TRUE(recommend(nothing).empty());
  BenchMeasurements found = usual();
  found.cores = 1;
  found.reads.resize(1);
  for (const Recommendation& one : recommend(found)) {
    EXPECT_NE(one.setting, "readers");
    EXPECT_NE(one.setting, "several reads");
  }
}

}  // namespace
}  // namespace sqlane::cli
