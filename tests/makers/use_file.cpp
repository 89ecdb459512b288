// Uses a database that another program has made, in all the ways that sqlane offers:
//
//   sqlane_use_file FILE WRITE ASK ANSWER
//
// WRITE is a statement, ASK a query of one text after it. Ends with 0 where all went well.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <sqlane/sqlane.hpp>
#include <stdexcept>
#include <string>

namespace {

void expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

void use(const std::filesystem::path& file, const std::string& write, const std::string& ask,
         const std::string& answer) {
  const auto answer_of = [&](const sqlane::Database& db) {
    return db.query_one<std::string>(sqlane::runtime_sql("SELECT CAST((" + ask + ") AS TEXT)"));
  };
  const std::filesystem::path copy = file.string() + ".copy";
  const std::filesystem::path other = file.string() + ".restored";
  {
    const auto db = sqlane::Database::open(file, {.mode = sqlane::OpenMode::read_only});
    expect(db.query_one<std::string>("PRAGMA quick_check") == "ok", "it is not whole");
  }
  sqlane::Database db = sqlane::Database::open(file, {.mode = sqlane::OpenMode::existing});
  db.execute(sqlane::runtime_sql(write));
  expect(answer_of(db) == answer, "written, it answers " + answer_of(db));

  sqlane::Migrations migrations;
  migrations.add({.version = 1, .name = "make", .up = "CREATE TABLE sqlane_made (id INTEGER PRIMARY KEY, was)"});
  migrations.add({.version = 2, .name = "change", .up = "ALTER TABLE sqlane_made RENAME COLUMN was TO is_now"});
  const auto user_version = db.query_one<std::int64_t>("PRAGMA user_version");
  sqlane::baseline(db, migrations, 0);
  db.migrate(migrations);
  expect(user_version == 0 || db.query_one<std::int64_t>("PRAGMA user_version") == user_version,
         "its user_version was changed");
  expect(answer_of(db) == answer, "migrated, it answers " + answer_of(db));

  db.backup_to(copy);
  const auto page_size = db.query_one<std::size_t>("PRAGMA page_size");
  sqlane::Database restored = sqlane::Database::open(other, {.page_size = page_size});
  restored.restore_from(copy);
  expect(answer_of(restored) == answer, "restored, it answers " + answer_of(restored));
  db.restore_from(copy);
  expect(answer_of(db) == answer, "restored to itself, it answers " + answer_of(db));
  expect(db.query_one<std::string>("PRAGMA integrity_check") == "ok", "restored, it is not whole");
  expect(db.health().is_healthy(), "it is not healthy");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    expect(count == 5, "sqlane_use_file FILE WRITE ASK ANSWER");
    use(arguments[1], arguments[2], arguments[3], arguments[4]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
