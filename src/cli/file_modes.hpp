#pragma once

#include <filesystem>

namespace sqlane::cli {

// Whether a file in `folder` can have a mode of its own, which chmod changes: FAT, exFAT and NTFS give one to all.
// Where the type of the file system leaves that open, it is tried with a file that is gone afterwards.
[[nodiscard]] bool has_modes_of_files(const std::filesystem::path& folder);

}  // namespace sqlane::cli
