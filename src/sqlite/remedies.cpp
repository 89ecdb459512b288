#include "sqlite/remedies.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane::detail {
namespace {

struct Remedy {
  std::string_view part;  // of SQLite's message
  std::string_view text;
};

// The first that fits counts.
constexpr std::array kRemedies{
    Remedy{"unsafe use of load_extension()", "; no schema may use it"},
    Remedy{"unsafe use of fts3_tokenizer()", "; no schema may use it"},
    Remedy{"unsafe use of ", "; with Options::sql.trusted_schema the schema may use all that SQLite allows"},
    Remedy{"foreign key mismatch",
           "; a key refers to a table, to as many columns as it has itself, which are its primary key or have a UNIQUE "
           "index on exactly those: make that index or correct the key in a migration, or open the database with "
           "Options::sql.foreign_keys = false"},
    Remedy{"too many levels of trigger recursion",
           "; Options::sql.trigger_depth says how many, and SQLite's own limit is 1000"},
    Remedy{"unsupported file format", "; a newer or another engine has made it, and only that one can read it"},
    Remedy{"no query solution", "; the key of a table has a collation that this program does not have"},
    Remedy{"LIKE or GLOB pattern too complex", "; Options::sql.like_pattern_length says how long it may be"},
};

// "error in view v: no such column: text" is about the column text; newer engines
// say: no such column: "text" - should this be a string literal in single-quotes?
std::optional<std::string_view> missing_column(std::string_view message) {
  constexpr std::string_view kNoColumn = "no such column: ";
  const std::size_t at = message.find(kNoColumn);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view name = message.substr(at + kNoColumn.size());
  return name.starts_with('"') ? name.substr(1, name.find('"', 1) - 1) : name;
}

bool is_same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return to_upper(x) == to_upper(y); });
}

enum class Mention { none, bare, double_quotes };

Mention mention_of(std::string_view name, std::string_view sql) {
  Mention mention = Mention::none;
  Scanner scanner(sql);
  for (Token token = scanner.next(); token.kind != TokenKind::end; token = scanner.next()) {
    const bool is_quoted = token.text.size() > 2 && token.text.front() == '"';
    if (is_quoted && is_same_name(token.text.substr(1, token.text.size() - 2), name)) return Mention::double_quotes;
    if (is_same_name(token.text, name)) mention = Mention::bare;
  }
  return mention;
}

// What a migration's connection does about them: Connection::prepare_for_migration().
bool takes_strings_in_migrations(std::string_view sql) {
  const std::string_view verb = Scanner(sql).next().text;
  return is_same_name(verb, "VACUUM") || is_same_name(verb, "ALTER");
}

std::string remedy_for_column(std::string_view name, std::string_view message, std::string_view sql) {
  const std::string_view last_part = name.substr(name.rfind('.') + 1);  // of new.note
  if (last_part != name && mention_of(last_part, sql) != Mention::none) return "";
  const std::string string = "'" + std::string(name) + "'";
  switch (mention_of(name, sql)) {
    case Mention::double_quotes: return "; in double quotes stands a name: a string is written as " + string;
    case Mention::none:
      if (message.starts_with("error in index ")) {  // SQLite cannot rename columns beside it, whatever is allowed
        return "; if this name is in double quotes there, it was taken for a string when that was made: "
               "drop the index, and make it again with " +
               string;
      }
      return "; this name stands in a view, a trigger, an index or a table's definition, which check_schema() and "
             "sqlane check name: if it is in double quotes there, it was taken for a string when that was made: "
             "make that again with " +
             string + ", or open the database with Options::sql.double_quoted_strings = true" +
             (takes_strings_in_migrations(sql) ? ", or do this in a migration, which takes it for a string" : "");
    case Mention::bare: return "";
  }
  return "";
}

// "ALTER TABLE t RENAME TO u"; RENAME COLUMN has the name of a column before TO.
bool renames_table(std::string_view sql) {
  Scanner scanner(sql);
  std::string_view before;
  for (Token token = scanner.next(); token.kind != TokenKind::end; token = scanner.next()) {
    if (is_same_name(before, "RENAME") && is_same_name(token.text, "TO")) return true;
    before = token.text;
  }
  return false;
}

// Functions, collations and modules, which belong to a program.
constexpr std::array<std::string_view, 6> kMissingParts{
    "no such function: ", "unknown function: ",  "no such collation sequence: ",
    "no such module: ",   "no such tokenizer: ", "unknown tokenizer: "};

std::string remedy_for_part(std::string_view message, std::string_view sql) {
  for (const std::string_view start : kMissingParts) {
    const std::size_t at = message.find(start);
    if (at == std::string_view::npos) continue;
    std::string_view name = message.substr(at + start.size());
    if (name.ends_with("()")) name.remove_suffix(2);
    if (mention_of(name, sql) != Mention::none) return "";
    return "; the schema has it, and it belongs to the program that made the database, or to a newer SQLite: "
           "what needs it works there alone";
  }
  return "";
}

}  // namespace

std::string remedy_for(std::string_view message, std::string_view sql) {
  std::string remedy;
  const std::optional<std::string_view> column = missing_column(message);
  if (column) remedy = remedy_for_column(*column, message, sql);
  remedy += remedy_for_part(message, sql);
  if (message.starts_with("error in view ") || message.starts_with("error in trigger ")) {
    remedy += "; ALTER TABLE reads all views and triggers: drop this one before, and make it again after";
    // It keeps RENAME TO from reading them, and no other. https://sqlite.org/pragma.html#pragma_legacy_alter_table
    if (renames_table(sql)) remedy += ", or rename in a migration that begins with PRAGMA legacy_alter_table = ON";
  }
  const auto* const known = std::ranges::find_if(
      kRemedies, [&](const Remedy& one) { return message.find(one.part) != std::string_view::npos; });
  if (known != kRemedies.end()) remedy += known->text;
  return remedy;
}

bool is_of_unknown_syntax(std::string_view message) {
  if (message.find("malformed database schema (") == std::string_view::npos) return false;
  constexpr std::array<std::string_view, 4> kUnknown{
      ": syntax error", "unrecognized token: ", "unknown table option: ", "unknown datatype for "};
  return std::ranges::any_of(kUnknown, [&](std::string_view part) { return message.find(part) != message.npos; });
}

bool is_about_schema(std::string_view message) {
  constexpr std::array<std::string_view, 6> kOthers{"no such table: ",   "no such column: ", "error in view ",
                                                    "error in trigger ", "error in index ",  "error in table "};
  const auto begins = [&](std::string_view start) { return message.starts_with(start); };
  return std::ranges::any_of(kMissingParts, begins) || std::ranges::any_of(kOthers, begins);
}

bool misses_column_of_schema(std::string_view message, std::string_view sql) {
  const std::optional<std::string_view> name = missing_column(message);
  return name && mention_of(*name, sql) != Mention::double_quotes;
}

}  // namespace sqlane::detail
