#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace sqlane {

class Database;

// A statement that does not fit the schema, or that the library would refuse.
struct SqlFinding {
  std::filesystem::path file{};  // empty for a literal
  std::size_t line = 0;          // where it is wrong, or begins, from 1; in the file, or in the literal
  std::size_t column = 0;        // in bytes, from 1
  std::string sql{};             // the statement
  std::string message{};         // "no such column: titel"
};

// Prepares each statement of each file *.sql in a folder and the folders below
// it, by name, without running any; values for placeholders are not needed. A
// file is UTF-8 text of any number of statements that read or change rows; what
// changes the schema belongs into a migration, and is a finding here.
// The database's own rules hold, so what a Transaction refuses is a finding too.
// Throws OpenError when the folder or a file cannot be read, or there is no .sql
// file: what checks the wrong folder finds nothing.
[[nodiscard]] std::vector<SqlFinding> check_sql_folder(const Database& database, const std::filesystem::path& folder);

// The same for the literals of this program that are written "SELECT …"_sql, see
// registered_sql.hpp. Those that change the schema are passed over.
[[nodiscard]] std::vector<SqlFinding> check_registered_sql(const Database& database);

}  // namespace sqlane
