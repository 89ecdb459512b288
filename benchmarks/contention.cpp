#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <random>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing.hpp>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/raw.hpp"

// W5, W5n: one-INSERT transactions of many threads. W6: 100 threads, 90 % point
// reads, 10 % write transactions. The raw side has a connection for each thread.
// W8: the mixture of W6 by 8 threads on a database in memory.
//
// Besides the time per operation of all threads together: the latency of writes
// in µs (p50, p99, p99.9, max), and how many operations the least-served thread
// got, as a part of the mean.

namespace sqlane::benchmarks {
namespace {

using std::chrono::steady_clock;

constexpr auto kLength = std::chrono::seconds(1);
constexpr int kRows = 100'000;
constexpr const char* kCreate = "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)";
constexpr const char* kInsert = "INSERT INTO note (title, body) VALUES (?, ?)";

struct Work {
  std::function<void()> write;
  std::function<void(int id)> read;
};

struct Load {
  int threads = 1;
  int writes_percent = 100;
};

// `connect` makes each thread's work.
void run_threads(benchmark::State& state, Load load, const std::function<Work(int thread)>& connect) {
  struct Worker {
    Histogram writes;
    std::uint64_t operations = 0;
  };
  for (auto _ : state) {
    std::vector<Worker> workers(static_cast<std::size_t>(load.threads));
    std::atomic<bool> is_over = false;
    std::latch ready(load.threads + 1);
    std::vector<std::thread> threads;
    for (int i = 0; i < load.threads; ++i) {
      threads.emplace_back([&, i] {
        Worker& self = workers[static_cast<std::size_t>(i)];
        const Work work = connect(i);
        std::minstd_rand random(static_cast<unsigned>(i) + 1);
        ready.arrive_and_wait();
        while (!is_over.load(std::memory_order_relaxed)) {
          if (static_cast<int>(random() % 100) < load.writes_percent) {
            const auto start = steady_clock::now();
            work.write();
            self.writes.record(steady_clock::now() - start);
          } else {
            work.read(static_cast<int>(random() % kRows) + 1);
          }
          ++self.operations;
        }
      });
    }
    ready.arrive_and_wait();
    const auto start = steady_clock::now();
    std::this_thread::sleep_for(kLength);
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> elapsed = steady_clock::now() - start;

    Histogram writes;
    std::uint64_t operations = 0;
    std::uint64_t least = ~std::uint64_t{0};
    for (const Worker& worker : workers) {
      writes.merge(worker.writes);
      operations += worker.operations;
      least = std::min(least, worker.operations);
    }
    const auto microseconds = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e3; };
    // One iteration stands for all operations, so the reported time is that of one.
    state.SetIterationTime(elapsed.count() / static_cast<double>(operations));
    state.counters["per_s"] = static_cast<double>(operations) / elapsed.count();
    state.counters["p50"] = microseconds(writes.quantile(0.5));
    state.counters["p99"] = microseconds(writes.quantile(0.99));
    state.counters["p99.9"] = microseconds(writes.quantile(0.999));
    state.counters["max"] = microseconds(writes.max());
    state.counters["least"] = static_cast<double>(least) * load.threads / static_cast<double>(operations);
  }
}

std::filesystem::path fresh_file() {
  static int number = 0;
  std::filesystem::path file = scratch_folder() / ("contention-" + std::to_string(++number) + ".db");
  std::filesystem::copy_file(item_database(kRows), file);
  return file;
}

struct RawWork {
  RawWork(const std::filesystem::path& file, const char* synchronous) : connection(file, synchronous) {}

  void write() {
    run(begin.get());
    sqlite3_bind_text(insert.get(), 1, "a title", -1, nullptr);
    sqlite3_bind_text(insert.get(), 2, "body", -1, nullptr);
    run(insert.get());
    run(commit.get());
  }
  void read(int id) {
    sqlite3_bind_int(select.get(), 1, id);
    sqlite3_step(select.get());
    const std::string name(reinterpret_cast<const char*>(sqlite3_column_text(select.get(), 1)));
    benchmark::DoNotOptimize(name.data());
    sqlite3_reset(select.get());
  }

  RawConnection connection;
  RawStatement begin = connection.prepare("BEGIN IMMEDIATE");
  RawStatement insert = connection.prepare(kInsert);
  RawStatement commit = connection.prepare("COMMIT");
  RawStatement select = connection.prepare("SELECT id, name, price FROM item WHERE id = ?");
};

void raw(benchmark::State& state, Load load, const char* synchronous) {
  const std::filesystem::path file = fresh_file();
  RawConnection(file).exec(kCreate);
  run_threads(state, load, [&](int) -> Work {
    auto own = std::make_shared<RawWork>(file, synchronous);
    sqlite3_busy_timeout(own->connection.handle(), 60'000);
    return {.write = [own] { own->write(); }, .read = [own](int id) { own->read(id); }};
  });
}

void sqlane(benchmark::State& state, Load load, Database db) {
  struct Item {
    std::int64_t id;
    std::string name;
    double price;
  };
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  run_threads(state, load, [&](int) -> Work {
    return {
        .write = [&] { db.execute("INSERT INTO note (title, body) VALUES (?, ?)", "a title", "body"); },
        .read =
            [&](int id) {
              benchmark::DoNotOptimize(db.query_optional<Item>("SELECT id, name, price FROM item WHERE id = ?", id));
            }};
  });
}

void sqlane(benchmark::State& state, Load load, Durability durability, Locking locking = Locking::shared) {
  sqlane(state, load, Database::open(fresh_file(), {.readers = 8, .durability = durability, .locking = locking}));
}

void sqlane_memory(benchmark::State& state, Load load) {
  sqlane(state, load, testing::load(item_database(kRows), {.readers = 8}));
}

// The same by closures of two statements, which take a savepoint each.
void sqlane_closures(benchmark::State& state, Load load, Durability durability) {
  Database db = Database::open(fresh_file(), {.durability = durability});
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)");
  run_threads(state, load, [&](int) -> Work {
    return {.write =
                [&] {
                  db.write([](Transaction& tx) {
                    tx.execute("INSERT INTO note (title, body) VALUES (?, ?)", "a title", "body");
                  });
                },
            .read = {}};
  });
}

void add(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(1)->Repetitions(3);
}

const bool added = [] {
  for (const int threads : {1, 8, 100}) {
    const Load load{.threads = threads};
    const std::string with = "-INSERT transactions, " + std::to_string(threads) + " threads, ";
    add("W5 one" + with + "full/raw", [=](auto& state) { raw(state, load, "FULL"); });
    add("W5 one" + with + "full/sqlane", [=](auto& state) { sqlane(state, load, Durability::full); });
    add("W5 one" + with + "full, closures", [=](auto& state) { sqlane_closures(state, load, Durability::full); });
    add("W5n one" + with + "normal/raw", [=](auto& state) { raw(state, load, "NORMAL"); });
    add("W5n one" + with + "normal/sqlane", [=](auto& state) { sqlane(state, load, Durability::normal); });
    add("W5n one" + with + "normal, closures", [=](auto& state) { sqlane_closures(state, load, Durability::normal); });
  }
  const Load mixed{.threads = 100, .writes_percent = 10};
  add("W6 100 threads, 10 % writes, full/raw", [=](auto& state) { raw(state, mixed, "FULL"); });
  add("W6 100 threads, 10 % writes, full/sqlane", [=](auto& state) { sqlane(state, mixed, Durability::full); });
  add("W6n 100 threads, 10 % writes, normal/raw", [=](auto& state) { raw(state, mixed, "NORMAL"); });
  add("W6n 100 threads, 10 % writes, normal/sqlane", [=](auto& state) { sqlane(state, mixed, Durability::normal); });
  add("W6n 100 threads, 10 % writes, normal, exclusive/sqlane",
      [=](auto& state) { sqlane(state, mixed, Durability::normal, Locking::exclusive); });
  const Load few{.threads = 8, .writes_percent = 10};
  add("W8 in memory, 8 threads, 10 % writes/sqlane", [=](auto& state) { sqlane_memory(state, few); });
  return true;
}();

}  // namespace
}  // namespace sqlane::benchmarks
