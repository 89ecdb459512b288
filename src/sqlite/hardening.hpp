#pragma once

#include "sqlane/options.hpp"

struct sqlite3;

namespace sqlane::detail {

// Settings that every connection gets, whatever its role: what an attacker who
// controls the file or a part of the SQL could use is switched off, and what SQL
// means is as `sql` says.
// https://sqlite.org/security.html
// Throws OpenError for a setting that SQLite refuses, UsageError for a limit above SQLite's own.
void harden(sqlite3* connection, const SqlSettings& sql);

}  // namespace sqlane::detail
