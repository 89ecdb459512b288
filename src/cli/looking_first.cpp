#include "cli/looking_first.hpp"

#include <sqlane/error.hpp>
#include <string>

namespace sqlane::cli {

std::optional<Database> open_to_look(const std::function<Database()>& open) {
  constexpr int kReadOnlyRollback = 776;  // https://sqlite.org/rescode.html#readonly_rollback
  try {
    return open();
  } catch (const OpenError& error) {
    if (error.extended_code() != kReadOnlyRollback) throw;
    return std::nullopt;
  }
}

bool is_in_wal_mode(const Database& database) {
  return database.query_one<std::string>("PRAGMA journal_mode") == "wal";
}

}  // namespace sqlane::cli
