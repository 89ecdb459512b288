#pragma once

#include <cstddef>
#include <sqlite3.h>
#include <string_view>

#include "support/foreign_connection.hpp"

namespace sqlane::testing {

// A collation, "german", and a function, "weight", that a program has for itself.
inline void add_own_parts(const ForeignConnection& connection) {
  sqlite3_create_collation(
      connection.handle(), "german", SQLITE_UTF8, nullptr,
      [](void*, int left_size, const void* left, int right_size, const void* right) {
        const std::string_view first(static_cast<const char*>(left), static_cast<std::size_t>(left_size));
        return first.compare(std::string_view(static_cast<const char*>(right), static_cast<std::size_t>(right_size)));
      });
  sqlite3_create_function(
      connection.handle(), "weight", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
      [](sqlite3_context* context, int, sqlite3_value**) { sqlite3_result_int(context, 1); }, nullptr, nullptr);
}

}  // namespace sqlane::testing
