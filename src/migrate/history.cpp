#include "migrate/history.hpp"

#include <string>
#include <tuple>

#include "sqlane/detail/queries.hpp"
#include "sqlane/rows.hpp"
#include "sqlane/sql.hpp"

#ifndef SQLANE_VERSION
#error "the build says which version of sqlane this is"
#endif

namespace sqlane::detail {
namespace {

// For access from outside of Database and Transaction.
template <class T>
T ask(Connection& connection, SqlFor<Access::read> sql) {
  return fetch_one<T>(connection, sql.text());
}
template <class... Args>
void change(Connection& connection, SqlFor<Access::write, Args...> sql, const Args&... args) {
  execute(connection, sql.text(), args...);
}

std::string_view name_of(AppliedMigration::State state) {
  switch (state) {
    case AppliedMigration::State::applied: return "applied";
    case AppliedMigration::State::baseline: return "baseline";
    case AppliedMigration::State::running: return "running";
  }
  return {};
}

// One that a later sqlane may know, and this one does not, is none that it can build on.
AppliedMigration::State state_named(std::string_view name) {
  for (const auto state : {AppliedMigration::State::applied, AppliedMigration::State::baseline}) {
    if (name_of(state) == name) return state;
  }
  return AppliedMigration::State::running;
}

std::int32_t newest_version(Connection& connection) {
  return ask<std::int32_t>(connection, "SELECT coalesce(max(version), 0) FROM sqlane_migration");
}

// Stands as a comment in the table's text, where a program that had used
// user_version before made it; so that sqlane never takes it for its own.
constexpr std::string_view kForeignVersion = "user_version is another program's";

// Changes the record with `change_record`, and the version in the header of the
// file with it, for programs that do not know the table; but only where that
// says what sqlane has written there.
template <class ChangeRecord>
void change_history(Connection& connection, ChangeRecord change_record) {
  const SqlFor<Access::read, std::string_view> marked(
      "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'sqlane_migration' AND instr(sql, ?) > 0)");
  const bool is_foreign = fetch_one<bool>(connection, marked.text(), kForeignVersion) ||
                          ask<std::int32_t>(connection, "PRAGMA user_version") != newest_version(connection);
  change_record();
  if (is_foreign) return;
  change(connection, runtime_sql("PRAGMA user_version = " + std::to_string(newest_version(connection))));
}

}  // namespace

MigrationHistory read_history(Connection& connection) {
  MigrationHistory history;
  history.user_version = ask<std::int32_t>(connection, "PRAGMA user_version");
  history.application_id = ask<std::int32_t>(connection, "PRAGMA application_id");
  history.has_schema = ask<bool>(connection,
                                 "SELECT EXISTS (SELECT 1 FROM sqlite_master"
                                 " WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name <> 'sqlane_migration')");
  history.has_table = ask<bool>(
      connection, "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sqlane_migration')");
  if (!history.has_table) return history;
  using Entry = std::tuple<std::int32_t, std::string, std::string, std::string, std::int64_t, std::string, std::string>;
  const SqlFor<Access::read> sql(
      "SELECT version, name, checksum, applied_at, duration_ms, sqlane_version, state FROM sqlane_migration"
      " ORDER BY version");
  Rows<Entry> rows(connection, sql.text());
  for (auto& [version, name, checksum, applied_at, duration, sqlane_version, state] : rows) {
    history.applied.push_back({.version = version,
                               .name = std::move(name),
                               .checksum = std::move(checksum),
                               .applied_at = std::move(applied_at),
                               .duration = std::chrono::milliseconds(duration),
                               .sqlane_version = std::move(sqlane_version),
                               .state = state_named(state)});
  }
  return history;
}

void create_history(Connection& connection) {
  std::string text = "CREATE TABLE IF NOT EXISTS sqlane_migration (";
  if (ask<std::int32_t>(connection, "PRAGMA user_version") != 0) text.append("/* ").append(kForeignVersion) += " */";
  text +=
      " version INTEGER PRIMARY KEY,"
      " name TEXT NOT NULL,"
      " checksum TEXT NOT NULL,"
      " applied_at TEXT NOT NULL,"
      " duration_ms INTEGER NOT NULL,"
      " sqlane_version TEXT NOT NULL,"
      " state TEXT NOT NULL)";
  change(connection, runtime_sql(text));
}

void record_migration(Connection& connection, const Migration& migration, AppliedMigration::State state,
                      std::chrono::milliseconds duration) {
  change_history(connection, [&] {
    change(connection,
           "INSERT OR REPLACE INTO sqlane_migration"
           " VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?, ?, ?)",
           migration.version, migration.name, checksum(migration), static_cast<std::int64_t>(duration.count()),
           std::string_view(SQLANE_VERSION), name_of(state));
  });
}

void forget_migration(Connection& connection, std::int32_t version) {
  change_history(connection, [&] { change(connection, "DELETE FROM sqlane_migration WHERE version = ?", version); });
}

void set_application_id(Connection& connection, std::int32_t id) {
  change(connection, runtime_sql("PRAGMA application_id = " + std::to_string(id)));
}

}  // namespace sqlane::detail
