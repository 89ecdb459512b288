#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sqlane::filesystems {

// The table that every case writes.
inline constexpr const char* kTable = "CREATE TABLE IF NOT EXISTS ack (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";

enum class Left {
  rollback_mode,  // a file in SQLite's ordinary journal mode
  wal_mode,       // closed
  with_log,       // as a crash leaves it: `file` and `file`-wal
};

// Makes a database with stock SQLite, whose table has the rows 1 to `rows`. The file is made in the folder for
// temporary files, on a file system where everything works, and then copied to `file`.
void prepare(const std::filesystem::path& file, Left left, std::int64_t rows);

// A closed database file, as stock SQLite sees it.
struct Look {
  std::vector<std::int64_t> missing{};  // of the ids that were asked for
  std::string damage{};  // what integrity_check says, or why the file cannot be read; empty when it is whole
};
[[nodiscard]] Look look_for(const std::filesystem::path& file, const std::vector<std::int64_t>& ids);

// Throws Wrong unless all `ids` are there and the file is whole.
void expect_all(const std::filesystem::path& file, const std::vector<std::int64_t>& ids);

}  // namespace sqlane::filesystems
