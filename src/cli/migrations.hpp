#pragma once

#include <span>
#include <sqlane/sqlane.hpp>
#include <string_view>

namespace sqlane::cli {

struct Migration {
  int version;  // from the file's name: 1 for 0001_create_visit.sql
  std::string_view name;
  std::string_view sql;
};

// The project's own migrations/, embedded when the command is built; ascending.
[[nodiscard]] std::span<const Migration> embedded_migrations();

// Applies those newer than the database's user_version, each whole or not at
// all. Returns how many were applied.
int apply_migrations(Database& db, std::span<const Migration> migrations);

}  // namespace sqlane::cli
