#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace sqlane {

// How often which value occurred, to within 1/16, in fixed memory (8 KB). Values
// are durations, or plain numbers. Safe to use from any thread, except that
// nobody may record in one that is assigned to. What is read, or copied, while
// others record may have some of their values and not others; of each value
// that it counts, it has the sum and the maximum as well.
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
    add_to_sum(value);
    raise_max(value);
    add_to_count(index_of(value), 1);
  }

  // For one thread at a time: without atomic additions, so next to nothing.
  void record_alone(std::uint64_t value) noexcept {
    std::atomic<std::uint64_t>& count = counts_[index_of(value)];
    sum_.store(sum() + value, std::memory_order_relaxed);
    if (value > max_value()) max_.store(value, std::memory_order_relaxed);
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  void merge(const Histogram& other) noexcept {
    const Counts counts = other.counts();
    add_to_sum(other.sum());
    raise_max(other.max_value());
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (counts[i] != 0) add_to_count(i, counts[i]);
    }
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return total_of(counts()); }
  // How many values were at or below `bound`. Those above it by less than 1/16
  // may be among them: they share a bucket. Exact for bounds up to 31.
  [[nodiscard]] std::uint64_t count_up_to(std::uint64_t bound) const noexcept {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i <= index_of(bound); ++i) total += counts_[i].load(std::memory_order_acquire);
    return total;
  }

  // Begins again at 0 beyond 2^64: in nanoseconds, after 584 years.
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
  // 0 without any.
  [[nodiscard]] double mean() const noexcept {
    const std::uint64_t values = count();
    return values == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(values);
  }

  // What `share` (0 to 1) of all values stayed at or below; 0 without any.
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept {
    return std::chrono::nanoseconds(quantile_value(share));
  }
  [[nodiscard]] std::uint64_t quantile_value(double share) const noexcept {
    const Counts counts = this->counts();
    const std::uint64_t total = total_of(counts);
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total));
    std::size_t i = 0;
    for (std::uint64_t seen = counts[0]; seen <= wanted && seen != total; seen += counts[i]) ++i;
    return std::min(top_of(i), max_value());
  }

  [[nodiscard]] std::chrono::nanoseconds max() const noexcept { return std::chrono::nanoseconds(max_value()); }
  [[nodiscard]] std::uint64_t max_value() const noexcept { return max_.load(std::memory_order_relaxed); }

 private:
  // Values up to 31 have a bucket each; above, every power of two has sixteen.
  static constexpr unsigned kSubBits = 4;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSub;
  using Counts = std::array<std::uint64_t, kBuckets>;

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

  static std::uint64_t total_of(const Counts& counts) noexcept {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }

  // A count comes last and is read first, so that sum and maximum, read after it,
  // have what it stands for.
  void add_to_count(std::size_t index, std::uint64_t by) noexcept {
    counts_[index].fetch_add(by, std::memory_order_release);
  }
  [[nodiscard]] Counts counts() const noexcept {
    Counts counts;
    for (std::size_t i = 0; i < kBuckets; ++i) counts[i] = counts_[i].load(std::memory_order_acquire);
    return counts;
  }

  void add_to_sum(std::uint64_t value) noexcept {
    if (value != 0) sum_.fetch_add(value, std::memory_order_relaxed);
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
