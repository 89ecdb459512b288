#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sqlane::detail {

// What a database file lies on, for those who only read it.
enum class Medium : std::uint8_t {
  writable,  // by somebody, perhaps
  fixed,     // by nobody: a file system that is read-only as a whole
};

[[nodiscard]] Medium medium_of(const std::filesystem::path& database);

// How SQLite reads what is on a fixed medium, where it can neither make files beside a database nor lock them, and need
// not. As arguments of sqlite3_open_v2().
struct FixedOpening {
  std::string name;           // of the file, or a URI
  int flags = 0;              // to be added
  const char* vfs = nullptr;  // null: the default
  // To be executed first: it lets SQLite have the index of a log in memory of its own.
  const char* pragma = "";
};

// A database alone is read as it is (https://sqlite.org/uri.html#uriimmutable), one with a log or a journal without
// locks, so that SQLite takes the log into account, and refuses what a journal would have to be played back into.
[[nodiscard]] FixedOpening opening_on_fixed_medium(const std::filesystem::path& database);

}  // namespace sqlane::detail
