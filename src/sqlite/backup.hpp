#pragma once

#include "sqlite/connection.hpp"

namespace sqlane::detail {

// Copies all of a database to another one, in one step: what the snapshot of
// `from` shows replaces what is in `to`. Requires: `from` has a snapshot, `to`
// no transaction. https://sqlite.org/backup.html
// Throws what reading the one or writing the other throws; `to` is as before then.
void copy_database(Connection& from, Connection& to);

}  // namespace sqlane::detail
