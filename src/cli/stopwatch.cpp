#include "cli/stopwatch.hpp"

#include <atomic>
#include <exception>
#include <latch>
#include <mutex>
#include <sqlane/error.hpp>
#include <thread>
#include <vector>

namespace sqlane::cli {

void Measuring::expect_going_on() const {
  if (stop.stop_requested()) throw InterruptedError("interrupted");
}

Latency latency_of(const Histogram& histogram) {
  return {.count = histogram.count(),
          .median = histogram.quantile(0.5),
          .p99 = histogram.quantile(0.99),
          .max = histogram.max()};
}

Timed time_steps(const Measuring& measuring, std::size_t threads,
                 const std::function<Step(std::size_t thread)>& make_step) {
  using std::chrono::steady_clock;
  measuring.expect_going_on();
  std::vector<Histogram> histograms(threads);
  std::latch ready(static_cast<std::ptrdiff_t>(threads));
  std::atomic<bool> is_over = false;
  std::mutex mutex;
  std::exception_ptr failure;
  steady_clock::time_point begin;
  const auto work = [&](std::size_t thread) {
    bool is_ready = false;
    try {
      const Step step = make_step(thread);
      is_ready = true;
      ready.arrive_and_wait();
      auto before = steady_clock::now();
      if (thread == 0) begin = before;
      const auto until = before + measuring.length;
      do {
        step();
        const auto after = steady_clock::now();
        histograms[thread].record_alone(static_cast<std::uint64_t>((after - before).count()));
        before = after;
      } while (before < until && !is_over.load(std::memory_order_relaxed) && !measuring.stop.stop_requested());
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      is_over = true;
      if (!is_ready) ready.count_down();
    }
  };
  {
    std::vector<std::jthread> others;
    others.reserve(threads - 1);
    for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
    work(0);
  }
  const auto end = steady_clock::now();
  if (failure) std::rethrow_exception(failure);
  measuring.expect_going_on();
  Timed timed;
  timed.elapsed = end - begin;
  for (const Histogram& histogram : histograms) timed.histogram.merge(histogram);
  return timed;
}

}  // namespace sqlane::cli
