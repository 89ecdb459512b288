#include "cli/version.hpp"

#include <sqlane/database.hpp>

namespace sqlane::cli {

std::string version() { return SQLANE_VERSION; }

std::string version_line() {
  const Database database = Database::in_memory();
  return "sqlane " + version() + ", SQLite " + database.query_one<std::string>("SELECT sqlite_version()");
}

}  // namespace sqlane::cli
