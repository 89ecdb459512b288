#include "sqlite/hardening.hpp"

#include <array>
#include <sqlite3.h>

#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

struct Setting {
  int option;
  bool value;
};

// https://sqlite.org/c3ref/c_dbconfig_defensive.html
constexpr std::array kSettings{
    Setting{SQLITE_DBCONFIG_DEFENSIVE, true},               // no writing to the schema table or shadow tables
    Setting{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false},  // fts3_tokenizer() takes a code address
    Setting{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false},
};

void set(sqlite3* connection, Setting setting) {
  int now = -1;
  const int code = sqlite3_db_config(connection, setting.option, setting.value ? 1 : 0, &now);
  if (code != SQLITE_OK || now != static_cast<int>(setting.value)) {
    throw OpenError("SQLite refused the setting " + std::to_string(setting.option) + " of sqlite3_db_config()");
  }
}

// SQLite answers a limit above its own with its own.
void limit(sqlite3* connection, int which, std::size_t value, const char* option) {
  if (value == 0) return;
  const int most = sqlite3_limit(connection, which, -1);
  if (value > static_cast<std::size_t>(most)) {
    throw UsageError(std::string(option) + " must be at most " + std::to_string(most) +
                     ", the limit that this SQLite was built with");
  }
  sqlite3_limit(connection, which, static_cast<int>(value));
}

}  // namespace

void harden(sqlite3* connection, const SqlSettings& sql) {
  for (const Setting& setting : kSettings) set(connection, setting);
  set(connection, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, sql.trusted_schema});
  set(connection, {SQLITE_DBCONFIG_ENABLE_FKEY, sql.foreign_keys});
  set(connection, {SQLITE_DBCONFIG_DQS_DML, sql.double_quoted_strings});
  set(connection, {SQLITE_DBCONFIG_DQS_DDL, sql.double_quoted_strings});
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 1);  // VACUUM attaches one
  sqlite3_limit(connection, SQLITE_LIMIT_WORKER_THREADS, 0);
  limit(connection, SQLITE_LIMIT_TRIGGER_DEPTH, sql.trigger_depth, "Options::sql.trigger_depth");
  limit(connection, SQLITE_LIMIT_SQL_LENGTH, sql.sql_length, "Options::sql.sql_length");
  limit(connection, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, sql.like_pattern_length, "Options::sql.like_pattern_length");
}

}  // namespace sqlane::detail
