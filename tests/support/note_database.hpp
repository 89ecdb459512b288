#pragma once

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <sqlane/sqlane.hpp>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace sqlane::testing {

// Guards cannot be moved, so std::make_unique cannot take one.
inline std::unique_ptr<Savepoint> on_heap(Transaction& tx) {
  return std::unique_ptr<Savepoint>(new Savepoint(tx.savepoint()));
}

// A database file with an empty table note, and what tests of transactions ask of it.
class NoteDatabase : public ::testing::Test {
 protected:
  NoteDatabase() {
    db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE)");
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    db.execute(
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent DEFERRABLE INITIALLY "
        "DEFERRED)");
    db.execute("CREATE TABLE strict_child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent)");
    db.execute(
        "CREATE TRIGGER no_poison BEFORE INSERT ON note WHEN new.title = 'poison' "
        "BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END");
  }

  std::vector<std::string> titles() { return db.query<std::string>("SELECT title FROM note ORDER BY title"); }

  static std::vector<std::string> titles(const Transaction& tx) {
    std::vector<std::string> all;
    for (const std::string& title : tx.query<std::string>("SELECT title FROM note ORDER BY title"))
      all.push_back(title);
    return all;
  }

  static void add(Transaction& tx, const std::string& title) {
    tx.execute("INSERT INTO note (title) VALUES (?)", title);
  }

  void add_one(const std::string& title) {
    db.write([&](Transaction& tx) { add(tx, title); });
  }

  using Titles = std::vector<std::string>;

  TemporaryFolder folder;
  Database db = Database::open(
      folder / "app.db",
      {.readers = 2, .acquire_timeout = std::chrono::milliseconds(0), .busy_timeout = std::chrono::milliseconds(0)});
};

}  // namespace sqlane::testing
