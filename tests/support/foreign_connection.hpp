#pragma once

#include <filesystem>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <utility>

namespace sqlane::testing {

// A plain SQLite connection with SQLite's own defaults, as another program has it.
class ForeignConnection {
 public:
  explicit ForeignConnection(const std::filesystem::path& path) {
    const int code = sqlite3_open_v2(path.c_str(), &handle_,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) {
      sqlite3_close(std::exchange(handle_, nullptr));
      throw std::runtime_error("the foreign connection cannot open " + path.string());
    }
  }
  ForeignConnection(const ForeignConnection&) = delete;
  ForeignConnection& operator=(const ForeignConnection&) = delete;
  ~ForeignConnection() { sqlite3_close(handle_); }

  // The first column of the first row as text; empty when there is none.
  std::string ask(const std::string& sql) {
    std::string value;
    if (const int code = try_ask(sql, value); code != SQLITE_OK) {
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(handle_));
    }
    return value;
  }
  int try_ask(const std::string& sql, std::string& value) {
    struct Taker {
      std::string* value;
      bool has_row;
    } taker{&value, false};
    return sqlite3_exec(
        handle_, sql.c_str(),
        [](void* context, int count, char** values, char**) {
          auto& into = *static_cast<Taker*>(context);
          if (count > 0 && values[0] != nullptr && !std::exchange(into.has_row, true)) *into.value = values[0];
          return 0;
        },
        &taker, nullptr);
  }
  int try_run(const std::string& sql) {
    std::string ignored;
    return try_ask(sql, ignored);
  }
  void run(const std::string& sql) { ask(sql); }

  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace sqlane::testing
