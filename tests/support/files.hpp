#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sqlane::testing {

// Only for files that no connection of this process has open: closing a
// database file drops the process's locks on it.
inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(file ? static_cast<std::size_t>(std::filesystem::file_size(path)) : 0, '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    throw std::runtime_error("cannot read " + path.string());
  }
  return bytes;
}

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

// The regular files of a folder with their content.
inline std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    contents[entry.path().filename().string()] = entry.is_regular_file() ? bytes_of(entry.path()) : "";
  }
  return contents;
}

// The file that belongs to a database: suffix "-wal" or "-shm".
inline std::filesystem::path beside(const std::filesystem::path& database, std::string_view suffix) {
  return std::filesystem::path(database.string() + std::string(suffix));
}

}  // namespace sqlane::testing
