#pragma once

#include <atomic>
#include <chrono>
#include <latch>

#include "base/maintenance_thread.hpp"

namespace sqlane::testing {

// Until whatever was due on the thread of maintenance has had its turn, several times.
inline void await_maintenance() {
  constexpr int kTurns = 5;
  std::atomic<int> turns = 0;
  std::latch enough(kTurns);
  const detail::MaintenanceThread::Task task(std::chrono::milliseconds(1), [&] {
    if (++turns <= kTurns) enough.count_down();
  });
  enough.wait();
}

}  // namespace sqlane::testing
