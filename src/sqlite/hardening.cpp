#include "sqlite/hardening.hpp"

#include <array>
#include <sqlite3.h>

#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

struct Setting {
  int option;
  int value;
};

// https://sqlite.org/c3ref/c_dbconfig_defensive.html
constexpr std::array kSettings{
    Setting{SQLITE_DBCONFIG_DEFENSIVE, 1},              // no writing to the schema table or shadow tables
    Setting{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},         // views and triggers run no unsafe functions
    Setting{SQLITE_DBCONFIG_DQS_DML, 0},                // "text" is a name, never a string
    Setting{SQLITE_DBCONFIG_DQS_DDL, 0},                //
    Setting{SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},  // fts3_tokenizer() takes a code address
    Setting{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},  //
    Setting{SQLITE_DBCONFIG_ENABLE_FKEY, 1},            //
};

// https://sqlite.org/c3ref/c_limit_attached.html
constexpr std::array kLimits{
    Setting{SQLITE_LIMIT_ATTACHED, 1},  // VACUUM attaches one
    Setting{SQLITE_LIMIT_SQL_LENGTH, kLongestSql},
    Setting{SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 10'000},
    Setting{SQLITE_LIMIT_TRIGGER_DEPTH, 100},
    Setting{SQLITE_LIMIT_WORKER_THREADS, 0},
};

}  // namespace

void harden(sqlite3* connection) {
  for (const Setting& setting : kSettings) {
    int now = -1;
    const int code = sqlite3_db_config(connection, setting.option, setting.value, &now);
    if (code != SQLITE_OK || now != setting.value) {
      throw OpenError("SQLite refused the security setting " + std::to_string(setting.option));
    }
  }
  for (const Setting& limit : kLimits) sqlite3_limit(connection, limit.option, limit.value);
}

}  // namespace sqlane::detail
