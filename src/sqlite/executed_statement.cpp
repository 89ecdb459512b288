#include "sqlane/executed_statement.hpp"

#include <sqlite3.h>

namespace sqlane {

std::string ExecutedStatement::with_values() const {
  char* const expanded = sqlite3_expanded_sql(handle_);
  if (expanded == nullptr) return std::string(sql_);  // longer than SQLite allows
  std::string text = expanded;
  sqlite3_free(expanded);
  return text;
}

}  // namespace sqlane
