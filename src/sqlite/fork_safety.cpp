#include "sqlite/fork_safety.hpp"

#include <array>
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
  [[maybe_unused]] static const bool done = [] {  // tried again at the next call when it throws
    static_cast<void>(ForkGeneration::watch());
    const MutexLock lock(ForkGeneration::mutex());  // not beside configure_process()
    if (sqlite3_initialize() != SQLITE_OK) throw Error("out of memory: SQLite cannot be initialised");
    ForkGeneration::also_hold(&enter_all, &leave_all);  // the mutexes exist now
    return true;
  }();
}

}  // namespace sqlane::detail
