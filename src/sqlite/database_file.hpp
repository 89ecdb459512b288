#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>

#include "sqlane/options.hpp"

namespace sqlane::detail {

// Makes `path` ready to be opened by SQLite and returns it absolute, which also
// keeps SQLite from reading it as a URI. A new file is created empty, for its
// owner alone. Never opens a file that exists: closing it again would drop the
// POSIX locks of every connection of this process
// (https://sqlite.org/howtocorrupt.html, 2.2).
// Throws OpenError: empty path, NUL bytes, no such folder, no such file unless
// the mode is to create it, no permission for the mode, a directory or device, a symbolic link in place of the file, a
// network file system, a write-ahead log of a format that came after ours.
[[nodiscard]] std::filesystem::path prepare_database_file(const std::filesystem::path& path,
                                                          OpenMode mode = OpenMode::create);

// Tells files apart, whatever their paths.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

// Throws OpenError when there is no such file.
[[nodiscard]] FileIdentity identity_of(const std::filesystem::path& path);

// Can processes share memory through a file there, as WAL mode needs?
// `type` is f_type of statfs(2). https://sqlite.org/wal.html#noshm
[[nodiscard]] bool supports_wal(long type) noexcept;

}  // namespace sqlane::detail
