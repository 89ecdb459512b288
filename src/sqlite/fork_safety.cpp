#include "sqlite/fork_safety.hpp"

#include <array>
#include <pthread.h>
#include <sqlite3.h>

#include "base/fork.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

// In the order in which SQLite takes them: who has one may ask for those behind it.
constexpr std::array kMutexes{SQLITE_MUTEX_STATIC_VFS1, SQLITE_MUTEX_STATIC_VFS2, SQLITE_MUTEX_STATIC_OPEN,
                              SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_LRU,
                              SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_MEM};

void enter_all() {
  for (const int id : kMutexes) sqlite3_mutex_enter(sqlite3_mutex_alloc(id));
}

void leave_all() {
  for (auto id = kMutexes.rbegin(); id != kMutexes.rend(); ++id) sqlite3_mutex_leave(sqlite3_mutex_alloc(*id));
}

}  // namespace

void keep_whole_across_forks() {
  static const int code = [] {
    static_cast<void>(ForkGeneration::watch());
    {
      const MutexLock lock(ForkGeneration::mutex());  // not beside configure_process()
      sqlite3_initialize();                           // makes the mutexes
    }
    return ::pthread_atfork(&enter_all, &leave_all, &leave_all);
  }();
  if (code != 0) throw Error("out of memory: cannot watch for forks");
}

}  // namespace sqlane::detail
