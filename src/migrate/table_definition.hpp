#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sqlane::detail {

// What the text of a CREATE TABLE says that no PRAGMA tells; in normal form.
struct TableDefinition {
  struct Column {
    std::string name;          // as normal_name()
    std::string collation;     // empty: BINARY
    std::string generated_as;  // the expression
  };
  std::vector<Column> columns;
  std::vector<std::string> checks;          // "CHECK (size > 0)", "CONSTRAINT positive CHECK (size > 0)"
  std::vector<std::string> conflict_rules;  // "UNIQUE (code) ON CONFLICT REPLACE"
  std::vector<bool> deferred;               // of each foreign key, in the order of the text
  bool has_autoincrement = false;
};

// Pure. `sql` as SQLite keeps it: it has been accepted, so there are no mistakes to tell of.
[[nodiscard]] TableDefinition parse_table(std::string_view sql);

struct IndexDefinition {
  std::vector<std::string> columns;  // expressions with their COLLATE, without ASC or DESC
  std::string where;
};
[[nodiscard]] IndexDefinition parse_index(std::string_view sql);

// What follows the name of a CREATE VIEW. Pure.
[[nodiscard]] std::string parse_view(std::string_view sql);

// What follows the name of a CREATE VIRTUAL TABLE and USING; the arguments are
// the module's, so their letter case is kept.
[[nodiscard]] std::string parse_module(std::string_view sql);

enum class TriggerEvent : unsigned char { insert_row, update_row, delete_row };

// What follows the name of a CREATE TRIGGER, with what may be left out written out, or left out.
[[nodiscard]] std::string parse_trigger(std::string_view sql);

// `trigger` as from parse_trigger().
[[nodiscard]] TriggerEvent event_of_trigger(std::string_view trigger);

}  // namespace sqlane::detail
