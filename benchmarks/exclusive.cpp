#include <benchmark/benchmark.h>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <sqlane/sqlane.hpp>
#include <string>

#include "benchmarks/raw.hpp"

// What Locking::exclusive saves. The raw side has the default file system, as
// most programs do. W2 with 100k and 1M rows, all of them in the page cache; an
// empty write transaction; one-row transactions at either durability.
//
// The database has been written to before, as those that are in use have: while
// the log is empty, each transaction on either side asks for the file's size.
//
// At durability full the raw side has SQLite's defaults, once with a write-ahead
// log (a checkpoint every 1000 pages, in the middle of whichever commit reaches
// them) and once with the rollback journal that is the default. Before that the
// log has started over once: one that still grows takes 1.5 times as long.

namespace sqlane::benchmarks {
namespace {

constexpr int kFew = 100'000;
constexpr int kMany = 1'000'000;
constexpr std::size_t kPageCache = 128U << 20U;
constexpr int kOneLog = 1100;  // commits, after which the log has started over
constexpr const char* kFirstWrite = "UPDATE item SET price = price + 1 WHERE id = 1";
constexpr const char* kSelect = "SELECT id, name, price FROM item WHERE id = ?";

struct Item {
  std::int64_t id;
  std::string name;
  double price;
};

class RandomId {
 public:
  explicit RandomId(int rows) : rows_(static_cast<unsigned>(rows)) {}
  std::int64_t operator()() { return static_cast<std::int64_t>(random_() % rows_) + 1; }

 private:
  unsigned rows_;
  std::minstd_rand random_{1};
};

// One after the other: several changes of a page are one page to a checkpoint.
class NextId {
 public:
  std::int64_t operator()() { return next_++ % kFew + 1; }

 private:
  std::int64_t next_ = 0;
};

std::filesystem::path fresh_file() {
  static int number = 0;
  return scratch_folder() / ("exclusive-" + std::to_string(++number) + ".db");
}

std::filesystem::path fresh_copy() {
  std::filesystem::path file = fresh_file();
  std::filesystem::copy_file(item_database(kFew), file);
  return file;
}

// Point reads

void point_read_raw(benchmark::State& state, int rows, const char* begin, const char* end) {
  RawConnection connection(item_database(rows));
  connection.exec(("PRAGMA cache_size=-" + std::to_string(kPageCache / 1024)).c_str());
  connection.exec(kFirstWrite);
  connection.exec("SELECT sum(length(name)) FROM item");
  const RawStatement select = connection.prepare(kSelect);
  RandomId id(rows);
  connection.exec(begin);
  for (auto _ : state) {
    sqlite3_bind_int64(select.get(), 1, id());
    if (sqlite3_step(select.get()) != SQLITE_ROW) state.SkipWithError("no row");
    const auto* name = reinterpret_cast<const char*>(sqlite3_column_text(select.get(), 1));
    Item item{sqlite3_column_int64(select.get(), 0),
              std::string(name, static_cast<std::size_t>(sqlite3_column_bytes(select.get(), 1))),
              sqlite3_column_double(select.get(), 2)};
    benchmark::DoNotOptimize(item);
    sqlite3_reset(select.get());
  }
  connection.exec(end);
}

Database open_items(int rows) {
  Database db = Database::open(item_database(rows), {.locking = Locking::exclusive, .page_cache = kPageCache});
  db.execute("UPDATE item SET price = price + 1 WHERE id = 1");
  benchmark::DoNotOptimize(db.query_one<std::int64_t>("SELECT sum(length(name)) FROM item"));
  return db;
}

void autocommit_read_sqlane(benchmark::State& state, int rows) {
  const Database db = open_items(rows);
  RandomId id(rows);
  for (auto _ : state) {
    std::optional<Item> item = db.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?", id());
    benchmark::DoNotOptimize(item);
  }
}

void snapshot_read_sqlane(benchmark::State& state, int rows) {
  const Database db = open_items(rows);
  RandomId id(rows);
  const Snapshot snapshot = db.snapshot();
  for (auto _ : state) {
    std::optional<Item> item = snapshot.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?", id());
    benchmark::DoNotOptimize(item);
  }
}

// Transactions

void empty_write_raw(benchmark::State& state) {
  RawConnection connection(fresh_copy(), "NORMAL");
  connection.exec(kFirstWrite);
  const RawStatement begin = connection.prepare("BEGIN IMMEDIATE");
  const RawStatement commit = connection.prepare("COMMIT");
  for (auto _ : state) {
    run(begin.get());
    run(commit.get());
  }
}

void empty_write_sqlane(benchmark::State& state) {
  Database db = Database::open(fresh_copy(), {.durability = Durability::normal, .locking = Locking::exclusive});
  db.execute("UPDATE item SET price = price + 1 WHERE id = 1");
  for (auto _ : state) db.write([](Transaction&) {});
}

template <class Id>
void update_raw(benchmark::State& state, Id id) {
  RawConnection connection(fresh_copy(), "NORMAL");
  const RawStatement begin = connection.prepare("BEGIN IMMEDIATE");
  const RawStatement update = connection.prepare("UPDATE item SET price = price + 1 WHERE id = ?");
  const RawStatement commit = connection.prepare("COMMIT");
  for (auto _ : state) {
    run(begin.get());
    sqlite3_bind_int64(update.get(), 1, id());
    run(update.get());
    run(commit.get());
  }
}

template <class Id>
void update_sqlane(benchmark::State& state, Id id) {
  Database db = Database::open(fresh_copy(), {.durability = Durability::normal, .locking = Locking::exclusive});
  for (auto _ : state) db.execute("UPDATE item SET price = price + 1 WHERE id = ?", id());
}

void durable_insert_raw(benchmark::State& state, const char* journal_mode) {
  RawConnection connection(fresh_file(), "FULL");
  connection.exec("PRAGMA cache_size=-2000");
  connection.exec(journal_mode);
  connection.exec("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  const RawStatement begin = connection.prepare("BEGIN IMMEDIATE");
  const RawStatement insert = connection.prepare("INSERT INTO note (title, body) VALUES ('a title', 'body')");
  const RawStatement commit = connection.prepare("COMMIT");
  const auto write = [&] {
    run(begin.get());
    run(insert.get());
    run(commit.get());
  };
  for (int i = 0; i < kOneLog; ++i) write();
  for (auto _ : state) write();
}

void durable_insert_sqlane(benchmark::State& state, Locking locking) {
  Database db = Database::open(fresh_file(), {.locking = locking});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  const auto write = [&] { db.execute("INSERT INTO note (title, body) VALUES ('a title', 'body')"); };
  for (int i = 0; i < kOneLog; ++i) write();
  for (auto _ : state) write();
}

void durable_insert_shared(benchmark::State& state) { durable_insert_sqlane(state, Locking::shared); }
void durable_insert_exclusive(benchmark::State& state) { durable_insert_sqlane(state, Locking::exclusive); }

BENCHMARK(empty_write_raw)->Name("exclusive, empty write transaction/raw");
BENCHMARK(empty_write_sqlane)->Name("exclusive, empty write transaction/sqlane");
BENCHMARK_CAPTURE(update_raw, , NextId())->Name("exclusive, one-row UPDATE, normal, in order/raw");
BENCHMARK_CAPTURE(update_sqlane, , NextId())->Name("exclusive, one-row UPDATE, normal, in order/sqlane");
BENCHMARK_CAPTURE(update_raw, , RandomId(kFew))->Name("exclusive, one-row UPDATE, normal, random/raw");
BENCHMARK_CAPTURE(update_sqlane, , RandomId(kFew))->Name("exclusive, one-row UPDATE, normal, random/sqlane");
BENCHMARK_CAPTURE(durable_insert_raw, , "PRAGMA journal_mode=WAL")
    ->Name("one-row transaction, full, shared/raw")
    ->UseRealTime();
BENCHMARK(durable_insert_shared)->Name("one-row transaction, full, shared/sqlane")->UseRealTime();
BENCHMARK_CAPTURE(durable_insert_raw, , "PRAGMA journal_mode=WAL")
    ->Name("one-row transaction, full, exclusive/raw")
    ->UseRealTime();
BENCHMARK(durable_insert_exclusive)->Name("one-row transaction, full, exclusive/sqlane")->UseRealTime();
BENCHMARK_CAPTURE(durable_insert_raw, , "PRAGMA journal_mode=DELETE")
    ->Name("one-row transaction, all defaults of SQLite/raw")
    ->UseRealTime();
BENCHMARK(durable_insert_shared)->Name("one-row transaction, all defaults of SQLite/sqlane")->UseRealTime();

const bool added = [] {
  for (const int rows : {kFew, kMany}) {
    const std::string name = "W2 exclusive, " + std::to_string(rows / 1000) + "k rows, ";
    const auto add = [&](const char* what, auto run) { benchmark::RegisterBenchmark((name + what).c_str(), run); };
    add("point read/raw", [=](auto& state) { point_read_raw(state, rows, "", ""); });
    add("point read/sqlane", [=](auto& state) { autocommit_read_sqlane(state, rows); });
    add("in a snapshot/raw", [=](auto& state) { point_read_raw(state, rows, "BEGIN", "COMMIT"); });
    add("in a snapshot/sqlane", [=](auto& state) { snapshot_read_sqlane(state, rows); });
  }
  return true;
}();

}  // namespace
}  // namespace sqlane::benchmarks
