#include <benchmark/benchmark.h>
#include <sqlane/sqlane.hpp>

#include "benchmarks/raw.hpp"

// W3: all rows, four columns, as structs with strings and as views. W7: a row of integers.

namespace sqlane::benchmarks {
namespace {

constexpr int kRows = 100'000;
constexpr const char* kSelect = "SELECT id, name, price, data FROM item";

struct Item {
  std::int64_t id;
  std::string name;
  double price;
  std::string data;
};

std::string_view text(sqlite3_stmt* statement, int column) {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

void structs_raw(benchmark::State& state) {
  RawConnection connection(item_database(kRows));
  const RawStatement select = connection.prepare(kSelect);
  for (auto _ : state) {
    while (sqlite3_step(select.get()) == SQLITE_ROW) {
      Item item{sqlite3_column_int64(select.get(), 0), std::string(text(select.get(), 1)),
                sqlite3_column_double(select.get(), 2), std::string(text(select.get(), 3))};
      benchmark::DoNotOptimize(item);
    }
    sqlite3_reset(select.get());
  }
}

void structs_sqlane(benchmark::State& state) {
  const Database db = Database::open(item_database(kRows));
  const Snapshot snapshot = db.snapshot();
  for (auto _ : state) {
    for (Item& item : snapshot.query<Item>("SELECT id, name, price, data FROM item")) benchmark::DoNotOptimize(item);
  }
}

void views_raw(benchmark::State& state) {
  RawConnection connection(item_database(kRows));
  const RawStatement select = connection.prepare(kSelect);
  for (auto _ : state) {
    while (sqlite3_step(select.get()) == SQLITE_ROW) {
      std::tuple item(sqlite3_column_int64(select.get(), 0), text(select.get(), 1),
                      sqlite3_column_double(select.get(), 2), text(select.get(), 3));
      benchmark::DoNotOptimize(item);
    }
    sqlite3_reset(select.get());
  }
}

void views_sqlane(benchmark::State& state) {
  const Database db = Database::open(item_database(kRows));
  const Snapshot snapshot = db.snapshot();
  using View = std::tuple<std::int64_t, std::string_view, double, std::string_view>;
  for (auto _ : state) {
    for (View& item : snapshot.query<View>("SELECT id, name, price, data FROM item")) benchmark::DoNotOptimize(item);
  }
}

constexpr int kIntegerRows = 10'000;

void integers_raw(benchmark::State& state) {
  RawConnection connection(item_database(kRows));
  const RawStatement select = connection.prepare("SELECT id, id, id, id, id, id, id, id FROM item LIMIT 10000");
  for (auto _ : state) {
    while (sqlite3_step(select.get()) == SQLITE_ROW) {
      std::int64_t sum = 0;
      for (int i = 0; i < 8; ++i) sum += sqlite3_column_int64(select.get(), i);
      benchmark::DoNotOptimize(sum);
    }
    sqlite3_reset(select.get());
  }
  state.SetItemsProcessed(state.iterations() * kIntegerRows * 8);
}

void integers_sqlane(benchmark::State& state) {
  const Database db = Database::open(item_database(kRows));
  const Snapshot snapshot = db.snapshot();
  for (auto _ : state) {
    for (const Row& row : snapshot.query("SELECT id, id, id, id, id, id, id, id FROM item LIMIT 10000")) {
      std::int64_t sum = 0;
      for (int i = 0; i < 8; ++i) sum += row.get<std::int64_t>(i);
      benchmark::DoNotOptimize(sum);
    }
  }
  state.SetItemsProcessed(state.iterations() * kIntegerRows * 8);
}

BENCHMARK(structs_raw)->Name("W3 scan 100k rows into structs/raw")->Unit(benchmark::kMicrosecond);
BENCHMARK(structs_sqlane)->Name("W3 scan 100k rows into structs/sqlane")->Unit(benchmark::kMicrosecond);
BENCHMARK(views_raw)->Name("W3 scan 100k rows as views/raw")->Unit(benchmark::kMicrosecond);
BENCHMARK(views_sqlane)->Name("W3 scan 100k rows as views/sqlane")->Unit(benchmark::kMicrosecond);
BENCHMARK(integers_raw)->Name("W7 eight integer columns, 10k rows/raw")->Unit(benchmark::kMicrosecond);
BENCHMARK(integers_sqlane)->Name("W7 eight integer columns, 10k rows/sqlane")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sqlane::benchmarks
