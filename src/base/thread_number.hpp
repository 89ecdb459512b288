#pragma once

#include <atomic>
#include <cstdint>

namespace sqlane::detail {

// What a thread is told apart by from every other that the process ever has. A
// std::thread::id is used again when its thread has ended, while a guard that was
// made there can still be held.
enum class ThreadNumber : std::uint64_t { none = 0 };

[[nodiscard]] inline ThreadNumber next_thread_number() noexcept {
  static constinit std::atomic<std::uint64_t> newest{0};
  return ThreadNumber{newest.fetch_add(1, std::memory_order_relaxed) + 1};
}

inline thread_local constinit ThreadNumber own_thread_number = ThreadNumber::none;

// The calling thread's.
[[nodiscard]] inline ThreadNumber this_thread_number() noexcept {
  if (own_thread_number == ThreadNumber::none) [[unlikely]]
    own_thread_number = next_thread_number();
  return own_thread_number;
}

}  // namespace sqlane::detail
