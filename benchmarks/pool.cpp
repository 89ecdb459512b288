#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <random>
#include <sqlane/pool.hpp>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/raw.hpp"

// W1: acquire and release a resource. The raw side is what one would write first:
// a mutex, a condition variable and a vector of what is idle; whoever comes when
// something is idle gets it, so a waiter can wait for ever.
//
// Besides the time of one acquire and release of all threads together: the
// longest that one of them took (ms), and how many the least-served thread got,
// as a part of the mean.

namespace sqlane::benchmarks {
namespace {

using std::chrono::steady_clock;

constexpr auto kLength = std::chrono::seconds(1);
constexpr std::size_t kReaders = 4;
constexpr int kRows = 100'000;

template <class T>
class MutexPool {
 public:
  explicit MutexPool(const std::function<std::unique_ptr<T>()>& make) {
    for (std::size_t i = 0; i < kReaders; ++i) idle_.push_back(make());
  }

  template <class Use>
  void with(Use&& use) {
    std::unique_ptr<T> resource;
    {
      std::unique_lock lock(mutex_);
      came_back_.wait(lock, [&] { return !idle_.empty(); });
      resource = std::move(idle_.back());
      idle_.pop_back();
    }
    use(*resource);
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(resource));
    }
    came_back_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_back_;
  std::vector<std::unique_ptr<T>> idle_;
};

struct Nothing {};

struct Reader {
  RawConnection connection{item_database(kRows)};
  RawStatement select = connection.prepare("SELECT id, name, price FROM item WHERE id = ?");

  void read(int id) {
    sqlite3_bind_int(select.get(), 1, id);
    sqlite3_step(select.get());
    const std::string name(reinterpret_cast<const char*>(sqlite3_column_text(select.get(), 1)));
    benchmark::DoNotOptimize(name.data());
    sqlite3_reset(select.get());
  }
};

template <class T>
std::unique_ptr<T> make() {
  return std::make_unique<T>();
}

template <class T>
struct PoolOfOurs {
  Pool<T> pool{make<T>, {.max = kReaders}};

  template <class Use>
  void with(Use&& use) {
    const auto lease = pool.acquire();
    use(*lease);
  }
};

template <class T>
struct PoolByHand {
  MutexPool<T> pool{make<T>};

  template <class Use>
  void with(Use&& use) {
    pool.with(use);
  }
};

// `use(resource, random)` between acquire and release; the longest is measured of one in `sampled`.
template <class AnyPool, class Use>
void run_threads(benchmark::State& state, int threads, std::uint64_t sampled, const Use& use) {
  struct alignas(64) Worker {
    steady_clock::duration longest{};
    std::uint64_t operations = 0;
  };
  for (auto _ : state) {
    AnyPool pool;
    std::vector<Worker> workers(static_cast<std::size_t>(threads));
    std::atomic<bool> is_over = false;
    std::latch ready(threads + 1);
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        Worker& self = workers[static_cast<std::size_t>(i)];
        std::minstd_rand random(static_cast<unsigned>(i) + 1);
        ready.arrive_and_wait();
        std::uint64_t operations = 0;
        while (!is_over.load(std::memory_order_relaxed)) {
          const bool is_timed = operations % sampled == 0;
          const auto start = is_timed ? steady_clock::now() : steady_clock::time_point();
          pool.with([&](auto& resource) { use(resource, random); });
          if (is_timed) self.longest = std::max(self.longest, steady_clock::now() - start);
          ++operations;
        }
        self.operations = operations;
      });
    }
    ready.arrive_and_wait();
    const auto start = steady_clock::now();
    std::this_thread::sleep_for(kLength);
    is_over = true;
    for (std::thread& thread : running) thread.join();
    const std::chrono::duration<double> elapsed = steady_clock::now() - start;

    std::uint64_t operations = 0;
    std::uint64_t least = ~std::uint64_t{0};
    steady_clock::duration longest{};
    for (const Worker& worker : workers) {
      operations += worker.operations;
      least = std::min(least, worker.operations);
      longest = std::max(longest, worker.longest);
    }
    // One iteration stands for all operations, so the reported time is that of one.
    state.SetIterationTime(elapsed.count() / static_cast<double>(operations));
    state.counters["per_s"] = static_cast<double>(operations) / elapsed.count();
    state.counters["longest_ms"] = std::chrono::duration<double, std::milli>(longest).count();
    state.counters["least"] = static_cast<double>(least) * threads / static_cast<double>(operations);
  }
}

template <class AnyPool>
void one_thread(benchmark::State& state) {
  AnyPool pool;
  for (auto _ : state) {
    pool.with([](auto& resource) { benchmark::DoNotOptimize(&resource); });
  }
}

template <class AnyPool>
void eight_threads(benchmark::State& state) {
  constexpr std::uint64_t kSampled = 1000;
  run_threads<AnyPool>(state, 8, kSampled,
                       [](auto& resource, std::minstd_rand&) { benchmark::DoNotOptimize(&resource); });
}

template <class AnyPool>
void a_hundred_that_read(benchmark::State& state) {
  run_threads<AnyPool>(state, 100, 1, [](Reader& reader, std::minstd_rand& random) {
    reader.read(static_cast<int>(random() % kRows) + 1);
  });
}

void add(const std::string& name, void (*run)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Iterations(1)->Repetitions(3);
}

const bool added = [] {
  benchmark::RegisterBenchmark("W1 acquire and release, 1 thread/raw", one_thread<PoolByHand<Nothing>>);
  benchmark::RegisterBenchmark("W1 acquire and release, 1 thread/sqlane", one_thread<PoolOfOurs<Nothing>>);
  add("W1 acquire and release, 8 threads on 4/raw", eight_threads<PoolByHand<Nothing>>);
  add("W1 acquire and release, 8 threads on 4/sqlane", eight_threads<PoolOfOurs<Nothing>>);
  add("W1 a point read, 100 threads on 4/raw", a_hundred_that_read<PoolByHand<Reader>>);
  add("W1 a point read, 100 threads on 4/sqlane", a_hundred_that_read<PoolOfOurs<Reader>>);
  return true;
}();

}  // namespace
}  // namespace sqlane::benchmarks
