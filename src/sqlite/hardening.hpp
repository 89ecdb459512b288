#pragma once

#include <cstddef>

#include "sqlane/options.hpp"

struct sqlite3;

namespace sqlane::detail {

// Of SQL text, in bytes. A schema with a longer one cannot be read by connections that have this limit.
constexpr int kLongestSql = 1'000'000;

// Settings that every connection gets, whatever its role: what an attacker who
// controls the file or a part of the SQL could use is switched off.
// https://sqlite.org/security.html
// Throws what the first refused setting says.
void harden(sqlite3* connection);

}  // namespace sqlane::detail
