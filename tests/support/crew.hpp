#pragma once

#include <barrier>
#include <cstddef>
#include <functional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace sqlane::testing {

// The same threads round after round, so that what they do in a round begins at
// once, and a round costs little.
class Crew {
 public:
  explicit Crew(std::size_t size)
      : begin_(static_cast<std::ptrdiff_t>(size) + 1), end_(static_cast<std::ptrdiff_t>(size) + 1), jobs_(size) {
    for (std::size_t i = 0; i < size; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() {
    is_over_ = true;
    begin_.arrive_and_wait();
  }

  [[nodiscard]] std::size_t size() const { return jobs_.size(); }

  // One job a thread; returns when all have been done. Whoever has none, does nothing.
  void run(std::vector<std::function<void()>> jobs) {
    jobs.resize(size());
    jobs_ = std::move(jobs);
    begin_.arrive_and_wait();
    end_.arrive_and_wait();
  }

 private:
  void work(std::size_t i) {
    while (true) {
      begin_.arrive_and_wait();
      if (is_over_) return;
      if (const std::function<void()> job = std::exchange(jobs_[i], {})) job();
      end_.arrive_and_wait();
    }
  }

  std::barrier<> begin_;
  std::barrier<> end_;
  std::vector<std::function<void()>> jobs_;
  bool is_over_ = false;
  std::vector<std::jthread> threads_;
};

// Chance, for one thread.
class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}

  [[nodiscard]] int below(int end) { return std::uniform_int_distribution(0, end - 1)(random_); }
  [[nodiscard]] bool is_one_in(int many) { return below(many) == 0; }
  // Dice for another thread.
  [[nodiscard]] Dice another() { return Dice(static_cast<unsigned>(below(1 << 30))); }
  // Lets others run, or not.
  void dawdle() {
    for (int i = below(8); i > 0; --i) std::this_thread::yield();
  }

 private:
  std::mt19937 random_;
};

}  // namespace sqlane::testing
