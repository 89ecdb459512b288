#pragma once

#include <string>
#include <string_view>

namespace sqlane::detail {

// For SQLITE_READONLY_ROLLBACK, whose own words are about writing.
constexpr const char* kHalfDone =
    "a transaction has not come to its end, as its -journal says, and who only reads cannot undo it (SQLite code 776); "
    "open it for writing once, as sqlite3 FILE 'PRAGMA user_version' does, and never delete the -journal";

// What helps against an error of SQLite whose message alone does not tell, as
// "; …" to stand after it; empty for any other. Pure.
[[nodiscard]] std::string remedy_for(std::string_view message, std::string_view sql);

// Whether `message` says that a text of the schema has what this SQLite does not know, as that of a newer engine. Pure.
[[nodiscard]] bool is_of_unknown_syntax(std::string_view message);

// Whether `message`, of a statement that ran already, is about a part of the schema that SQLite compiled only then, as
// VACUUM, ALTER TABLE and full-text tables do. Pure.
[[nodiscard]] bool is_about_schema(std::string_view message);

// Whether `message` says that there is no column of a name, which `sql` does not
// have in double quotes: a view, a trigger or the like has it. Pure.
[[nodiscard]] bool misses_column_of_schema(std::string_view message, std::string_view sql);

}  // namespace sqlane::detail
