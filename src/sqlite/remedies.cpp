#include "sqlite/remedies.hpp"

#include <algorithm>
#include <array>

#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane::detail {
namespace {

struct Remedy {
  std::string_view part;  // of SQLite's message
  std::string_view text;
};

constexpr std::string_view kReadByAlterTable =
    "; drop it before, and make it again after, or begin the migration with PRAGMA legacy_alter_table = ON";

// The first that fits counts.
constexpr std::array kRemedies{
    Remedy{"unsafe use of load_extension()", "; no schema may use it"},
    Remedy{"unsafe use of fts3_tokenizer()", "; no schema may use it"},
    Remedy{"unsafe use of ", "; with Options::sql.trusted_schema the schema may use all that SQLite allows"},
    Remedy{"foreign key mismatch",
           "; the parent's columns need a UNIQUE index or a PRIMARY KEY, or turn keys off "
           "by Options::sql.foreign_keys"},
    // ALTER TABLE reads all of them, a renaming not with the PRAGMA.
    // https://sqlite.org/pragma.html#pragma_legacy_alter_table
    Remedy{" after drop column: ", "; drop it before, and make it again after"},
    Remedy{"error in view ", kReadByAlterTable},
    Remedy{"error in trigger ", kReadByAlterTable},
    Remedy{"too many levels of trigger recursion",
           "; Options::sql.trigger_depth says how many, and SQLite's own limit is 1000"},
    Remedy{"LIKE or GLOB pattern too complex", "; Options::sql.like_pattern_length says how long it may be"},
};

}  // namespace

std::string_view remedy_for(std::string_view engine_message) noexcept {
  const auto* const found = std::ranges::find_if(
      kRemedies, [&](const Remedy& one) { return engine_message.find(one.part) != std::string_view::npos; });
  return found == kRemedies.end() ? std::string_view() : found->text;
}

std::string_view missing_column(std::string_view engine_message) noexcept {
  constexpr std::string_view kPrefix = "no such column: ";
  const std::size_t at = engine_message.find(kPrefix);
  if (at == std::string_view::npos) return {};
  std::string_view name = engine_message.substr(at + kPrefix.size());
  if (!name.starts_with('"')) return name;
  name.remove_prefix(1);
  return name.substr(0, name.find('"'));
}

bool has_in_double_quotes(std::string_view sql, std::string_view name) noexcept {
  const auto is_same = [](char a, char b) { return to_upper(a) == to_upper(b); };
  Scanner scanner(sql);
  for (Token token = scanner.next(); token.kind != TokenKind::end; token = scanner.next()) {
    if (token.text.size() < 2 || token.text.front() != '"') continue;
    const std::string_view quoted = token.text.substr(1, token.text.size() - 2);
    if (std::equal(quoted.begin(), quoted.end(), name.begin(), name.end(), is_same)) return true;
  }
  return false;
}

}  // namespace sqlane::detail
