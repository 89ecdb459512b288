#pragma once

#include <filesystem>

namespace sqlane::detail {

// Gives the file `from` the name `to`, at once and only where that is free. 0, or the errno: EEXIST where there is a
// file of that name, anything else where the file system can do this in none of the ways that there are. Nothing has
// changed then.
[[nodiscard]] int take_free_name(const std::filesystem::path& from, const std::filesystem::path& to) noexcept;

}  // namespace sqlane::detail
