#include "sqlite/integrity.hpp"

#include <algorithm>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <utility>

#include "base/quoted_name.hpp"
#include "sqlane/detail/queries.hpp"
#include "sqlane/detail/statement.hpp"
#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/errors.hpp"

namespace sqlane::detail {
namespace {

constexpr std::size_t kMostMessages = 100;

// What SQLite says of a value that is not allowed where it is: "NULL value in t.c", "non-INTEGER value in t.c".
bool is_about_value(std::string_view line) {
  if (line.starts_with("CHECK constraint failed in ")) return true;
  const std::string_view first_words = line.substr(0, line.find(" value in "));
  return first_words.size() < line.size() && first_words.find(' ') == std::string_view::npos;
}

// https://sqlite.org/pragma.html#pragma_integrity_check
class IntegrityCheck {
 public:
  explicit IntegrityCheck(Connection& connection) : connection_(connection) {}

  IntegrityReport run(IntegrityDepth depth) && {
    const std::string pragma = depth == IntegrityDepth::full ? "PRAGMA integrity_check" : "PRAGMA quick_check";
    if (const auto reason = ask(pragma + "(" + std::to_string(kMostMessages) + ")")) {
      report_.unchecked.push_back({.table = "", .reason = *reason});
      for (const std::string& table : tables()) {
        if (report_.damage.size() >= kMostMessages) break;
        check_table(table, pragma, depth);
      }
    }
    return std::move(report_);
  }

 private:
  // Takes over the findings of `sql`. Returns why it could not be run, if so.
  template <class... Args>
  std::optional<std::string> ask(const std::string& sql, const Args&... args) {
    try {
      const SqlFor<Access::read, Args...> text = runtime_sql(sql);
      Statement statement(connection_, text.text());
      bind_all(statement, Lifetime::borrowed, args...);
      while (statement.step()) {
        add(statement.text(0, "text"));
      }
    } catch (const CorruptError& error) {
      report_.damage.push_back(words_of_engine(error));
    } catch (const Error& error) {
      if (error.code() != SQLITE_ERROR) throw;
      return words_of_engine(error);
    }
    return std::nullopt;
  }

  // One row can have several lines, with a heading.
  void add(std::string_view lines) {
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(line.size() + 1, lines.size()));
      if (line.empty() || line == "ok" || line.starts_with("*** in database ")) continue;
      std::vector<std::string>& found = is_about_value(line) ? report_.violations : report_.damage;
      if (found.size() < kMostMessages) found.emplace_back(line);
    }
  }

  // With the table of the schema first. What a module keeps is in ordinary tables.
  std::vector<std::string> tables() {
    std::vector<std::string> names{"sqlite_schema"};
    const SqlFor<Access::read> text =
        runtime_sql("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name");
    Statement statement(connection_, text.text());
    while (statement.step()) names.emplace_back(statement.text(0, "text"));
    return names;
  }

  void check_table(const std::string& table, const std::string& pragma, IntegrityDepth depth) {
    const std::string name = quote_name(table);
    const auto reason = ask(pragma + "(" + name + ")");
    if (!reason) return;
    const bool is_read = (depth == IntegrityDepth::full && !ask("PRAGMA quick_check(" + name + ")")) || read(table);
    report_.unchecked.push_back({.table = table, .reason = *reason, .is_read = is_read});
  }

  // Each page of the table and of its indexes, whatever their order needs: none has another kind than a tree has.
  // https://sqlite.org/dbstat.html
  bool read(const std::string& table) {
    const SqlFor<Access::read, std::string> text =
        runtime_sql("SELECT name FROM sqlite_master WHERE tbl_name = ? AND rootpage > 0");
    std::vector<std::string> trees;
    Statement statement(connection_, text.text());
    bind_all(statement, Lifetime::borrowed, table);
    while (statement.step()) trees.emplace_back(statement.text(0, "text"));
    const bool is_read = std::ranges::all_of(trees, [&](const std::string& tree) {
      return !ask(
          "SELECT 'page ' || pageno || ' of ' || name || ' is not one of a table or an index' FROM dbstat "
          "WHERE name = ? AND pagetype = 'corrupted'",
          tree);
    });
    // Where SQLite has no dbstat: those of a table whose key needs nothing, and of no index.
    if (!is_read) ask("SELECT 'ok' FROM (SELECT count(*) FROM " + quote_name(table) + " NOT INDEXED)");
    return is_read;
  }

  Connection& connection_;
  IntegrityReport report_;
};

}  // namespace

IntegrityReport check_integrity(Connection& connection, IntegrityDepth depth) {
  return IntegrityCheck(connection).run(depth);
}

}  // namespace sqlane::detail
