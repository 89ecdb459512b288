#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sqlane::detail {

// File systems on which several machines, or several mounts of one machine, may
// have the same file, each with pages and locks of its own. Processes that
// share a write-ahead log there lose commits. https://sqlite.org/wal.html#noshm

// The type of such a file system, if `folder` is on one. Nothing where the system does not say what it is on.
[[nodiscard]] std::optional<std::string> network_type_of(const std::filesystem::path& folder);

// Such a type by f_type of statfs(2). Pure.
[[nodiscard]] std::optional<std::string> network_type_of_magic(long magic);

// Such a type by the text of /proc/self/mountinfo, for those that statfs(2) does not tell apart: FUSE, and overlays,
// which are what their upper layer is, or without one what any of the lower ones is. `folder` is absolute and without
// links; `device` is its st_dev as "major:minor", or empty. Pure.
[[nodiscard]] std::optional<std::string> network_type_in(std::string_view mountinfo,
                                                         const std::filesystem::path& folder, std::string_view device);

// Whether nobody can write to the file system that `folder` is on: a disk's own, which is read-only as a whole. Not by
// the flag of a mount alone: the same folder can be written by another mount. Until it is mounted anew, by root.
[[nodiscard]] bool is_read_only_to_all(const std::filesystem::path& folder);

// The same by the text of /proc/self/mountinfo; the arguments are those of network_type_in(). Pure.
[[nodiscard]] bool is_read_only_to_all_in(std::string_view mountinfo, const std::filesystem::path& folder,
                                          std::string_view device);

}  // namespace sqlane::detail
