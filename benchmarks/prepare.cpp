#include <benchmark/benchmark.h>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <string>
#include <tuple>

#include "benchmarks/raw.hpp"

// Preparing a statement whose text is new each time, on one thread and on two,
// each with a connection of its own. The time is that of one statement of all
// threads together: half as long on two threads, where it scales. Compare with
// --memory_statistics=off.

namespace sqlane::benchmarks {
namespace {

constexpr int kRows = 100'000;

// Made by one of the threads.
const std::filesystem::path& items() {
  static const std::filesystem::path file = item_database(kRows);
  return file;
}

std::string new_text(int number) {
  return "SELECT id, name, price FROM item WHERE id = " + std::to_string(number % kRows + 1) + " AND price > 0";
}

void prepare_raw(benchmark::State& state) {
  RawConnection connection(items());
  int number = 0;
  for (auto _ : state) {
    const RawStatement select = connection.prepare(new_text(++number).c_str());
    benchmark::DoNotOptimize(sqlite3_step(select.get()));
  }
}

void prepare_sqlane(benchmark::State& state) {
  static std::optional<const Database> db;  // the loop begins and ends on all threads at once
  if (state.thread_index() == 0) db.emplace(Database::open(items()));
  int number = 0;
  for (auto _ : state) {
    const std::string text = new_text(++number);
    benchmark::DoNotOptimize(db->query_optional<std::tuple<std::int64_t, std::string, double>>(runtime_sql(text)));
  }
  if (state.thread_index() == 0) db.reset();
}

BENCHMARK(prepare_raw)->Name("preparing, 1 thread/raw")->UseRealTime();
BENCHMARK(prepare_sqlane)->Name("preparing, 1 thread/sqlane")->UseRealTime();
BENCHMARK(prepare_raw)->Name("preparing, 2 threads/raw")->Threads(2)->UseRealTime();
BENCHMARK(prepare_sqlane)->Name("preparing, 2 threads/sqlane")->Threads(2)->UseRealTime();

}  // namespace
}  // namespace sqlane::benchmarks
