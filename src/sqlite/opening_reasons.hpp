#pragma once

#include <filesystem>
#include <string>

namespace sqlane::detail {

// Why a database cannot be opened where it is, and what to do: full disks, write-protected folders, file systems that
// cannot share memory, a transaction to be undone first. Empty where `extended_code` tells of something else. `error`:
// errno of the system's newest failure. Looks at what is beside the database.
[[nodiscard]] std::string reason_of_place(const std::filesystem::path& database, int extended_code, int error);

}  // namespace sqlane::detail
