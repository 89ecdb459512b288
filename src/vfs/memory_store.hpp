#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.hpp"
#include "vfs/database_lock.hpp"
#include "vfs/memory_file.hpp"
#include "vfs/wal_index.hpp"

namespace sqlane::detail {

enum class FileKind : std::uint8_t { database, log, journal };

enum class FileOperation : std::uint8_t {
  open,
  remove,
  look,  // is there such a file?
  read,
  write,
  truncate,
  sync,
  size,
  lock,
  unlock,
  index_region,
  index_lock,
};

// What SQLite is about to do.
struct FileAccess {
  FileOperation operation{};
  FileKind kind = FileKind::database;
  std::uint64_t offset = 0;
  std::size_t bytes = 0;
};

// Asked before every operation on the files of a store. The operation happens
// if it answers SQLITE_OK; else SQLite hears the answer. Must not throw.
using FileSeam = std::function<int(const FileAccess&)>;

// One database in memory: its files, by the name that SQLite has for them, and
// the index of its log. It lives as long as somebody holds it; connections
// that are open do.
//
// Safe to use from any thread.
class MemoryStore {
 public:
  // SQLite's name for the file system that has all stores of the process.
  static constexpr const char* kVfs = "sqlane-memory";

  // `limit`: bytes that its files may take; 0: any number. A quarter is for the
  // log alone, and the rest for the database: so there is always room to copy the
  // log back, and to delete. Throws OpenError when the file system cannot be registered.
  [[nodiscard]] static std::shared_ptr<MemoryStore> make(std::size_t limit, FileSeam seam = {});
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;
  ~MemoryStore();

  // What to open, with kVfs. Of this process alone, and never used again.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // Null where there is none. A file that is removed stays with those who have it open.
  [[nodiscard]] std::shared_ptr<MemoryFile> find(FileKind kind) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::shared_ptr<MemoryFile> find_or_make(FileKind kind) SQLANE_EXCLUDES(mutex_);
  void remove(FileKind kind) noexcept SQLANE_EXCLUDES(mutex_);

  // Takes over the database of another store, sharing its memory; not its log.
  // False beyond the limit. Requires: this one is empty.
  [[nodiscard]] bool share(MemoryStore& original);

  [[nodiscard]] int admit(const FileAccess& access) const { return seam_ ? seam_(access) : 0; }
  [[nodiscard]] DatabaseLock& lock() noexcept { return lock_; }
  [[nodiscard]] WalIndex& index() noexcept { return index_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return database_budget_->used() + log_budget_->used(); }
  // Bytes; 0: none.
  [[nodiscard]] std::size_t database_limit() const noexcept { return database_budget_->limit(); }
  [[nodiscard]] std::size_t log_limit() const noexcept { return log_budget_->limit(); }
  // Numbers those who open the database.
  [[nodiscard]] unsigned next_connection() noexcept { return connections_.fetch_add(1, std::memory_order_relaxed); }

  // The one that has a file of this name, and which of its files that is.
  [[nodiscard]] static std::shared_ptr<MemoryStore> find_by_name(std::string_view name, FileKind& kind);

 private:
  MemoryStore(std::string path, std::size_t limit, FileSeam seam);

  // Constant after construction.
  const std::string path_;
  const FileSeam seam_;
  const std::shared_ptr<MemoryBudget> log_budget_;  // a journal's as well
  const std::shared_ptr<MemoryBudget> database_budget_;

  DatabaseLock lock_;
  WalIndex index_;
  std::atomic<unsigned> connections_ = 0;

  Mutex mutex_;
  std::array<std::shared_ptr<MemoryFile>, 3> files_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
