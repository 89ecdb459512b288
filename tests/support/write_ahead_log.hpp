#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>

#include "support/files.hpp"

namespace sqlane::testing {

// How many transactions a write-ahead log holds; it must not have been reset
// meanwhile. (The file of the log bears no locks, so one may look at it while it
// is open.) https://sqlite.org/fileformat2.html#the_write_ahead_log
inline long count_commits(const std::filesystem::path& database) {
  constexpr std::size_t kHeader = 32;
  constexpr std::size_t kFrameHeader = 24;
  const std::filesystem::path log = beside(database, "-wal");
  if (!std::filesystem::exists(log)) return 0;
  const std::string bytes = bytes_of(log);
  const auto number_at = [&](std::size_t position) {
    std::size_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) number = number << 8U | static_cast<unsigned char>(bytes[position + i]);
    return number;
  };
  if (bytes.size() < kHeader) return 0;
  const std::size_t page_size = number_at(8);
  const auto has_salt_of_log = [&](std::size_t frame) {
    return std::equal(bytes.begin() + 16, bytes.begin() + 24, bytes.begin() + static_cast<std::ptrdiff_t>(frame) + 8);
  };
  long commits = 0;
  for (std::size_t frame = kHeader; frame + kFrameHeader + page_size <= bytes.size();
       frame += kFrameHeader + page_size) {
    if (!has_salt_of_log(frame)) break;
    if (number_at(frame + 4) != 0) ++commits;  // the size of the database after a commit, else 0
  }
  return commits;
}

}  // namespace sqlane::testing
