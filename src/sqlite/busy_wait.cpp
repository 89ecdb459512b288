#include "sqlite/busy_wait.hpp"

#include <algorithm>
#include <sqlite3.h>
#include <unistd.h>

namespace sqlane::detail {

void BusyWait::install(sqlite3* connection) {
  // Other processes run the same code: each starts elsewhere.
  random_ ^= static_cast<std::uint32_t>(::getpid()) * 0x85eb'ca6bU;
  random_ ^= static_cast<std::uint32_t>(clock_.now().time_since_epoch().count());
  if (random_ == 0) random_ = 1;
  sqlite3_busy_handler(
      connection, [](void* self, int attempt) { return static_cast<BusyWait*>(self)->wait(attempt) ? 1 : 0; }, this);
}

bool BusyWait::wait(int attempt) noexcept {
  if (is_off_) return false;
  if (attempt == 0) met_.add();
  if (stop_.stop_requested()) return false;
  if (attempt == 0) deadline_ = clock_.deadline(timeout_);
  const Clock::time_point now = clock_.now();
  if (now >= deadline_) return false;
  random_ ^= random_ << 13U;  // xorshift
  random_ ^= random_ >> 17U;
  random_ ^= random_ << 5U;
  clock_.sleep_until(std::min<Clock::time_point>(deadline_, now + busy_delay(attempt, random_)));
  return true;
}

}  // namespace sqlane::detail
