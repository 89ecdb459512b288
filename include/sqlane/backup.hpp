#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <vector>

#include "sqlane/integrity.hpp"

namespace sqlane {

class Database;

struct BackupProgress {
  std::uint64_t copied_bytes = 0;
  std::uint64_t total_bytes = 0;
  bool is_verifying = false;  // all is copied, and the copy is checked
};

struct BackupOptions {
  // Checks all of the copy (of the original, before restoring), as check_integrity() does; CHECKs alone are left out.
  // CorruptError where it finds something.
  enum class Verification : std::uint8_t { none, integrity };
  Verification verification = Verification::integrity;

  // Called some hundred times in all, on the thread of the call. Must not throw, nor use the database.
  std::function<void(const BackupProgress&)> on_progress{};

  // Ends it with InterruptedError; nothing is left then, and nothing changed.
  std::stop_token stop{};
};

struct BackupReport {
  std::uint64_t bytes = 0;
  // What could not be checked for want of functions, collations or modules of the program that made the database. Its
  // pages are copied all the same, and no damage was found; in those that were not even read there may be some.
  std::vector<UncheckedTable> unchecked{};
};

// Throws what Database::restore_from() would throw before its first change, and changes nothing itself. Opening a
// database to write switches it to write-ahead logging; `database` may be open with OpenMode::read_only, which does
// not.
void check_restore(const Database& database, const std::filesystem::path& from, const BackupOptions& options = {});

// Makes `file`, which is not there or empty, a copy of the database `from`, with its page size. A failure leaves it so,
// unlike Database::open(), whose new database stays when restore_from() refuses. Throws OpenError where `file` holds
// something or `from` cannot be opened, CorruptError when `from` does not pass its check, BusyError when another
// program has the empty file locked.
BackupReport restore_to_new(const std::filesystem::path& file, const std::filesystem::path& from,
                            const BackupOptions& options = {});

}  // namespace sqlane
