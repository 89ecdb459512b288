#pragma once

#include <atomic>
#include <cstdint>

#include "base/mutex.hpp"

namespace sqlane::detail {

// A database does not survive a fork: the child has its file descriptors but
// none of its threads, and not its file locks, while SQLite's memory says that
// it has them (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
// So what was opened before is recognised in the child, refused, and left as it
// is: nothing of it is closed, unlocked or freed.

// Counts the forks between the first process and this one.
class ForkGeneration {
 public:
  [[nodiscard]] static std::uint32_t now() noexcept { return now_.load(std::memory_order_relaxed); }

  // Something was made in another process when this says something else than now().
  // Arranges for the counting, the first time.
  [[nodiscard]] static std::uint32_t watch();

  // Held while a fork happens, so that what it guards is whole in the child.
  [[nodiscard]] static Mutex& mutex() noexcept;

  // Adds what is entered after mutex() before each fork, and left before it in parent and child. A thread may ask for
  // it while it holds mutex(), and never the other way round. At most one; call it with mutex() held.
  static void also_hold(void (*enter)(), void (*leave)()) noexcept SQLANE_REQUIRES(mutex());

 private:
  static void before_fork();
  static void after_fork();

  static std::atomic<std::uint32_t> now_;
  static void (*enter_)();  // both under mutex()
  static void (*leave_)();
};

}  // namespace sqlane::detail
