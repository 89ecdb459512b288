#pragma once

#include <cstdint>
#include <sqlane/sqlane.hpp>
#include <string>
#include <tuple>
#include <vector>

namespace sqlane::testing {

// A schema's history of five steps: tables with rows, a column, a table that is
// rebuilt under another that refers to it, an index with view and trigger, and a
// function.
inline Migrations five_migrations() {
  Migrations migrations;
  migrations.add({.version = 1,
                  .name = "create_visit",
                  .up =
                      "CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
                      "CREATE TABLE visit (id INTEGER PRIMARY KEY, place INTEGER NOT NULL REFERENCES place, note TEXT);"
                      "INSERT INTO place VALUES (1, 'here'), (2, 'there');"
                      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
                      " INSERT INTO visit SELECT i, 1 + i % 2, printf('%0100d', i) FROM n;",
                  .down = "DROP TABLE visit; DROP TABLE place;"});
  migrations.add({.version = 2,
                  .name = "add_rating",
                  .up = "ALTER TABLE visit ADD COLUMN rating INTEGER; UPDATE visit SET rating = id % 5;",
                  .down = "ALTER TABLE visit DROP COLUMN rating;"});
  migrations.add({.version = 3,
                  .name = "rebuild_place",
                  .up = "CREATE TABLE new_place (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, area TEXT);"
                        "INSERT INTO new_place (id, name) SELECT id, name FROM place;"
                        "DROP TABLE place;"
                        "ALTER TABLE new_place RENAME TO place;",
                  .down = "CREATE TABLE old_place (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
                          "INSERT INTO old_place SELECT id, name FROM place;"
                          "DROP TABLE place; ALTER TABLE old_place RENAME TO place;"});
  migrations.add({.version = 4,
                  .name = "index_visit",
                  .up = "CREATE INDEX visit_by_place ON visit (place, rating);"
                        "CREATE VIEW rated AS SELECT * FROM visit WHERE rating > 3;"
                        "CREATE TRIGGER no_empty_note BEFORE UPDATE OF note ON visit WHEN new.note = ''\n"
                        "BEGIN SELECT RAISE(ABORT, 'a note; or nothing'); END;",
                  .down = "DROP TRIGGER no_empty_note; DROP VIEW rated; DROP INDEX visit_by_place;"});
  migrations.add({.version = 5,
                  .name = "name_areas",
                  .up =
                      [](Transaction& tx) {
                        for (const int id : tx.query<int>("SELECT id FROM place ORDER BY id")) {
                          tx.execute("UPDATE place SET area = ? WHERE id = ?", "area " + std::to_string(id), id);
                        }
                      },
                  .down = [](Transaction& tx) { tx.execute("UPDATE place SET area = NULL"); }});
  return migrations;
}

// All that a database of these says, apart from when it was migrated.
struct MigratedState {
  int version = 0;
  std::vector<std::tuple<std::string, std::string>> schema{};
  std::vector<std::string> rows{};

  friend bool operator==(const MigratedState&, const MigratedState&) = default;
};

inline MigratedState state_of(const Database& db) {
  return db.read([](const Snapshot& s) {
    MigratedState state{.version = s.query_one<int>("PRAGMA user_version")};
    for (auto& row : s.query<std::tuple<std::string, std::string>>(
             "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE name <> 'sqlane_migration' ORDER BY name")) {
      std::erase(std::get<1>(row), '"');  // ALTER TABLE … RENAME TO adds them
      state.schema.push_back(row);
    }
    for (const char* const table : {"place", "visit"}) {
      const std::string name(table);
      if (s.query_one<int>("SELECT count(*) FROM sqlite_master WHERE name = ?", name) == 0) continue;
      for (const Row& row : s.query(runtime_sql("SELECT * FROM " + name + " ORDER BY id"))) {
        std::string text;
        for (int column = 0; column < row.size(); ++column) {
          text += row.is_null(column) ? "NULL|"
                  : row.name(column) == "note" || row.name(column) == "name" || row.name(column) == "area"
                      ? row.get<std::string>(column) + "|"
                      : std::to_string(row.get<std::int64_t>(column)) + "|";
        }
        state.rows.push_back(text);
      }
    }
    return state;
  });
}

// What a database is like that has the first `version` of them.
inline MigratedState expected_state(int version) {
  Database db = Database::in_memory();
  db.migrate(five_migrations(), {.target = version});
  return state_of(db);
}

}  // namespace sqlane::testing
