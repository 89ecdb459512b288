#pragma once

#include <filesystem>
#include <optional>

namespace sqlane::detail {

// Held while a database migrates, by one of all who want it to, of any process.
// It ends with its process, which tells a migration that runs from one that did
// not come to its end. An empty file beside the database, gone when the lock is
// given back; a crash leaves it, which does no harm.
class MigrationLock {
 public:
  // Nothing when somebody else has it. A database in memory has an empty path,
  // and gets a lock of nothing. Throws IoError when there can be no such file.
  [[nodiscard]] static std::optional<MigrationLock> try_acquire(const std::filesystem::path& database);

  MigrationLock(MigrationLock&& other) noexcept;
  MigrationLock& operator=(MigrationLock&&) = delete;
  ~MigrationLock();

 private:
  MigrationLock(std::filesystem::path file, int descriptor) noexcept;

  std::filesystem::path file_;
  int descriptor_;  // -1 when moved from
};

}  // namespace sqlane::detail
