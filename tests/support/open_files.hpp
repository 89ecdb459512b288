#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace sqlane::testing {

// File descriptors of this process; the one that counting needs cancels out.
inline std::size_t count_open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace sqlane::testing
