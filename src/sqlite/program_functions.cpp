#include "sqlite/program_functions.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <sqlite3.h>

namespace sqlane::detail {
namespace {

// Of the modules that SQLite is built with; some versions do not mark them as harmless.
constexpr std::array<std::string_view, 16> kOfModules{
    "bm25",          "fts5",       "fts5_get_locale", "fts5_insttoken", "fts5_locale", "fts5_source_id",
    "geopoly_debug", "highlight",  "match",           "matchinfo",      "offsets",     "optimize",
    "rtreecheck",    "rtreedepth", "rtreenode",       "snippet"};

bool is_of_module(std::string_view name) { return std::ranges::find(kOfModules, name) != kOfModules.end(); }

std::string in_lower_case(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

bool ProgramFunctions::contains(std::string_view name) {
  if (!names_) names_ = find();
  return !names_ || (!names_->empty() && names_->contains(in_lower_case(name)));
}

std::optional<std::set<std::string, std::less<>>> ProgramFunctions::find() {
  static constexpr const char* kSql = "SELECT name FROM pragma_function_list WHERE NOT builtin AND NOT flags & ?";
  std::set<std::string, std::less<>> names;
  sqlite3* connection = nullptr;
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_open_v2(":memory:", &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code == SQLITE_OK) code = sqlite3_prepare_v2(connection, kSql, -1, &statement, nullptr);
  const bool has_list = code != SQLITE_ERROR;
  if (code == SQLITE_OK) code = sqlite3_bind_int(statement, 1, SQLITE_INNOCUOUS);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW) break;
    const auto* const name = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    if (name != nullptr && !is_of_module(name)) names.insert(in_lower_case(name));
  }
  sqlite3_finalize(statement);
  sqlite3_close(connection);
  if (has_list && code != SQLITE_DONE) return std::nullopt;
  return names;
}

}  // namespace sqlane::detail
