#include "base/fork.hpp"

#include <pthread.h>

#include "sqlane/error.hpp"

namespace sqlane::detail {

std::atomic<std::uint32_t> ForkGeneration::now_ = 0;
void (*ForkGeneration::enter_)() = nullptr;
void (*ForkGeneration::leave_)() = nullptr;

Mutex& ForkGeneration::mutex() noexcept {
  static Mutex mutex;
  return mutex;
}

void ForkGeneration::also_hold(void (*enter)(), void (*leave)()) noexcept {
  enter_ = enter;
  leave_ = leave;
}

void ForkGeneration::before_fork() {
  mutex().native().lock();
  if (enter_ != nullptr) enter_();
}

void ForkGeneration::after_fork() {
  if (leave_ != nullptr) leave_();
  mutex().native().unlock();
}

std::uint32_t ForkGeneration::watch() {
  static const int code = ::pthread_atfork(&before_fork, &after_fork, [] {
    after_fork();
    now_.fetch_add(1, std::memory_order_relaxed);
  });
  if (code != 0) throw Error("out of memory: cannot watch for forks");
  return now();
}

}  // namespace sqlane::detail
