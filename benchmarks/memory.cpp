#include <algorithm>
#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdint>
#include <random>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing.hpp>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/raw.hpp"

// Databases in memory: point reads by one thread and by two, copies of 10 MB, and
// the longest that a read takes beside a writer that never rests.

namespace sqlane::benchmarks {
namespace {

using std::chrono::steady_clock;

constexpr int kRows = 100'000;
constexpr auto kTenSeconds = std::chrono::seconds(10);

struct Item {
  std::int64_t id;
  std::string name;
  double price;
};

void point_read(benchmark::State& state) {
  static const Database db = testing::load(item_database(kRows), {.readers = 8, .page_cache = 64U << 20U});
  std::minstd_rand random(static_cast<unsigned>(state.thread_index()) + 1);
  for (auto _ : state) {
    const auto id = static_cast<std::int64_t>(random() % kRows) + 1;
    benchmark::DoNotOptimize(db.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?", id));
  }
  state.SetItemsProcessed(state.iterations());
}

// Ten megabytes, as a migrated template would have them.
void clone_ten_megabytes(benchmark::State& state) {
  Database original = Database::in_memory();
  original.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB)");
  original.execute(
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x <= 10000) "
      "INSERT INTO note SELECT x, randomblob(1000) FROM n");
  for (auto _ : state) {
    Database copy = testing::clone(original);
    benchmark::DoNotOptimize(copy.is_open());
    state.PauseTiming();
    copy.close();
    state.ResumeTiming();
  }
}

void reads_beside_a_writer(benchmark::State& state) {
  for (auto _ : state) {
    Database db = testing::load(item_database(kRows), {.readers = 4});
    std::atomic<bool> is_over = false;
    std::atomic<std::uint64_t> writes = 0;
    std::vector<Histogram> latencies(4);
    {
      std::vector<std::jthread> threads;
      threads.emplace_back([&] {
        while (!is_over) {
          const auto first = static_cast<std::int64_t>(writes++ * 20 % kRows);
          db.execute("UPDATE item SET price = price + 1 WHERE id BETWEEN ? AND ? + 20", first, first);
        }
      });
      for (Histogram& own : latencies) {
        threads.emplace_back([&] {
          std::minstd_rand random(1);
          while (!is_over) {
            const auto start = steady_clock::now();
            benchmark::DoNotOptimize(
                db.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?", random() % kRows + 1));
            own.record(steady_clock::now() - start);
          }
        });
      }
      std::this_thread::sleep_for(kTenSeconds);
      is_over = true;
    }
    Histogram all;
    for (const Histogram& own : latencies) all.merge(own);
    state.SetIterationTime(std::chrono::duration<double>(kTenSeconds).count());
    state.counters["reads_per_s"] = static_cast<double>(all.count()) / 10;
    state.counters["writes_per_s"] = static_cast<double>(writes) / 10;
    state.counters["p99_us"] = static_cast<double>(all.quantile(0.99).count()) / 1e3;
    state.counters["max_ms"] = static_cast<double>(all.max().count()) / 1e6;
  }
}

BENCHMARK(point_read)->Name("memory point read")->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(clone_ten_megabytes)->Name("clone of 10 MB in memory")->Unit(benchmark::kMicrosecond);
BENCHMARK(reads_beside_a_writer)
    ->Name("memory reads beside a writer, 10 s")
    ->Iterations(1)
    ->Repetitions(1)
    ->UseManualTime();

}  // namespace
}  // namespace sqlane::benchmarks
