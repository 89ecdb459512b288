#include "sqlite/engine.hpp"

#include <sqlite3.h>
#include <string>

#include "sqlane/error.hpp"

namespace sqlane::detail {

void expect_supported_engine() {
  if (!is_supported_engine(sqlite3_libversion_number())) {
    throw OpenError("SQLite " + std::string(sqlite3_libversion()) +
                    " can corrupt databases that use savepoints; sqlane needs 3.37.2 or newer");
  }
  if (sqlite3_threadsafe() == 0) {
    throw OpenError("this SQLite was built without thread safety (SQLITE_THREADSAFE=0)");
  }
}

}  // namespace sqlane::detail
