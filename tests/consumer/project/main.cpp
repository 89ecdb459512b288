#include <filesystem>
#include <iostream>
#include <sqlane/sqlane.hpp>
#include <sqlane/testing.hpp>
#include <string>

#include "notes.hpp"

// consumer FILE: writes to a new database, opens it again, and finds what it wrote.
int main(int argc, char** argv) try {
  const std::filesystem::path path = argc > 1 ? argv[1] : "consumer.db";
  {
    auto db = sqlane::Database::open(path, {.readers = 2});
    db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL)");
    db.write([](sqlane::Transaction& tx) {
      tx.execute("INSERT INTO note (title) VALUES (?)", "first");
      tx.execute("INSERT INTO note (title) VALUES (:title)", sqlane::bind(":title", std::string("second")));
    });
    db.close();
  }
  const sqlane::testing::StatementRecording recording;
  const auto db = sqlane::Database::open(path, recording.into());
  const auto notes = all_notes(db);
  const bool is_found = notes.size() == 2 && notes[0].title == "first" && notes[1].title == "second" &&
                        recording.count_containing("FROM note") == 1;
  std::cout << notes.size() << " notes found\n";
  return is_found ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
