#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sqlane::cli {

enum class WithDown : unsigned char { no, yes };

// Makes the file of the next migration, and that which undoes it, in a folder,
// which is made if it is not there. Returns their paths. Throws UsageError where
// `name` cannot be part of one, and what reading the folder throws.
[[nodiscard]] std::vector<std::filesystem::path> make_migration(const std::filesystem::path& folder,
                                                                const std::string& name, WithDown down);

}  // namespace sqlane::cli
