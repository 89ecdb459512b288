#include "support/file_faults.hpp"

#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/types.h>

namespace sqlane::testing {
namespace {

struct State {
  bool is_armed = false;
  FileFault fault;
  int calls = 0;
  int failures = 0;
};

thread_local State state;

// The function that ours stands in front of. `Function` is the type of ours.
template <class Function>
Function* next(const char* name) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) throw std::runtime_error(name);
  return reinterpret_cast<Function*>(found);
}

// Sets errno when the call is to fail.
bool fails(FileCall call) {
  if (!state.is_armed || state.fault.call != call) return false;
  const int number = state.calls++;
  if (number < state.fault.skip) return false;
  if (state.fault.times >= 0 && number >= state.fault.skip + state.fault.times) return false;
  ++state.failures;
  errno = state.fault.error;
  return true;
}

bool is_shared(int protection, int flags) {
  return (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 && (flags & MAP_ANONYMOUS) == 0;
}

mode_t mode_of(int flags, std::va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

FileFaultInjection::FileFaultInjection(const FileFault& fault) { state = {.is_armed = true, .fault = fault}; }
FileFaultInjection::~FileFaultInjection() { state.is_armed = false; }
int FileFaultInjection::calls() const { return state.calls; }
int FileFaultInjection::failures() const { return state.failures; }

}  // namespace sqlane::testing

using sqlane::testing::fails;
using sqlane::testing::FileCall;
using sqlane::testing::is_shared;
using sqlane::testing::mode_of;
using sqlane::testing::next;

extern "C" {

int open(const char* path, int flags, ...) {
  static const auto real = next<int(const char*, int, ...)>("open");
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return fails(FileCall::open) ? -1 : real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  static const auto real = next<int(const char*, int, ...)>("open64");
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return fails(FileCall::open) ? -1 : real(path, flags, mode);
}

int mkostemp(char* name, int flags) {
  static const auto real = next<int(char*, int)>("mkostemp");
  return fails(FileCall::open) ? -1 : real(name, flags);
}

ssize_t pread(int file, void* bytes, size_t count, off_t offset) {
  static const auto real = next<ssize_t(int, void*, size_t, off_t)>("pread");
  return fails(FileCall::read) ? -1 : real(file, bytes, count, offset);
}

ssize_t pread64(int file, void* bytes, size_t count, off64_t offset) {
  static const auto real = next<ssize_t(int, void*, size_t, off64_t)>("pread64");
  return fails(FileCall::read) ? -1 : real(file, bytes, count, offset);
}

ssize_t write(int file, const void* bytes, size_t count) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return fails(FileCall::write) ? -1 : real(file, bytes, count);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  static const auto real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return fails(FileCall::write) ? -1 : real(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  static const auto real = next<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return fails(FileCall::write) ? -1 : real(file, bytes, count, offset);
}

int fsync(int file) {
  static const auto real = next<int(int)>("fsync");
  return fails(FileCall::sync) ? -1 : real(file);
}

int fdatasync(int file) {
  static const auto real = next<int(int)>("fdatasync");
  return fails(FileCall::sync) ? -1 : real(file);
}

int ftruncate64(int file, off64_t size) noexcept {
  static const auto real = next<int(int, off64_t)>("ftruncate64");
  return fails(FileCall::truncate) ? -1 : real(file, size);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int(const char*, const char*)>("rename");
  return fails(FileCall::rename) ? -1 : real(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  static const auto real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return fails(FileCall::rename) ? -1 : real(from_folder, from, to_folder, to, flags);
}

int link(const char* from, const char* to) noexcept {
  static const auto real = next<int(const char*, const char*)>("link");
  return fails(FileCall::rename) ? -1 : real(from, to);
}

void* mmap(void* at, size_t size, int protection, int flags, int file, off_t offset) noexcept {
  static const auto real = next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  if (is_shared(protection, flags) && fails(FileCall::map)) return MAP_FAILED;
  return real(at, size, protection, flags, file, offset);
}

void* mmap64(void* at, size_t size, int protection, int flags, int file, off64_t offset) noexcept {
  static const auto real = next<void*(void*, size_t, int, int, int, off64_t)>("mmap64");
  if (is_shared(protection, flags) && fails(FileCall::map)) return MAP_FAILED;
  return real(at, size, protection, flags, file, offset);
}

}  // extern "C"
