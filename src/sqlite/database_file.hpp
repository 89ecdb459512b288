#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>

#include "sqlane/options.hpp"

namespace sqlane::detail {

// Makes `path` ready to be opened by SQLite and returns it absolute, which also
// keeps SQLite from reading it as a URI. A new file is created empty, for its
// owner alone. Never opens a database that exists: closing it again would drop the
// POSIX locks of every connection of this process
// (https://sqlite.org/howtocorrupt.html, 2.2).
// Throws OpenError, before anything is made: empty path, NUL bytes, no such folder, no such file unless the mode is to
// create it, no permission for the mode, a directory or device, a symbolic link in place of the file, a hard link
// beside it, the name of another database's log, fault_beside(); and for Locking::shared a file system where processes
// cannot share a write-ahead log.
[[nodiscard]] std::filesystem::path prepare_database_file(const std::filesystem::path& path,
                                                          OpenMode mode = OpenMode::create,
                                                          Locking locking = Locking::shared);

// A database file that is only read, and never shares memory through its folder
// with those who write it; so it may be on a network file system. Its absolute
// path. Throws OpenError as prepare_database_file() does for one that exists.
[[nodiscard]] std::filesystem::path find_database_file(const std::filesystem::path& path);

// What a new file may do with one that has its name.
enum class Existing : std::uint8_t {
  refuse,
  replace,  // a regular file; as a whole, at once
};

// The absolute path of a database that is to appear there complete. Makes
// nothing. Throws OpenError: empty path, NUL bytes, no such folder, a directory,
// device or symbolic link, a file unless it is to be replaced, the name of another
// database's log; and a journal or a log beside it, which SQLite would take for
// the new file's own.
[[nodiscard]] std::filesystem::path place_for_database(const std::filesystem::path& path, Existing existing);

// Tells files apart, whatever their paths.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;  // NOLINT(modernize-use-nullptr)
};

// Throws OpenError when there is no such file.
[[nodiscard]] FileIdentity identity_of(const std::filesystem::path& path);

}  // namespace sqlane::detail
