#pragma once

#include <filesystem>
#include <memory>
#include <sqlite3.h>
#include <string>

namespace sqlane::benchmarks {

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using RawStatement = std::unique_ptr<sqlite3_stmt, Finalize>;

// A connection through the C API as a careful programmer would set it up.
class RawConnection {
 public:
  explicit RawConnection(const std::filesystem::path& file, const char* synchronous = "FULL");
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  ~RawConnection() { sqlite3_close(handle_); }

  void exec(const char* sql);
  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] RawStatement prepare(const char* sql);

 private:
  sqlite3* handle_ = nullptr;
};

// Steps to the end; exits the program on an error, which would spoil the figures.
void run(sqlite3_stmt* statement);

// A folder for the databases of this run, on disk, gone with the program.
[[nodiscard]] const std::filesystem::path& scratch_folder();

// item (id, name, price, data), `rows` rows; made once for each size.
[[nodiscard]] std::filesystem::path item_database(int rows);

}  // namespace sqlane::benchmarks
