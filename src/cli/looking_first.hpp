#pragma once

#include <functional>
#include <optional>
#include <sqlane/database.hpp>

namespace sqlane::cli {

// A command that writes opens its database to read first, and refuses what it can: to write, a database in another
// journal mode is switched to write-ahead logging, and stays so. Nothing where a transaction that a crash has left is
// to be undone before, which only those do who write.
[[nodiscard]] std::optional<Database> open_to_look(const std::function<Database()>& open);

// Opened to write, it is not changed by that.
[[nodiscard]] bool is_in_wal_mode(const Database& database);

}  // namespace sqlane::cli
