#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane::detail {

struct ScriptStatement {
  std::string text;  // without its semicolon, and without what is before it
  std::size_t line;  // where it begins, from 1
};

// SQL text of several statements, taken apart.
struct MigrationScript {
  std::vector<ScriptStatement> statements;  // none of one that has comments alone
  bool is_transactional = true;             // not marked `-- sqlane: no-transaction`
  // Marked `-- sqlane: check-keys visit, place`, or `-- sqlane: no-key-check`: none. Unset: all.
  std::optional<std::vector<std::string>> checked_tables{};
  bool sets_foreign_keys = false;  // by a PRAGMA
};

// Takes a migration's text apart, by the rules by which SQLite finds a
// statement's end (https://sqlite.org/c3ref/complete.html). Pure. Throws
// MigrationError naming file, line and remedy: malformed (a NUL byte, no UTF-8, a
// quote that is left open, a placeholder, a mark that is not known, neither a
// statement nor a comment), transaction, not_transactional.
[[nodiscard]] MigrationScript parse_migration(std::string_view text, const std::string& file);

// Without a byte order mark, and with "\n" alone at the ends of lines.
[[nodiscard]] std::string normalize_text(std::string_view text);

}  // namespace sqlane::detail
