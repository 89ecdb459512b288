#pragma once

#include <optional>
#include <string>

#include "sqlite/errors.hpp"

struct sqlite3;

namespace sqlane::detail {

// What the operating system says of an error of SQLite: SQLite's own codes call a
// full disk, a quota and a disk that is gone by the names of what it did to the file.
struct SystemCause {
  std::optional<ErrorKind> kind;  // where it is another than that of SQLite's code
  std::string words;              // to stand after SQLite's message; empty where there is nothing to say
  bool wrote_nothing = false;     // there was no room for all of a commit, so that SQLite has undone it
};

// `error`: errno of the call that failed, 0 where it is unknown; `code`: SQLite's extended code. Pure.
[[nodiscard]] SystemCause cause_of(int code, int error);

// errno of the connection's newest failure on its files; 0 where it is unknown.
[[nodiscard]] int system_error_of(sqlite3* connection, int code) noexcept;

// Whether SQLite writes on after the end of a commit, up to the end of a disk's sector: a commit that found no room can
// be complete then. https://sqlite.org/psow.html
[[nodiscard]] bool pads_commits(sqlite3* connection) noexcept;

// What ran out of room on SQLITE_FULL, as "; …": the folder of the database, or that for temporary files, which
// sorting, VACUUM and CREATE INDEX write to. Empty where both have room: the limit is the database's own.
[[nodiscard]] std::string name_full_folder(const std::string& database);

}  // namespace sqlane::detail
