#pragma once

#include <filesystem>

namespace sqlane::detail {

// The index of a write-ahead log, which connections map into their memory. On btrfs a page of it that changes is
// written to another place, and where the disk has no room for that, the access to the memory is a SIGBUS. A file with
// FS_NOCOW_FL stays where it is; it has to be empty when it gets that.
// https://btrfs.readthedocs.io/en/latest/btrfs-man5.html

// Makes the index of a database on btrfs before SQLite does; elsewhere nothing, nor where there is one.
void prepare_index(const std::filesystem::path& database) noexcept;

// Makes it whatever the file system: empty, with the mode and the owner of the database, unless there is one.
void make_index(const std::filesystem::path& database) noexcept;

}  // namespace sqlane::detail
