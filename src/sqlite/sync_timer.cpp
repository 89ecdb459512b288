#include "sqlite/sync_timer.hpp"

#include <chrono>
#include <sqlite3.h>

#include "base/mutex.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::steady_clock;

thread_local Clock::duration taken_here{};

// Constant after the first install().
const sqlite3_io_methods* original = nullptr;
sqlite3_io_methods timed{};

int sync_and_measure(sqlite3_file* file, int flags) {
  const steady_clock::time_point start = steady_clock::now();
  const int code = original->xSync(file, flags);
  taken_here += steady_clock::now() - start;
  return code;
}

// False when other methods were met first.
bool adopt(const sqlite3_io_methods& methods) {
  static Mutex mutex;
  const MutexLock lock(mutex);
  if (original == nullptr) {
    timed = methods;
    timed.xSync = &sync_and_measure;
    original = &methods;
  }
  return original == &methods;
}

}  // namespace

void SyncTimer::install(sqlite3* connection) noexcept {
  sqlite3_file* log = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK) return;
  if (log == nullptr || log->pMethods == nullptr || log->pMethods == &timed) return;
  if (adopt(*log->pMethods)) log->pMethods = &timed;
}

Clock::duration SyncTimer::taken() noexcept { return taken_here; }

}  // namespace sqlane::detail
