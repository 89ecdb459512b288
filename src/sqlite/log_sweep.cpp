#include "sqlite/log_sweep.hpp"

#include <sqlite3.h>
#include <system_error>
#include <utility>

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

bool is_beside(const fs::path& database, const char* suffix) {
  std::error_code error;
  return fs::exists(database.string() + suffix, error);
}

// A database's file alone, for as long as this lives; or not, if another connection has it, which then sees to it.
class AloneWithFile {
 public:
  explicit AloneWithFile(const fs::path& database) {
    constexpr int kFlags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
    if (sqlite3_open_v2(database.c_str(), &handle_, kFlags, nullptr) != SQLITE_OK ||
        sqlite3_file_control(handle_, "main", SQLITE_FCNTL_FILE_POINTER, &file_) != SQLITE_OK || file_ == nullptr ||
        file_->pMethods == nullptr) {
      file_ = nullptr;
      return;
    }
    is_alone_ = calls().xLock(file_, SQLITE_LOCK_SHARED) == SQLITE_OK &&
                calls().xLock(file_, SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK;
  }
  AloneWithFile(const AloneWithFile&) = delete;
  AloneWithFile& operator=(const AloneWithFile&) = delete;
  ~AloneWithFile() {
    if (file_ != nullptr) calls().xUnlock(file_, SQLITE_LOCK_NONE);
    sqlite3_close(handle_);
  }

  [[nodiscard]] bool is_alone() const noexcept { return is_alone_; }

  // Removes it as SQLite does when the last connection is closed; or by its name, where SQLite cannot even open it, on
  // a full disk. A connection that has it open has a lock on the database as well, so there is none.
  void remove_index(const fs::path& index) {
    constexpr int kRegionBytes = 32768;
    void volatile* region = nullptr;
    if (calls().iVersion >= 2 && calls().xShmMap(file_, 0, kRegionBytes, 0, &region) == SQLITE_OK) {
      calls().xShmUnmap(file_, 1);
      return;
    }
    std::error_code error;
    fs::remove(index, error);
  }

 private:
  [[nodiscard]] const sqlite3_io_methods& calls() const { return *file_->pMethods; }

  sqlite3* handle_ = nullptr;
  sqlite3_file* file_ = nullptr;
  bool is_alone_ = false;
};

}  // namespace

LogSweep::LogSweep(fs::path database)
    : database_(std::move(database)),
      had_log_(is_beside(database_, "-wal")),
      had_index_(is_beside(database_, "-shm")) {}

LogSweep::~LogSweep() {
  if (is_dismissed_) return;
  const bool made_log = !had_log_ && is_beside(database_, "-wal");
  const bool made_index = !had_index_ && is_beside(database_, "-shm");
  if (!made_log && !made_index) return;
  AloneWithFile file(database_);
  if (!file.is_alone()) return;
  std::error_code error;
  const fs::path log = database_.string() + "-wal";
  if (made_log && fs::file_size(log, error) == 0 && !error) fs::remove(log, error);
  if (made_index) file.remove_index(database_.string() + "-shm");
}

}  // namespace sqlane::detail
