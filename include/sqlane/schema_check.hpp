#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sqlane/schema.hpp"

namespace sqlane {

// An object of a schema that fails when it is used.
struct SchemaFault {
  enum class Kind : std::uint8_t {
    missing_extension,  // a function, a collation or a module that this program does not have
    quoted_text,        // a string in double quotes, which are those of a name here
    foreign_key,        // a key that does not fit what it refers to
    other,
  };
  Kind kind = Kind::other;
  SchemaObjectType type = SchemaObjectType::table;
  std::string name;
  std::string table;  // that it belongs to; a table or view itself
  // That fail: "SELECT", "INSERT", "UPDATE", "DELETE"; "ALTER TABLE" and "VACUUM" alone where a string in double quotes
  // stands in a CHECK, an index or a generated column, which only these two read anew. In a migration they accept it.
  std::vector<std::string> statements;
  std::string message;  // SQLite's: "no such column: kode"
};

// Prepares a statement for each view, trigger and index, and the usual ones for each table, without running any. SQLite
// looks at most of a schema only then, so what is found here would fail at its first use. What a table's statements say
// because of one of its triggers or indexes is told of that one alone. By name, tables last.
[[nodiscard]] std::vector<SchemaFault> check_schema(const Database& database);

}  // namespace sqlane
