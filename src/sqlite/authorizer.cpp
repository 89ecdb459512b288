#include "sqlite/authorizer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <sqlite3.h>
#include <string_view>

namespace sqlane::detail {
namespace {

// PRAGMAs that only look. https://sqlite.org/pragma.html
constexpr std::array<std::string_view, 29> kReadingPragmas{
    "analysis_limit", "application_id",  "auto_vacuum",  "busy_timeout",  "cache_size",     "cell_size_check",
    "collation_list", "compile_options", "data_version", "database_list", "encoding",       "foreign_keys",
    "freelist_count", "function_list",   "journal_mode", "locking_mode",  "max_page_count", "mmap_size",
    "module_list",    "page_count",      "page_size",    "pragma_list",   "query_only",     "schema_version",
    "secure_delete",  "synchronous",     "table_list",   "temp_store",    "user_version"};

// PRAGMAs whose argument names what to look at, or changes only the database's own content.
constexpr std::array<std::string_view, 15> kPragmasWithArgument{
    "application_id", "foreign_key_check", "foreign_key_list", "incremental_vacuum", "index_info",
    "index_list",     "index_xinfo",       "integrity_check",  "optimize",           "quick_check",
    "table_info",     "table_list",        "table_xinfo",      "user_version",       "defer_foreign_keys"};

constexpr std::array<std::string_view, 1> kDeferring{"defer_foreign_keys"};

template <std::size_t size>
bool contains(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view candidate) {
    return std::equal(candidate.begin(), candidate.end(), name.begin(), name.end(),
                      [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
  });
}

}  // namespace

bool is_reading_pragma(std::string_view name) { return contains(kReadingPragmas, name); }

std::string refuse_action(int action, const char* first, const char* second, const char* schema, KeyDeferral deferral,
                          Policy policy) {
  constexpr const char* kTemporary = "temporary objects would meet the connection's next user";
  if (policy == Policy::migration && action != SQLITE_TRANSACTION && action != SQLITE_SAVEPOINT) return "";
  switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT: return "transactions are controlled by write(), begin() and savepoint(), not by SQL";
    case SQLITE_ATTACH:
    case SQLITE_DETACH: return "attaching databases would change the connection for its next user";
    case SQLITE_PRAGMA: {
      const std::string_view name = first == nullptr ? "" : first;
      if (deferral == KeyDeferral::refused && contains(kDeferring, name) && second != nullptr) {
        return "PRAGMA defer_foreign_keys needs a transaction to last for";
      }
      const bool allowed = contains(kPragmasWithArgument, name) || (second == nullptr && is_reading_pragma(name));
      return allowed ? "" : "PRAGMA " + std::string(name) + " would change the connection for its next user";
    }
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW: return kTemporary;
    // CREATE TABLE temp.t says nothing of TEMP, but makes an entry in that schema's table.
    case SQLITE_INSERT: return schema != nullptr && std::string_view(schema) == "temp" ? kTemporary : "";
    default: return "";
  }
}

void Authorizer::install(sqlite3* connection) { sqlite3_set_authorizer(connection, &Authorizer::callback, this); }

// `user` is the innermost trigger or view that says it.
int Authorizer::callback(void* self, int action, const char* first, const char* second, const char* schema,
                         const char* user) {
  auto& authorizer = *static_cast<Authorizer*>(self);
  if (action == SQLITE_FUNCTION && user != nullptr && authorizer.program_functions_.contains(second)) {
    return authorizer.refuse(Refused::schema,
                             "the trigger or view \"" + std::string(user) + "\" uses the function " + second +
                                 "(), which its program has not declared SQLITE_INNOCUOUS: a schema may only use "
                                 "functions of that kind, and those of SQLite");
  }
  if (!authorizer.is_watching_) return SQLITE_OK;
  if (action == SQLITE_PRAGMA && second == nullptr && is_reading_pragma(first)) authorizer.asked_for_setting_ = true;
  if (action == SQLITE_PRAGMA && second != nullptr && contains(kDeferring, first)) authorizer.defers_keys_ = true;
  std::string refusal = refuse_action(action, first, second, schema, authorizer.deferral_, authorizer.policy_);
  if (refusal.empty()) return SQLITE_OK;
  return authorizer.refuse(Refused::statement, std::move(refusal));
}

int Authorizer::refuse(Refused what, std::string refusal) {
  refused_ = what;
  refusal_ = std::move(refusal);
  return SQLITE_DENY;
}

}  // namespace sqlane::detail
