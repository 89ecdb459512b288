#include "sqlite/backup.hpp"

#include <sqlite3.h>

namespace sqlane::detail {

void copy_database(Connection& from, Connection& to) {
  sqlite3_backup* const backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) to.fail(sqlite3_errcode(to.handle()), "backup");
  constexpr int kAllPages = -1;
  const int step = sqlite3_backup_step(backup, kAllPages);
  const int end = sqlite3_backup_finish(backup);
  if (step != SQLITE_DONE || end != SQLITE_OK) to.fail(end != SQLITE_OK ? end : step, "backup");
}

}  // namespace sqlane::detail
