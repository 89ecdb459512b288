#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "sqlane/integrity.hpp"

namespace sqlane {

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

}  // namespace sqlane
