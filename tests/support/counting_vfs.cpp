#include "support/counting_vfs.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sqlite3.h>
#include <stdexcept>
#include <unistd.h>

namespace sqlane::testing {
namespace {

struct Plan {
  Strike how = Strike::none;
  long at = 0;
  long counted = 0;
  bool has_struck = false;
} plan;

[[noreturn]] void end_process() {
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

bool is_due() {
  if (++plan.counted != plan.at || plan.how == Strike::none) return false;
  plan.has_struck = true;
  return true;
}

// Runs an operation that changes a file, unless it is the one to strike.
template <class Operation, class Half>
int run(int failure, Operation operation, Half half) {
  if (!is_due()) return operation();
  switch (plan.how) {
    case Strike::none: break;
    case Strike::fail: return failure;
    case Strike::fail_afterwards: operation(); return failure;
    case Strike::kill_half_way: half(); [[fallthrough]];
    case Strike::kill: end_process();
  }
  return operation();
}
template <class Operation>
int run(int failure, Operation operation) {
  return run(failure, operation, [] {});
}

// A file of ours, with the real one behind it in the same memory.
struct File {
  sqlite3_file base;

  static sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1);
  }
};
const sqlite3_io_methods* methods_of(sqlite3_file* file) { return File::real(file)->pMethods; }

template <auto member, class... Args>
int forward(sqlite3_file* file, Args... args) {
  return (methods_of(file)->*member)(File::real(file), args...);
}

int write(sqlite3_file* file, const void* data, int bytes, sqlite3_int64 offset) {
  const auto write_first = [&](int count) { return methods_of(file)->xWrite(File::real(file), data, count, offset); };
  return run(
      SQLITE_IOERR_WRITE, [&] { return write_first(bytes); }, [&] { write_first(bytes / 2); });
}
int sync(sqlite3_file* file, int flags) {
  return run(SQLITE_IOERR_FSYNC, [&] { return methods_of(file)->xSync(File::real(file), flags); });
}
int truncate(sqlite3_file* file, sqlite3_int64 size) {
  return run(SQLITE_IOERR_TRUNCATE, [&] { return methods_of(file)->xTruncate(File::real(file), size); });
}
int close(sqlite3_file* file) {
  const int code = methods_of(file)->xClose(File::real(file));
  file->pMethods = nullptr;
  return code;
}

using M = sqlite3_io_methods;
constexpr sqlite3_io_methods kMethods{
    .iVersion = 3,
    .xClose = &close,
    .xRead = &forward<&M::xRead, void*, int, sqlite3_int64>,
    .xWrite = &write,
    .xTruncate = &truncate,
    .xSync = &sync,
    .xFileSize = &forward<&M::xFileSize, sqlite3_int64*>,
    .xLock = &forward<&M::xLock, int>,
    .xUnlock = &forward<&M::xUnlock, int>,
    .xCheckReservedLock = &forward<&M::xCheckReservedLock, int*>,
    .xFileControl = &forward<&M::xFileControl, int, void*>,
    .xSectorSize = [](sqlite3_file* file) { return methods_of(file)->xSectorSize(File::real(file)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return methods_of(file)->xDeviceCharacteristics(File::real(file)); },
    .xShmMap = &forward<&M::xShmMap, int, int, int, void volatile**>,
    .xShmLock = &forward<&M::xShmLock, int, int, int>,
    .xShmBarrier = [](sqlite3_file* file) { methods_of(file)->xShmBarrier(File::real(file)); },
    .xShmUnmap = &forward<&M::xShmUnmap, int>,
    .xFetch = &forward<&M::xFetch, sqlite3_int64, int, void**>,
    .xUnfetch = &forward<&M::xUnfetch, sqlite3_int64, void*>,
};

sqlite3_vfs* real_vfs = nullptr;
sqlite3_vfs counting_vfs;  // SQLite keeps its address while it is registered

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  const int code = real_vfs->xOpen(real_vfs, name, File::real(file), flags, out_flags);
  if (methods_of(file) != nullptr) file->pMethods = &kMethods;
  return code;
}

int remove(sqlite3_vfs*, const char* name, int sync_folder) {
  return run(SQLITE_IOERR_DELETE, [&] { return real_vfs->xDelete(real_vfs, name, sync_folder); });
}

}  // namespace

CountingVfs::CountingVfs() {
  real_vfs = sqlite3_vfs_find("unix");
  if (real_vfs == nullptr) throw std::runtime_error("there is no file system \"unix\"");
  counting_vfs = *real_vfs;
  counting_vfs.pNext = nullptr;
  counting_vfs.zName = "counting";
  counting_vfs.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
  counting_vfs.xOpen = &open;
  counting_vfs.xDelete = &remove;
  if (sqlite3_vfs_register(&counting_vfs, 1) != SQLITE_OK)
    throw std::runtime_error("the file system cannot be registered");
  stop_striking();
}

CountingVfs::~CountingVfs() {
  stop_striking();
  sqlite3_vfs_register(real_vfs, 1);
  sqlite3_vfs_unregister(&counting_vfs);
}

void CountingVfs::strike(Strike how, long at) { plan = {.how = how, .at = at}; }
long CountingVfs::operations() const { return plan.counted; }
bool CountingVfs::has_struck() const { return plan.has_struck; }

}  // namespace sqlane::testing
