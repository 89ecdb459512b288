#pragma once

#include <cstdint>
#include <filesystem>

#include "sqlite/database_file.hpp"

namespace sqlane::detail {

// What the system says about a file.
struct FileState {
  FileIdentity identity;
  std::uint64_t mount = 0;   // another one after its file system was mounted again; 0 where the system does not tell
  std::uint64_t names = 0;   // hard links
  std::uint64_t size = 0;    // in bytes
  std::uint64_t room = 0;    // in bytes: what is allocated on the disk; less than `size` where there are holes
  std::int64_t changed = 0;  // nanoseconds: when its content changed; 0 where it was not asked for
  std::int64_t touched = 0;  // nanoseconds: when that, its names or anything else about it changed; 0 as above
  int error = 0;             // errno, where nothing of the above is known

  // Whether it is one file still, whatever is in it by now.
  [[nodiscard]] bool is_same_file(const FileState& other) const noexcept {
    return error == other.error && identity == other.identity && mount == other.mount;
  }
};

// Whether a file is asked for its times. Linux gives it a time of its own, finer than the clock's tick, with the next
// write after it was asked (6.13 and later): that write takes half as long again. So a log is not asked.
enum class Times : std::uint8_t { asked, left_out };

// The file that a name leads to now.
[[nodiscard]] FileState state_of(const std::filesystem::path& path, Times times) noexcept;

// What the time stamps of a file system can be taken for.
struct TimeStamps {
  bool are_exact = false;      // they change with each change of a file, at once, and by nothing else
  bool tell_of_names = false;  // one of them with each change of the file's names as well
};

[[nodiscard]] TimeStamps time_stamps_at(const std::filesystem::path& path) noexcept;

// A file that can be asked wherever its names lead by now, and for a third of what looking up a name costs. It is held
// by a descriptor without data, so that closing it drops none of SQLite's locks; it keeps a file that was deleted.
// There is none where the system has no such descriptors, and on file systems that are not known to answer for them.
class FileHandle {
 public:
  FileHandle() = default;
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle() { close(); }

  // Takes the file that the name leads to, if it is the expected one.
  void open(const std::filesystem::path& path, const FileIdentity& expected) noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }

  // Requires: is_open().
  [[nodiscard]] FileState state(Times times) const noexcept;

 private:
  int descriptor_ = -1;
};

}  // namespace sqlane::detail
