#include "cli/migrations.hpp"

#include <string>

namespace sqlane::cli {

int apply_migrations(Database& db, std::span<const Migration> migrations) {
  int applied = 0;
  for (const Migration& migration : migrations) {
    applied += db.write([&](Transaction& tx) {
      // Read under the write lock: another process may have been here just now.
      if (tx.query_one<int>("PRAGMA user_version") >= migration.version) return 0;
      std::string_view rest = migration.sql;
      for (auto facts = detail::scan_sql(rest); facts.kind != detail::SqlKind::empty; facts = detail::scan_sql(rest)) {
        tx.execute(runtime_sql(rest.substr(0, facts.end)));
        rest.remove_prefix(facts.end);
      }
      tx.execute(runtime_sql("PRAGMA user_version = " + std::to_string(migration.version)));
      return 1;
    });
  }
  return applied;
}

}  // namespace sqlane::cli
