#pragma once

#include <cstdint>

// Stands between a test program and the C library: the functions defined in
// file_faults.cpp take the place of those by which SQLite and sqlane read and
// change files. They count, fail when told to, and forward everything else.

namespace sqlane::testing {

enum class FileCall : std::uint8_t { open, read, write, sync, truncate, rename, map };  // map: shared and writable

struct FileFault {
  FileCall call = FileCall::write;
  int error = 0;  // errno
  int skip = 0;   // so many calls pass first
  int times = 1;  // so many fail; -1: all
};

// Arms one fault for its lifetime, for the calls of its thread; they do not nest.
class FileFaultInjection {
 public:
  explicit FileFaultInjection(const FileFault& fault);
  FileFaultInjection(const FileFaultInjection&) = delete;
  FileFaultInjection& operator=(const FileFaultInjection&) = delete;
  ~FileFaultInjection();

  [[nodiscard]] int calls() const;     // of this kind, since it was armed
  [[nodiscard]] int failures() const;  // calls that were made to fail
};

}  // namespace sqlane::testing
