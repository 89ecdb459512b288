#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>

#include "support/files.hpp"
#include "support/foreign_connection.hpp"

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

// Makes `to` of `from`, as a crash leaves it: with so many commits of a frame each in its log alone.
inline void leave_log(const std::filesystem::path& from, const std::filesystem::path& to, int commits) {
  ForeignConnection writer(from);
  writer.ask("PRAGMA journal_mode=WAL");
  writer.ask("CREATE TABLE IF NOT EXISTS in_the_log (x)");
  writer.ask("PRAGMA wal_checkpoint(TRUNCATE)");
  writer.ask("PRAGMA wal_autocheckpoint=0");
  for (int i = 0; i < commits; ++i) writer.ask("INSERT INTO in_the_log VALUES (1)");
  std::filesystem::copy_file(from, to);
  std::filesystem::copy_file(beside(from, "-wal"), beside(to, "-wal"));
}

// Changes a byte of the page in one frame of the log, counted from 0, which SQLite finds by its checksum.
inline void damage_frame(const std::filesystem::path& database, std::size_t frame, std::size_t page_size) {
  const std::filesystem::path log = beside(database, "-wal");
  std::string bytes = bytes_of(log);
  char& byte = bytes.at(32 + frame * (24 + page_size) + 24 + page_size / 2);
  byte = static_cast<char>(byte ^ 0x55);
  write_bytes(log, bytes);
}

}  // namespace sqlane::testing
