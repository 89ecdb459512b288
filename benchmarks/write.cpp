#include <benchmark/benchmark.h>
#include <sqlane/sqlane.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "benchmarks/raw.hpp"

// W4: bulk insert. W5, W5n: one-INSERT transactions on one thread. W7: empty savepoint.

namespace sqlane::benchmarks {
namespace {

constexpr const char* kCreate = "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)";
constexpr const char* kInsert = "INSERT INTO note (title, body) VALUES (?, ?)";
constexpr int kBulk = 10'000;

std::filesystem::path fresh_file() {
  static int number = 0;
  return scratch_folder() / ("write-" + std::to_string(++number) + ".db");
}

void bind(sqlite3_stmt* insert, int i) {
  const std::string title = "title " + std::to_string(i);
  sqlite3_bind_text(insert, 1, title.c_str(), static_cast<int>(title.size()),
                    reinterpret_cast<sqlite3_destructor_type>(-1));
  sqlite3_bind_text(insert, 2, "body", 4, nullptr);
}

void single_raw(benchmark::State& state, const char* synchronous) {
  RawConnection connection(fresh_file(), synchronous);
  connection.exec(kCreate);
  const RawStatement begin = connection.prepare("BEGIN IMMEDIATE");
  const RawStatement insert = connection.prepare(kInsert);
  const RawStatement commit = connection.prepare("COMMIT");
  int i = 0;
  for (auto _ : state) {
    run(begin.get());
    bind(insert.get(), ++i);
    run(insert.get());
    run(commit.get());
  }
}

void single_sqlane(benchmark::State& state, Durability durability) {
  Database db = Database::open(fresh_file(), {.durability = durability});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  int i = 0;
  for (auto _ : state) {
    const std::string title = "title " + std::to_string(++i);
    db.write([&](Transaction& tx) { tx.execute("INSERT INTO note (title, body) VALUES (?, ?)", title, "body"); });
  }
}

void bulk_raw(benchmark::State& state) {
  RawConnection connection(fresh_file());
  connection.exec(kCreate);
  const RawStatement insert = connection.prepare(kInsert);
  for (auto _ : state) {
    connection.exec("BEGIN IMMEDIATE");
    for (int i = 0; i < kBulk; ++i) {
      bind(insert.get(), i);
      run(insert.get());
    }
    connection.exec("COMMIT");
  }
}

void bulk_sqlane(benchmark::State& state) {
  Database db = Database::open(fresh_file());
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  for (auto _ : state) {
    std::vector<std::tuple<std::string, std::string_view>> rows;
    rows.reserve(kBulk);
    for (int i = 0; i < kBulk; ++i) rows.emplace_back("title " + std::to_string(i), "body");
    db.write([&](Transaction& tx) { tx.execute_many("INSERT INTO note (title, body) VALUES (?, ?)", rows); });
  }
}

void savepoint_raw(benchmark::State& state) {
  RawConnection connection(fresh_file());
  const RawStatement open = connection.prepare("SAVEPOINT s");
  const RawStatement release = connection.prepare("RELEASE s");
  connection.exec("BEGIN IMMEDIATE");
  for (auto _ : state) {
    run(open.get());
    run(release.get());
  }
  connection.exec("COMMIT");
}

void savepoint_sqlane(benchmark::State& state) {
  Database db = Database::open(fresh_file());
  Transaction tx = db.begin();
  for (auto _ : state) {
    Savepoint savepoint = tx.savepoint();
    savepoint.release();
  }
}

void full_raw(benchmark::State& state) { single_raw(state, "FULL"); }
void full_sqlane(benchmark::State& state) { single_sqlane(state, Durability::full); }
void normal_raw(benchmark::State& state) { single_raw(state, "NORMAL"); }
void normal_sqlane(benchmark::State& state) { single_sqlane(state, Durability::normal); }

BENCHMARK(full_raw)->Name("W5 one-INSERT transaction, full/raw");
BENCHMARK(full_sqlane)->Name("W5 one-INSERT transaction, full/sqlane");
BENCHMARK(normal_raw)->Name("W5n one-INSERT transaction, normal/raw");
BENCHMARK(normal_sqlane)->Name("W5n one-INSERT transaction, normal/sqlane");
BENCHMARK(bulk_raw)->Name("W4 10k rows, one transaction/raw")->Unit(benchmark::kMicrosecond);
BENCHMARK(bulk_sqlane)->Name("W4 10k rows, one transaction/sqlane")->Unit(benchmark::kMicrosecond);
BENCHMARK(savepoint_raw)->Name("W7 empty savepoint/raw");
BENCHMARK(savepoint_sqlane)->Name("W7 empty savepoint/sqlane");

}  // namespace
}  // namespace sqlane::benchmarks
