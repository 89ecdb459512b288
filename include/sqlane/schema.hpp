#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane {

class Database;
class Snapshot;

// What of a schema is compared. The texts in here are normal forms: without
// comments, names in small letters and quoted only where they have to be.
// Names count without regard to letter case, as for SQLite; double quotes are
// those of a name, never of a string, as on every connection of this library.

enum class SchemaObjectType : std::uint8_t { table, column, index, view, trigger };

[[nodiscard]] std::string_view to_string(SchemaObjectType type) noexcept;

// A view, or a trigger: what follows its name.
struct SchemaObject {
  SchemaObjectType type = SchemaObjectType::view;
  std::string name;
  std::string table;  // a trigger's table or view; the view itself
  std::string sql;
};

struct SchemaColumn {
  enum class Kind : std::uint8_t { ordinary, hidden, generated, generated_stored };
  std::string name;  // as it was written
  std::string type;  // as declared, in capital letters; can be empty
  bool is_not_null = false;
  std::optional<std::string> default_value{};  // an expression
  int primary_key = 0;                         // its position in the primary key, from 1
  Kind kind = Kind::ordinary;
  std::string generated_as{};  // the expression
  std::string collation{};     // empty: BINARY
};

struct SchemaForeignKey {
  std::vector<std::string> columns;
  std::string table;                    // that it refers to
  std::vector<std::string> referenced;  // its columns; empty: its primary key, the table not being there
  std::string on_update;                // "NO ACTION", "CASCADE" and so on
  std::string on_delete;
  bool is_deferred = false;
};

struct SchemaIndex {
  enum class Origin : std::uint8_t { create_index, unique, primary_key };
  std::string name;  // none of a constraint
  std::string table;
  std::vector<std::string> columns;  // "code", "lower(name)", "code COLLATE nocase DESC"
  bool is_unique = false;
  std::string where{};  // of a partial index
  Origin origin = Origin::create_index;
};

struct SchemaTable {
  std::string name;  // as it was written
  std::vector<SchemaColumn> columns{};
  std::vector<SchemaForeignKey> foreign_keys{};
  std::vector<SchemaIndex> keys{};            // of PRIMARY KEY and UNIQUE, but for a primary key that is the rowid
  std::vector<std::string> checks{};          // "CHECK (size > 0)"
  std::vector<std::string> conflict_rules{};  // "UNIQUE (code) ON CONFLICT REPLACE"
  bool is_without_rowid = false;
  bool is_strict = false;
  bool has_autoincrement = false;
  std::string module{};  // of a virtual table, with its arguments; its columns are the module's affair
};

// The main schema, without what SQLite keeps for itself (sqlite_…, the tables
// behind virtual ones) and without the library's table sqlane_migration. A value.
struct Schema {
  std::vector<SchemaTable> tables{};  // all by name
  std::vector<SchemaIndex> indexes{};
  std::vector<SchemaObject> views{};
  std::vector<SchemaObject> triggers{};
};

[[nodiscard]] Schema read_schema(const Database& database);
[[nodiscard]] Schema read_schema(const Snapshot& snapshot);

struct SchemaDifference {
  enum class Kind : std::uint8_t { missing, unexpected, differs };
  Kind kind = Kind::differs;
  SchemaObjectType type = SchemaObjectType::table;
  std::string name;
  std::string table;     // that it belongs to; a table or view itself
  std::string sentence;  // "table visit: column code is TEXT NOT NULL, expected TEXT"
};

[[nodiscard]] std::string_view to_string(SchemaDifference::Kind kind) noexcept;

// What of `actual` is not as expected. Two schemas that mean the same
// do not differ, whatever their text: white space, comments, letter case, quotes
// around names, the order of objects and constraints, names of constraints other
// than CHECK, a constraint at a column or at the table, a column that was added
// later. The order of columns does count. Of a table that is missing or
// unexpected its indexes and triggers are not told apart. Pure.
[[nodiscard]] std::vector<SchemaDifference> compare_schemas(const Schema& expected, const Schema& actual);

// Whether they mean the same.
[[nodiscard]] inline bool operator==(const Schema& left, const Schema& right) {
  return compare_schemas(left, right).empty();
}

}  // namespace sqlane
