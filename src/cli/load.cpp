#include "cli/load.hpp"

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <thread>

namespace sqlane::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGlanceEvery{200};

struct Worker {
  Histogram reads;
  Histogram writes;
  std::uint64_t busy_errors = 0;
  std::uint64_t other_errors = 0;
  std::uint64_t misses = 0;
  std::string first_error;
  std::vector<std::int64_t> acknowledged;
};

class Load {
 public:
  Load(Subject& subject, const LoadPlan& plan)
      : subject_(subject), plan_(plan), workers_(plan.threads), ready_(static_cast<std::ptrdiff_t>(plan.threads)) {}

  LoadResult run(const std::function<void(const LoadGlance&)>& on_glance) {
    std::vector<std::thread> threads;
    threads.reserve(workers_.size());
    for (std::size_t i = 0; i < workers_.size(); ++i) threads.emplace_back([this, i] { work(i); });
    ready_.wait();
    const auto start = steady_clock::now();
    go_.count_down();
    watch(start, on_glance);
    is_over_ = true;
    const auto end = steady_clock::now();
    for (std::thread& thread : threads) thread.join();
    LoadResult result;
    result.elapsed = end - start;
    gather(result);
    return result;
  }

 private:
  void work(std::size_t index) {
    Worker& self = workers_[index];
    std::unique_ptr<Session> session;
    try {
      session = subject_.connect();
    } catch (const std::exception& error) {
      note(self, error);
    }
    ready_.count_down();
    go_.wait();
    if (session == nullptr) return;
    std::minstd_rand random(static_cast<unsigned>(index) + 1);
    std::uniform_int_distribution<int> percent(0, 99);
    std::uniform_int_distribution<std::size_t> any_key(0, plan_.keys->size() - 1);
    Visit visit{.run = plan_.run, .worker = static_cast<std::int64_t>(index)};
    while (!is_over_.load(std::memory_order_relaxed)) {
      const CrsKey& key = (*plan_.keys)[any_key(random)];
      if (percent(random) < plan_.writes_percent) {
        visit.crs = &key;
        ++visit.sequence;
        write(*session, self, visit);
      } else {
        read(*session, self, key);
      }
    }
  }

  void read(Session& session, Worker& self, const CrsKey& key) try {
    const auto start = steady_clock::now();
    reading_.fetch_add(1, std::memory_order_relaxed);
    const bool found = session.look_up(key);
    reading_.fetch_sub(1, std::memory_order_relaxed);
    self.reads.record(steady_clock::now() - start);
    if (!found) ++self.misses;
  } catch (const std::exception& error) {
    reading_.fetch_sub(1, std::memory_order_relaxed);
    note(self, error);
  }

  void write(Session& session, Worker& self, const Visit& visit) {
    bool waits = true;
    waiting_writers_.fetch_add(1, std::memory_order_relaxed);
    const auto on_begin = [this, &waits] {
      waits = false;
      waiting_writers_.fetch_sub(1, std::memory_order_relaxed);
    };
    const auto start = steady_clock::now();
    try {
      session.record(visit, on_begin);
      self.writes.record(steady_clock::now() - start);
      self.acknowledged.push_back(visit.sequence);
    } catch (const SubjectBusy&) {
      ++self.busy_errors;
    } catch (const std::exception& error) {
      note(self, error);
    }
    if (waits) on_begin();
  }

  static void note(Worker& self, const std::exception& error) {
    if (self.other_errors++ == 0) self.first_error = error.what();
  }

  void watch(steady_clock::time_point start, const std::function<void(const LoadGlance&)>& on_glance) {
    const auto end = start + std::chrono::duration_cast<steady_clock::duration>(plan_.length);
    std::uint64_t seen = 0;
    auto last = start;
    while (true) {
      const auto next = std::min(end, last + std::chrono::duration_cast<steady_clock::duration>(kGlanceEvery));
      std::this_thread::sleep_until(next);
      const auto now = steady_clock::now();
      const auto reads = std::make_unique<Histogram>();
      const auto writes = std::make_unique<Histogram>();
      for (const Worker& worker : workers_) {
        reads->merge(worker.reads);
        writes->merge(worker.writes);
      }
      const std::uint64_t operations = reads->count() + writes->count();
      const auto reading = static_cast<std::size_t>(std::max(0, reading_.load(std::memory_order_relaxed)));
      const std::size_t reads_at_once = std::min(reading, subject_.readers(plan_.threads));
      on_glance({.elapsed = now - start,
                 .operations_per_second =
                     static_cast<double>(operations - seen) / std::chrono::duration<double>(now - last).count(),
                 .read_p50 = reads->quantile(0.5),
                 .read_p99 = reads->quantile(0.99),
                 .write_p50 = writes->quantile(0.5),
                 .write_p99 = writes->quantile(0.99),
                 .waiting = reading - reads_at_once +
                            static_cast<std::size_t>(std::max(0, waiting_writers_.load(std::memory_order_relaxed)))});
      seen = operations;
      last = now;
      if (now >= end || plan_.stop.stop_requested()) return;
    }
  }

  void gather(LoadResult& result) {
    std::vector<std::uint64_t> served;
    for (Worker& worker : workers_) {
      result.reads.merge(worker.reads);
      result.writes.merge(worker.writes);
      result.busy_errors += worker.busy_errors;
      result.other_errors += worker.other_errors;
      result.misses += worker.misses;
      if (result.first_error.empty()) result.first_error = worker.first_error;
      result.acknowledged.push_back(std::move(worker.acknowledged));
      served.push_back(worker.reads.count() + worker.writes.count());
    }
    const double mean = static_cast<double>(result.operations()) / static_cast<double>(served.size());
    result.least_served = *std::min_element(served.begin(), served.end());
    result.starved = static_cast<std::size_t>(std::count_if(
        served.begin(), served.end(), [&](auto count) { return static_cast<double>(count) < mean / 10; }));
  }

  Subject& subject_;
  const LoadPlan& plan_;
  std::vector<Worker> workers_;
  std::latch ready_;
  std::latch go_{1};
  std::atomic<bool> is_over_ = false;
  std::atomic<int> reading_ = 0;
  std::atomic<int> waiting_writers_ = 0;
};

}  // namespace

LoadResult run_load(Subject& subject, const LoadPlan& plan, const std::function<void(const LoadGlance&)>& on_glance) {
  return Load(subject, plan).run(on_glance);
}

}  // namespace sqlane::cli
