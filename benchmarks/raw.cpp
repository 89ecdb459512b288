#include "benchmarks/raw.hpp"

#include <cstdio>
#include <cstdlib>

namespace sqlane::benchmarks {
namespace {

[[noreturn]] void fail(sqlite3* handle) {
  std::fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(handle));
  std::exit(1);
}

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "sqlane-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::exit(1);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace

RawConnection::RawConnection(const std::filesystem::path& file, const char* synchronous) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;  // the defaults of sqlite3_open()
  if (sqlite3_open_v2(file.c_str(), &handle_, kFlags, nullptr) != SQLITE_OK) fail(handle_);
  sqlite3_busy_timeout(handle_, 5000);
  exec("PRAGMA journal_mode=WAL");
  exec(("PRAGMA synchronous=" + std::string(synchronous)).c_str());
  exec("PRAGMA cache_size=-16384");
}

void RawConnection::exec(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(handle_);
}

RawStatement RawConnection::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr) != SQLITE_OK) fail(handle_);
  return RawStatement(statement);
}

void run(sqlite3_stmt* statement) {
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(statement);
  if (code != SQLITE_DONE) fail(sqlite3_db_handle(statement));
  sqlite3_reset(statement);
}

const std::filesystem::path& scratch_folder() {
  static const Folder folder;
  return folder.path;
}

std::filesystem::path item_database(int rows) {
  std::filesystem::path file = scratch_folder() / ("item-" + std::to_string(rows) + ".db");
  if (std::filesystem::exists(file)) return file;
  RawConnection connection(file);
  connection.exec("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, data TEXT)");
  const RawStatement fill = connection.prepare(
      "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
      " INSERT INTO item SELECT x, 'item number ' || x, x * 0.5, 'some text about ' || x FROM n");
  sqlite3_bind_int(fill.get(), 1, rows);
  run(fill.get());
  return file;
}

}  // namespace sqlane::benchmarks
