#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sqlane {

// How often which value occurred, to within 6 %, in fixed memory (8 KB). Values
// are durations, or plain numbers. Safe to use from any thread; a copy made
// while others record may have some of their values and not others.
class Histogram {
 public:
  Histogram() = default;
  Histogram(const Histogram& other) noexcept { merge(other); }
  Histogram& operator=(const Histogram& other) noexcept {
    if (this == &other) return *this;
    for (auto& count : counts_) count.store(0, std::memory_order_relaxed);
    sum_.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
    merge(other);
    return *this;
  }
  ~Histogram() = default;

  void record(std::chrono::nanoseconds duration) noexcept {
    record_value(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
  }
  void record_value(std::uint64_t value) noexcept {
    bump(counts_[index_of(value)], 1);
    bump(sum_, value);
    raise_max(value);
  }

  // For one thread at a time: without atomic additions, so next to nothing.
  void record_alone(std::uint64_t value) noexcept {
    add_alone(counts_[index_of(value)], 1);
    add_alone(sum_, value);
    if (value > max_value()) max_.store(value, std::memory_order_relaxed);
  }

  void merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) bump(counts_[i], other.counts_[i].load(std::memory_order_relaxed));
    bump(sum_, other.sum());
    raise_max(other.max_value());
  }

  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t total = 0;
    for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
    return total;
  }

  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  [[nodiscard]] double mean() const noexcept {
    const std::uint64_t values = count();
    return values == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(values);
  }

  // What `share` (0 to 1) of all values stayed at or below; 0 without any.
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept {
    return std::chrono::nanoseconds(quantile_value(share));
  }
  [[nodiscard]] std::uint64_t quantile_value(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count()));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i].load(std::memory_order_relaxed);
      if (seen > wanted || (seen == wanted && seen > 0 && share >= 1)) return std::min(top_of(i), max_value());
    }
    return max_value();
  }

  [[nodiscard]] std::chrono::nanoseconds max() const noexcept { return std::chrono::nanoseconds(max_value()); }
  [[nodiscard]] std::uint64_t max_value() const noexcept { return max_.load(std::memory_order_relaxed); }

 private:
  // Values up to 15 have a bucket each; above, every power of two has sixteen.
  static constexpr unsigned kSubBits = 4;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSub;

  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    if (value < kSub) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (shift + 1) * kSub + static_cast<std::size_t>((value >> shift) & (kSub - 1));
  }

  static constexpr std::uint64_t top_of(std::size_t index) noexcept {
    if (index < kSub) return index;
    const std::size_t shift = index / kSub - 1;
    const std::uint64_t low = (kSub + index % kSub) << shift;
    return low + (std::uint64_t{1} << shift) - 1;
  }

  static void bump(std::atomic<std::uint64_t>& count, std::uint64_t by) noexcept {
    if (by != 0) count.fetch_add(by, std::memory_order_relaxed);
  }

  static void add_alone(std::atomic<std::uint64_t>& count, std::uint64_t by) noexcept {
    count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  void raise_max(std::uint64_t value) noexcept {
    std::uint64_t max = max_value();
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> sum_ = 0;
  std::atomic<std::uint64_t> max_ = 0;
};

}  // namespace sqlane
