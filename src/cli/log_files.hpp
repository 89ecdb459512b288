#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "cli/wal_reader.hpp"

namespace sqlane::cli {

// The write-ahead log of a database, opened for this moment; absent where there is none.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& database);
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] ReadLog reader() const;

 private:
  int file_;
};

// The head of the log's index, where there is such a file. Not while this process
// has the database open: closing the file would drop the locks of its connections.
[[nodiscard]] std::optional<LogIndexHead> read_log_index(const std::filesystem::path& database);

}  // namespace sqlane::cli
