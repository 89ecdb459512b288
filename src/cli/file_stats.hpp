#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/opening.hpp"

namespace sqlane::cli {

// A table or an index, and what it takes in the file.
struct StoredObject {
  std::string name;
  std::string kind;   // "table", "index"
  std::string table;  // that it belongs to
  std::optional<std::uint64_t> bytes;
  std::optional<std::uint64_t> rows;
};

struct LogStats {
  std::uint64_t file_bytes = 0;
  std::uint64_t frames = 0;  // committed, as SQLite reads them
  std::uint64_t commits = 0;
  std::uint64_t uncommitted_frames = 0;
  std::uint64_t commits_beyond = 0;                  // after a damaged frame, so SQLite does not read them
  bool is_unreadable = false;                        // its header is damaged: SQLite passes over all of it
  std::optional<std::uint64_t> checkpointed_frames;  // unset: the index that says it is not there
};

struct SchemaCounts {
  std::uint64_t tables = 0, virtual_tables = 0, indexes = 0, views = 0, triggers = 0;
};

struct FileStats {
  std::filesystem::path path;
  std::string engine;  // SQLite's version
  std::uint64_t file_bytes = 0;
  std::uint64_t page_size = 0;
  std::uint64_t page_count = 0;
  std::uint64_t free_pages = 0;
  std::string journal_mode;
  std::string encoding;
  std::string auto_vacuum;
  std::int64_t user_version = 0;
  std::int64_t application_id = 0;
  SchemaCounts schema;
  std::vector<StoredObject> objects;  // the largest first
  std::string objects_note;           // why sizes or rows are missing; empty: they are not
  LogStats log;
  std::uint64_t page_cache_for_all = 0;  // Options::page_cache that holds the whole file
};

// Sizes come from the table dbstat, which reads the whole file; they are missing
// where SQLite has no such table, or where that takes longer than `limit`.
// Opens the file with OpenMode::read_only, and throws what that throws. Not while
// this process has the database open otherwise.
[[nodiscard]] FileStats read_file_stats(const std::filesystem::path& path, std::chrono::milliseconds limit,
                                        Sharing sharing = Sharing::usual);

// Options::page_cache that holds so many pages: SQLite keeps some 250 bytes
// beside each. In whole MiB.
[[nodiscard]] std::uint64_t page_cache_for(std::uint64_t pages, std::uint64_t page_size);

}  // namespace sqlane::cli
