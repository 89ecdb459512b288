#include <benchmark/benchmark.h>
#include <random>
#include <sqlane/sqlane.hpp>

#include "benchmarks/raw.hpp"

// W2: one row by its key, each read a transaction of its own, the working set in the page cache.

namespace sqlane::benchmarks {
namespace {

constexpr int kRows = 100'000;
constexpr const char* kSelect = "SELECT id, name, price FROM item WHERE id = ?";

struct Item {
  std::int64_t id;
  std::string name;
  double price;
};

Item read_item(sqlite3_stmt* statement) {
  const auto* name = reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
  return {sqlite3_column_int64(statement, 0),
          std::string(name, static_cast<std::size_t>(sqlite3_column_bytes(statement, 1))),
          sqlite3_column_double(statement, 2)};
}

void raw(benchmark::State& state, const char* begin, const char* end) {
  RawConnection connection(item_database(kRows));
  const RawStatement select = connection.prepare(kSelect);
  std::minstd_rand random(1);
  if (begin != nullptr) connection.exec(begin);
  for (auto _ : state) {
    sqlite3_bind_int64(select.get(), 1, static_cast<sqlite3_int64>(random() % kRows) + 1);
    if (sqlite3_step(select.get()) != SQLITE_ROW) state.SkipWithError("no row");
    Item item = read_item(select.get());
    benchmark::DoNotOptimize(item);
    sqlite3_reset(select.get());
  }
  if (end != nullptr) connection.exec(end);
}

void point_read_raw(benchmark::State& state) { raw(state, nullptr, nullptr); }
void point_read_in_snapshot_raw(benchmark::State& state) { raw(state, "BEGIN", "COMMIT"); }

void point_read_sqlane(benchmark::State& state) {
  const Database db = Database::open(item_database(kRows));
  std::minstd_rand random(1);
  for (auto _ : state) {
    std::optional<Item> item = db.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?",
                                                       static_cast<std::int64_t>(random() % kRows + 1));
    benchmark::DoNotOptimize(item);
  }
}

void point_read_in_snapshot_sqlane(benchmark::State& state) {
  const Database db = Database::open(item_database(kRows));
  std::minstd_rand random(1);
  const Snapshot snapshot = db.snapshot();
  for (auto _ : state) {
    std::optional<Item> item = snapshot.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?",
                                                             static_cast<std::int64_t>(random() % kRows + 1));
    benchmark::DoNotOptimize(item);
  }
}

BENCHMARK(point_read_raw)->Name("W2 point read/raw");
BENCHMARK(point_read_sqlane)->Name("W2 point read/sqlane");
BENCHMARK(point_read_in_snapshot_raw)->Name("W2 point read in a snapshot/raw");
BENCHMARK(point_read_in_snapshot_sqlane)->Name("W2 point read in a snapshot/sqlane");

}  // namespace
}  // namespace sqlane::benchmarks
