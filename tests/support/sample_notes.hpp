#pragma once

#include <filesystem>
#include <sqlane/database.hpp>
#include <string>

#include "support/sqlite_shell.hpp"

namespace sqlane::testing {

// `rows` notes of some 1000 bytes each, one to four to a page.
inline void fill_with_notes(Database& db, int rows, const std::string& title) {
  db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body BLOB)");
  db.execute("CREATE INDEX IF NOT EXISTS note_title ON note (title, id)");
  db.execute(
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) "
      "INSERT INTO note (title, body) SELECT ?, randomblob(1000) FROM n",
      rows, title);
}

// All contents as SQL, by the shell: a process of its own, so what it sees is committed.
inline std::string dump_of(const std::filesystem::path& database) {
  const ShellResult result = run_in_shell(database, ".dump");
  if (result.status != 0) throw std::runtime_error(result.output);
  return result.output;
}

}  // namespace sqlane::testing
