#include "fuzz/migration_properties.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <sqlite3.h>
#include <stdexcept>
#include <vector>

#include "migrate/script.hpp"
#include "sqlane/error.hpp"

namespace sqlane::testing {
namespace {

using detail::MigrationScript;
using detail::ScriptStatement;

constexpr const char* kFile = "0001_any.sql";

// A database whose tables the corpus names, so that some statements can be prepared. Nothing is ever run in it.
class Judge {
 public:
  Judge() {
    sqlite3* db = nullptr;
    const int code = sqlite3_open(":memory:", &db);
    db_.reset(db);
    if (code != SQLITE_OK ||
        sqlite3_exec(
            db, "CREATE TABLE t (a, b); CREATE TABLE note (id INTEGER PRIMARY KEY, title); CREATE VIEW v AS SELECT 1",
            nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error("no database to compare with");
    }
    // Nothing that is prepared here may have an effect: some PRAGMAs do while they are prepared.
    sqlite3_set_authorizer(
        db,
        [](void*, int action, const char*, const char*, const char*, const char*) {
          return action == SQLITE_PRAGMA || action == SQLITE_ATTACH ? SQLITE_DENY : SQLITE_OK;
        },
        nullptr);
  }

  // Where SQLite's first statement in `text` ends, unless it refuses it.
  [[nodiscard]] std::optional<std::size_t> end_of_first(const std::string& text) const {
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v2(db_.get(), text.c_str(), -1, &statement, &tail);
    sqlite3_finalize(statement);
    if (code != SQLITE_OK || statement == nullptr) return std::nullopt;
    return static_cast<std::size_t>(tail - text.c_str());
  }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

const Judge& judge() {
  static const Judge judge;
  return judge;
}

bool is_equal(const ScriptStatement& one, const ScriptStatement& other) { return one.text == other.text; }

std::optional<std::string> fault_with_refusal(const MigrationError& error, std::size_t lines) {
  using Problem = MigrationProblem;
  const bool is_ours = error.problem() == Problem::malformed || error.problem() == Problem::transaction ||
                       error.problem() == Problem::not_transactional;
  if (!is_ours) return "a refusal of another kind";
  if (error.file() != kFile) return "a refusal that does not name the file";
  const std::string message = error.what();
  constexpr std::string_view kLine = ": line ";
  const std::size_t at = message.find(kLine);
  if (at == std::string::npos) {
    return message.find("it has no statement") == std::string::npos &&
                   message.find("it is a draft without a statement") == std::string::npos
               ? std::optional("a refusal without a line: " + message)
               : std::nullopt;
  }
  std::size_t line = 0;
  const char* const end = message.data() + message.size();
  if (std::from_chars(message.data() + at + kLine.size(), end, line).ec != std::errc() || line < 1 || line > lines) {
    return "a refusal of a line that is not there: " + message;
  }
  return std::nullopt;
}

// Each statement is at its line, in the order of the text, and nothing but blanks, comments and semicolons between
// them.
std::optional<std::string> fault_with_places(const MigrationScript& script, const std::string& text) {
  std::size_t at = 0;
  for (const auto& [statement, line] : script.statements) {
    std::size_t found = text.find(statement, at);
    // The same words may stand in a comment before.
    while (found != std::string::npos &&
           1 + static_cast<std::size_t>(
                   std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(found), '\n')) <
               line) {
      found = text.find(statement, found + 1);
    }
    if (found == std::string::npos) return "a statement that is not in the text behind the one before: " + statement;
    const auto there =
        1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(found), '\n'));
    if (there != line) return "line " + std::to_string(line) + " is not that of " + statement;
    at = found + statement.size();
  }
  return std::nullopt;
}

std::optional<std::string> fault_with_statement(const std::string& statement) {
  if (statement.empty()) return "an empty statement";
  if (sqlite3_complete((statement + ";").c_str()) == 0) return "SQLite finds it incomplete: " + statement;
  return std::nullopt;
}

std::string joined(const MigrationScript& script) {
  std::string text = script.is_transactional ? "" : "-- sqlane: no-transaction\n";
  for (const auto& statement : script.statements) text += statement.text + ";\n";
  return text;
}

// Going over the text with the end that SQLite finds comes by the same statements, as long as it can prepare them.
std::optional<std::string> fault_with_ends(const MigrationScript& script, Comparison& comparison) {
  std::string rest = joined(script);
  if (!script.is_transactional) rest.erase(0, rest.find('\n') + 1);
  for (const auto& statement : script.statements) {
    const std::size_t size = statement.text.size() + 1;
    ++comparison.statements;
    if (const auto end = judge().end_of_first(rest)) {
      ++comparison.prepared;
      if (*end != size) {
        return "for SQLite it ends at byte " + std::to_string(*end) + " and not at " + std::to_string(size) + ": " +
               statement.text;
      }
    }
    rest.erase(0, size + 1);
  }
  return std::nullopt;
}

// As above, over the text as it was written, with its comments and blanks.
std::optional<std::string> fault_with_order(const MigrationScript& script, const std::string& text) {
  std::size_t at = 0;
  for (const auto& statement : script.statements) {
    const auto end = judge().end_of_first(text.substr(at));
    if (!end) return std::nullopt;
    std::string_view theirs = std::string_view(text).substr(at, *end);
    if (theirs.ends_with(';')) theirs.remove_suffix(1);
    // Comments before and behind belong to nobody.
    if (theirs.find(statement.text) == std::string_view::npos) {
      return "SQLite reads \"" + std::string(theirs) + "\" where we read \"" + statement.text + "\"";
    }
    at += *end;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> fault_with_migration(std::string_view bytes, Comparison& comparison) {
  const std::string text = detail::normalize_text(bytes);
  if (detail::normalize_text(text) != text) return "normalizing twice makes a difference";
  const auto lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  MigrationScript script;
  try {
    script = detail::parse_migration(bytes, kFile);
  } catch (const MigrationError& error) {
    ++comparison.refused;
    return fault_with_refusal(error, lines);
  }
  if (script.statements.empty()) {
    const bool has_comment = text.find("--") != std::string::npos || text.find("/*") != std::string::npos;
    return has_comment ? std::nullopt : std::optional<std::string>("no statement, no comment, and no refusal");
  }
  std::size_t previous = 1;
  for (const auto& [statement, line] : script.statements) {
    if (auto fault = fault_with_statement(statement)) return fault;
    if (line < previous || line > lines) return "line " + std::to_string(line) + " behind " + std::to_string(previous);
    previous = line;
  }
  MigrationScript again;
  try {
    again = detail::parse_migration(joined(script), kFile);
  } catch (const MigrationError& error) {
    return std::string("its own statements are refused: ") + error.what();
  }
  if (!std::equal(script.statements.begin(), script.statements.end(), again.statements.begin(), again.statements.end(),
                  is_equal) ||
      script.is_transactional != again.is_transactional) {
    return "its statements, joined, are others";
  }
  if (auto fault = fault_with_places(script, text)) return fault;
  if (auto fault = fault_with_ends(script, comparison)) return fault;
  return fault_with_order(script, text);
}

std::optional<std::string> fault_with_migration(std::string_view bytes) {
  Comparison ignored;
  return fault_with_migration(bytes, ignored);
}

}  // namespace sqlane::testing
