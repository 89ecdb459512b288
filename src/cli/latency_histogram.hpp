#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sqlane::cli {

// How often which latency occurred, to within 6 %, in fixed memory. One thread
// records; any thread may look on meanwhile.
class LatencyHistogram {
 public:
  LatencyHistogram() = default;
  LatencyHistogram(const LatencyHistogram& other) noexcept { merge(other); }
  LatencyHistogram& operator=(const LatencyHistogram& other) noexcept {
    if (this == &other) return *this;
    for (auto& count : counts_) count.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
    merge(other);
    return *this;
  }
  ~LatencyHistogram() = default;

  void record(std::chrono::nanoseconds latency) noexcept {
    const auto value = static_cast<std::uint64_t>(latency.count() < 0 ? 0 : latency.count());
    bump(counts_[index_of(value)], 1);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  void merge(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) bump(counts_[i], other.counts_[i].load(std::memory_order_relaxed));
    const std::uint64_t max = other.max_.load(std::memory_order_relaxed);
    if (max > max_.load(std::memory_order_relaxed)) max_.store(max, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t total = 0;
    for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
    return total;
  }

  // The latency that `share` (0 to 1) of all stayed at or below; 0 without any.
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count()));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i].load(std::memory_order_relaxed);
      if (seen > wanted || (seen == wanted && seen > 0 && share >= 1)) return std::min(top_of(i), max());
    }
    return max();
  }

  [[nodiscard]] std::chrono::nanoseconds max() const noexcept {
    return std::chrono::nanoseconds(max_.load(std::memory_order_relaxed));
  }

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

  static constexpr std::chrono::nanoseconds top_of(std::size_t index) noexcept {
    if (index < kSub) return std::chrono::nanoseconds(index);
    const std::size_t shift = index / kSub - 1;
    const std::uint64_t low = (kSub + index % kSub) << shift;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(low + (std::uint64_t{1} << shift) - 1));
  }

  static void bump(std::atomic<std::uint64_t>& count, std::uint64_t by) noexcept {
    count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> max_ = 0;
};

}  // namespace sqlane::cli
