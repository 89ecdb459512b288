#include "migrate/unsuitable_pragma.hpp"

#include <algorithm>

#include "sqlane/detail/sql_scanner.hpp"

namespace sqlane::detail {
namespace {

constexpr std::string_view kFails = "fails inside a transaction";
constexpr std::string_view kDoesNothing = "does nothing inside a transaction";
constexpr std::string_view kIsNotUndone = "is not undone with the transaction";
constexpr std::string_view kIsOfConnection = "changes the connection alone, and not the database";

constexpr std::string_view kMark = "put it into a file of its own that begins with \"-- sqlane: no-transaction\"";
constexpr std::string_view kOptions = "remove it; what is to hold for the connection is set in Options";
constexpr std::string_view kRemove =
    "remove it; sqlane sets for its connections what they need, and closes this one after the migration";
constexpr std::string_view kProcess = "remove it; configure_process() sets it";
constexpr std::string_view kKeys =
    "remove it; sqlane turns foreign keys off around each migration, and checks them before it commits";

// https://sqlite.org/pragma.html; what each does inside a transaction was tried
// on SQLite 3.40.1. Those that are not here run, or are for the authorizer.
constexpr UnsuitablePragma kTable[] = {
    {"auto_vacuum", true, true, kDoesNothing, kMark},
    {"foreign_keys", true, true, kDoesNothing, kKeys},
    {"synchronous", true, true, kFails, kMark},
    {"temp_store", true, true, kIsNotUndone, kMark},
    {"wal_checkpoint", false, true, kFails, kMark},

    // These would wait for all other connections to be closed, which are sqlane's own.
    {"journal_mode", true, false, "cannot be set while sqlane has the database open",
     "remove it; sqlane keeps a database in WAL mode, and another program can change that once it is closed"},
    {"locking_mode", true, false, "cannot be set while sqlane has the database open",
     "remove it, and open the database with Options::locking"},
    {"page_size", true, false, "does nothing in WAL mode", "remove it; Options::page_size is for new databases"},

    {"schema_version", true, false, "can damage the database", "remove it; SQLite keeps that number itself"},
    {"user_version", true, false, "would say that the database has another version",
     "remove it; sqlane keeps that number itself"},
    {"encoding", true, false, "does nothing once there is a table", "remove it"},
    {"writable_schema", true, false, "is turned off by sqlane",
     "remove it, and write ALTER TABLE or rebuild the table"},

    {"analysis_limit", true, false, kIsOfConnection, kRemove},
    {"automatic_index", true, false, kIsOfConnection, kRemove},
    {"busy_timeout", true, false, kIsOfConnection, kOptions},
    {"cache_size", true, false, kIsOfConnection, kOptions},
    {"cache_spill", true, false, kIsOfConnection, kRemove},
    {"case_sensitive_like", true, false, kIsOfConnection, kRemove},
    {"cell_size_check", true, false, kIsOfConnection, kRemove},
    {"checkpoint_fullfsync", true, false, kIsOfConnection, kRemove},
    {"fullfsync", true, false, kIsOfConnection, kRemove},
    {"hard_heap_limit", true, false, kIsOfConnection, kProcess},
    {"ignore_check_constraints", true, false, kIsOfConnection, kRemove},
    {"journal_size_limit", true, false, kIsOfConnection, kRemove},
    {"max_page_count", true, false, kIsOfConnection, kRemove},
    {"mmap_size", true, false, kIsOfConnection, kRemove},
    {"query_only", true, false, kIsOfConnection, kRemove},
    {"read_uncommitted", true, false, kIsOfConnection, kRemove},
    {"recursive_triggers", true, false, kIsOfConnection, kOptions},
    {"reverse_unordered_selects", true, false, kIsOfConnection, kRemove},
    {"secure_delete", true, false, kIsOfConnection, kRemove},
    {"soft_heap_limit", true, false, kIsOfConnection, kProcess},
    {"threads", true, false, kIsOfConnection, kRemove},
    {"trusted_schema", true, false, kIsOfConnection, kOptions},
    {"wal_autocheckpoint", true, false, kIsOfConnection, kOptions},
};

constexpr bool equals(char a, char b) { return to_upper(a) == to_upper(b); }

}  // namespace

const UnsuitablePragma* find_unsuitable_pragma(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kTable), std::end(kTable), [&](const UnsuitablePragma& row) {
    return std::equal(row.name.begin(), row.name.end(), name.begin(), name.end(), equals);
  });
  return found == std::end(kTable) ? nullptr : found;
}

}  // namespace sqlane::detail
