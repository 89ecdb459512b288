#include "plain_sqlite.hpp"

#include <set>
#include <sqlite3.h>
#include <unistd.h>

#include "folder.hpp"

namespace sqlane::filesystems {
namespace {

// A connection of stock SQLite.
class Plain {
 public:
  explicit Plain(const std::filesystem::path& file, int flags = SQLITE_OPEN_READWRITE) {
    if (sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
      failure_ = sqlite3_errmsg(handle_);
    }
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, 5000);
  }
  ~Plain() { sqlite3_close(handle_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  // The first column of all rows. Keeps the first failure.
  std::vector<std::string> run(const std::string& sql) {
    std::vector<std::string> all;
    if (!failure_.empty()) return all;
    const auto add_row = [](void* rows, int, char** values, char**) {
      static_cast<std::vector<std::string>*>(rows)->emplace_back(values[0] != nullptr ? values[0] : "");
      return 0;
    };
    if (sqlite3_exec(handle_, sql.c_str(), add_row, &all, nullptr) != SQLITE_OK) {
      failure_ = std::string(sqlite3_errmsg(handle_)) + " (" + std::to_string(sqlite3_extended_errcode(handle_)) + ")";
    }
    return all;
  }

  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  sqlite3* handle_ = nullptr;
  std::string failure_;
};

}  // namespace

void prepare(const std::filesystem::path& file, Left left, std::int64_t rows) {
  namespace fs = std::filesystem;
  const fs::path original = fs::temp_directory_path() / ("prepared-" + std::to_string(::getpid()) + ".db");
  const fs::path log = original.string() + "-wal";
  const bool with_log = left == Left::with_log;
  {
    Plain made(original, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    made.run(left == Left::rollback_mode ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL");
    made.run(kTable);
    made.run("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(rows) +
             ") INSERT INTO ack SELECT i, printf('row %d of the prepared file', i) FROM n");
    expect(made.failure().empty(), "the prepared database was not made: " + made.failure());
    if (with_log) {
      fs::copy_file(original, file);
      fs::copy_file(log, file.string() + "-wal");
    }
  }
  if (!with_log) fs::copy_file(original, file);
  fs::remove(original);
}

Look look_for(const std::filesystem::path& file, const std::vector<std::int64_t>& ids) {
  if (!std::filesystem::exists(file)) return {.missing = ids, .damage = "there is no file"};
  Plain look(file);
  look.run("PRAGMA locking_mode=EXCLUSIVE");  // needs no mapped index, which some file systems do not have
  std::set<std::int64_t> there;
  for (const std::string& id : look.run("SELECT id FROM ack")) there.insert(std::stoll(id));
  Look found;
  for (const std::string& line : look.run("PRAGMA integrity_check")) {
    if (line != "ok" && found.damage.empty()) found.damage = line;
  }
  if (!look.failure().empty()) found.damage = look.failure();
  for (const std::int64_t id : ids) {
    if (!there.contains(id)) found.missing.push_back(id);
  }
  return found;
}

void expect_all(const std::filesystem::path& file, const std::vector<std::int64_t>& ids) {
  const Look found = look_for(file, ids);
  expect(found.damage.empty(), "the file is not whole: " + found.damage);
  expect(found.missing.empty(), std::to_string(found.missing.size()) + " of " + std::to_string(ids.size()) +
                                    " acknowledged rows are missing, the first is " +
                                    (found.missing.empty() ? "" : std::to_string(found.missing.front())));
}

}  // namespace sqlane::filesystems
