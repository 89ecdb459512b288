#include "base/fork.hpp"

#include <pthread.h>

#include "sqlane/error.hpp"

namespace sqlane::detail {

std::atomic<std::uint32_t> ForkGeneration::now_ = 0;

Mutex& ForkGeneration::mutex() noexcept {
  static Mutex mutex;
  return mutex;
}

std::uint32_t ForkGeneration::watch() {
  static const int code = ::pthread_atfork([] { mutex().native().lock(); }, [] { mutex().native().unlock(); },
                                           [] {
                                             mutex().native().unlock();
                                             now_.fetch_add(1, std::memory_order_relaxed);
                                           });
  if (code != 0) throw Error("out of memory: cannot watch for forks");
  return now();
}

}  // namespace sqlane::detail
