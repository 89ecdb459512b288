#pragma once

#include <filesystem>

namespace sqlane::detail {

// Processes share the index of a write-ahead log by mapping a file into their
// memory (https://sqlite.org/wal.html#noshm). A file system in user space may not
// be able to; SQLite finds that out when the database has been switched to WAL.

// What mmap() fails with where files cannot be mapped, ever; not for want of memory or descriptors. Pure.
[[nodiscard]] bool proves_unmappable(int error) noexcept;

// False when a file in this folder cannot be mapped for reading and writing by several processes: tried with one of its
// own, that is gone afterwards. True where that cannot be tried either. A device where it worked is asked once. Touches
// no page of the mapping: on a full disk that could be a signal.
[[nodiscard]] bool can_map_shared(const std::filesystem::path& folder);

}  // namespace sqlane::detail
