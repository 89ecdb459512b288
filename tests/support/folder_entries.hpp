#pragma once

#include <cstdint>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <tuple>

#include "support/files.hpp"

namespace sqlane::testing {

// Type and mode, names, size, the time of the last change in nanoseconds, and the content or the target; of a folder,
// only type and mode.
using Entry = std::tuple<mode_t, nlink_t, off_t, std::int64_t, std::string>;
using Entries = std::map<std::string, Entry>;

// Reading a database that this process has open would drop its locks.
enum class Contents : std::uint8_t { read, unread };

inline Entries entries_of(const std::filesystem::path& folder, Contents contents) {
  Entries entries;
  for (const auto& found : std::filesystem::directory_iterator(folder)) {
    struct stat status {};
    if (::lstat(found.path().c_str(), &status) != 0) throw std::runtime_error("no " + found.path().string());
    std::string content;
    if (found.is_symlink()) {
      content = std::filesystem::read_symlink(found.path()).string();
    } else if (found.is_regular_file() && contents == Contents::read) {
      content = bytes_of(found.path());
    }
    if (found.is_directory()) {
      entries[found.path().filename().string()] = {status.st_mode, 0, 0, 0, ""};
      continue;
    }
    constexpr std::int64_t kSecond = 1'000'000'000;
    entries[found.path().filename().string()] = {status.st_mode, status.st_nlink, status.st_size,
                                                 status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec, content};
  }
  return entries;
}

// Names what differs; the contents are long.
inline void expect_same_entries(const Entries& now, const Entries& before) {
  for (const auto& [name, entry] : now) {
    ASSERT_TRUE(before.contains(name)) << name << " is new";
    EXPECT_TRUE(entry == before.at(name)) << name << " was changed";
  }
  EXPECT_EQ(now.size(), before.size()) << "something is gone";
}

}  // namespace sqlane::testing
