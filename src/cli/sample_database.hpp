#pragma once

#include <filesystem>
#include <string>

namespace sqlane::cli {

enum class SampleOrigin : unsigned char {
  proj,       // PROJ's coordinate system database
  generated,  // of like shape, where PROJ is not installed
  given,      // the file existed
};

[[nodiscard]] std::string describe(SampleOrigin origin);

// PROJ's database: $PROJ_DATA, $PROJ_LIB, or where Debian puts it. Empty when not installed.
[[nodiscard]] std::filesystem::path find_proj_database();

// Makes `file` a database with coordinate systems, unless it exists:
// a copy of `proj`, or generated where `proj` is empty.
SampleOrigin provide_sample(const std::filesystem::path& file, const std::filesystem::path& proj);

}  // namespace sqlane::cli
