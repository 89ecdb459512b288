#include "sqlite/engine.hpp"

#include <array>
#include <sqlite3.h>
#include <string>

#include "sqlane/error.hpp"

namespace sqlane::detail {

// https://sqlite.org/compile.html#omitfeatures; an engine without an authorizer, a
// progress handler or the API for backups fails to link.
std::string_view missing_part(HasCompileOption has_option) noexcept {
  constexpr std::array kNeeded{"OMIT_FOREIGN_KEY", "OMIT_INTEGRITY_CHECK", "OMIT_WAL"};
  for (const char* option : kNeeded) {
    if (has_option(option) != 0) return option;
  }
  return {};
}

void expect_supported_engine() {
  if (!is_supported_engine(sqlite3_libversion_number())) {
    throw OpenError("SQLite " + std::string(sqlite3_libversion()) +
                    " loses rows of INSERT … RETURNING that violate a foreign key; sqlane needs 3.39.0 or newer");
  }
  if (sqlite3_threadsafe() == 0) {
    throw OpenError("this SQLite was built without thread safety (SQLITE_THREADSAFE=0)");
  }
  if (const std::string_view option = missing_part(&sqlite3_compileoption_used); !option.empty()) {
    throw OpenError("this SQLite was built with SQLITE_" + std::string(option) +
                    ", and sqlane cannot keep its promises without that part");
  }
}

}  // namespace sqlane::detail
