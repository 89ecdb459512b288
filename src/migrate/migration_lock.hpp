#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>

#include "base/clock.hpp"

namespace sqlane::detail {

// Held while a migration runs that has no transaction to hold a lock of SQLite's
// for it, so that others can tell one that runs from one that did not come to
// its end: the lock ends with its process. An empty file beside the database,
// gone when the lock is given back. Files on one machine only.
class MigrationLock {
 public:
  // Waits for it until `deadline`. Nothing when that has passed, or on a stop. A
  // database in memory has an empty path, and nobody to keep out.
  // Throws IoError when there can be no such file.
  [[nodiscard]] static std::optional<MigrationLock> acquire(const std::filesystem::path& database, Clock& clock,
                                                            Clock::time_point deadline, const std::stop_token& stop);

  MigrationLock(MigrationLock&& other) noexcept;
  MigrationLock& operator=(MigrationLock&&) = delete;
  ~MigrationLock();

 private:
  MigrationLock(std::filesystem::path file, int descriptor) noexcept;

  std::filesystem::path file_;
  int descriptor_;  // -1 when moved from
};

}  // namespace sqlane::detail
