#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "database/core.hpp"
#include "sqlane/backup.hpp"
#include "sqlane/call_site.hpp"
#include "sqlite/database_file.hpp"

namespace sqlane::detail {

// Database::backup_to() and Database::restore_from(), for the library's own
// rooms. A file that a backup replaces stays as it was until the new one is
// complete; UsageError where this process has it open.
// A reader is waited for up to `reader_timeout`; unset means Options::acquire_timeout.
BackupReport back_up(Core& core, const std::filesystem::path& file, Existing existing, const BackupOptions& options,
                     CallSite site, std::optional<std::chrono::milliseconds> reader_timeout = std::nullopt);
BackupReport restore(Core& core, const std::filesystem::path& file, const BackupOptions& options, CallSite site);

// For sqlane::check_restore(), and, with the database that is restored from, restore_to_new() to an empty file.
void check_restore(Core& core, const std::filesystem::path& file, const BackupOptions& options, CallSite site);
BackupReport fill_empty(Core& source, const std::filesystem::path& file, const BackupOptions& options);

}  // namespace sqlane::detail
