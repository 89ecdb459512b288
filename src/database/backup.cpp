#include "database/backup.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "database/open_databases.hpp"
#include "sqlane/database.hpp"
#include "sqlane/detail/queries.hpp"
#include "sqlane/error.hpp"
#include "sqlite/backup.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/log_sweep.hpp"
#include "sqlite/staged_file.hpp"

namespace sqlane {
namespace detail {
namespace {

namespace fs = std::filesystem;

void expect_no_stop(const BackupOptions& options, const std::string& database) {
  if (options.stop.stop_requested()) throw InterruptedError("the copy was stopped", {.database = database});
}

// Tells the caller how far it is, and ends it when a stop is requested.
class Teller {
 public:
  Teller(const BackupOptions& options, std::string database) : options_(options), database_(std::move(database)) {}

  [[nodiscard]] OnCopied between_steps() {
    return [this](std::uint64_t copied, std::uint64_t total) {
      if (options_.on_progress && is_worth_telling(copied, told_, total)) {
        told_ = copied;
        options_.on_progress({.copied_bytes = copied, .total_bytes = total});
      }
      expect_no_stop(options_, database_);
    };
  }

  void complete(std::uint64_t total) const {
    if (options_.on_progress) options_.on_progress({.copied_bytes = total, .total_bytes = total});
  }

  // For what cannot fail any more, even if the callback throws in spite of its contract.
  void committed(std::uint64_t total) const noexcept {
    try {
      complete(total);
    } catch (...) {
    }
  }

  void verifies(std::uint64_t copied, std::uint64_t total) const {
    if (options_.on_progress) {
      options_.on_progress({.copied_bytes = copied, .total_bytes = total, .is_verifying = true});
    }
    expect_no_stop(options_, database_);
  }

 private:
  const BackupOptions& options_;
  const std::string database_;
  std::uint64_t told_ = 0;
};

bool is_verified(const BackupOptions& options) {
  return options.verification == BackupOptions::Verification::integrity;
}

std::uint64_t size_of(Connection& connection) {
  const SqlFor<Access::read> pages = runtime_sql("PRAGMA page_count");
  const SqlFor<Access::read> bytes = runtime_sql("PRAGMA page_size");
  return fetch_one<std::uint64_t>(connection, pages.text()) * fetch_one<std::uint64_t>(connection, bytes.text());
}

// What is at a path, read-only.
ConnectionSettings settings_to_read(const Core& core, const fs::path& path) {
  return {.database = path.string(),
          .role = Role::reader,
          .sql = core.options().sql,
          .busy_timeout = core.options().busy_timeout,
          .page_cache = core.options().page_cache};
}

// What is wrong with a copy was so in `source`, most of the time.
std::vector<UncheckedTable> verify_copy(const Core& core, const StagedFile& staged, const std::string& source,
                                        const BackupOptions& options) {
  const std::string what = "the copy of \"" + source + "\", and so perhaps the database,";
  try {
    Connection copy(settings_to_read(core, staged.path()));
    return expect_integrity(copy, what, source, options.stop);
  } catch (const OpenError& error) {  // what has just been written is no database
    throw CorruptError(what + " is damaged: " + error.what(),
                       {.code = error.code(), .extended_code = error.extended_code(), .database = source});
  }
}

void expect_other_file(const Core& core, const FileIdentity& identity, const std::string& file) {
  if (core.is_memory()) return;
  std::error_code error;
  if (!fs::exists(core.file(), error)) return;  // it was moved away; the commit will tell
  if (identity_of(core.file()) != identity) return;
  throw UsageError("\"" + file + "\" is the database itself: there is nothing to restore from it");
}

}  // namespace

BackupReport back_up(Core& core, const fs::path& file, Existing existing, const BackupOptions& options, CallSite site,
                     std::optional<std::chrono::milliseconds> reader_timeout) {
  StagedFile staged(place_for_database(file, existing));
  const std::string name = staged.destination().string();
  Teller teller(options, name);
  BackupReport report;
  std::string source;
  {
    const Lease reader =
        use_reconnecting([&] { return core.lend_own_reader({.timeout = reader_timeout, .stop = options.stop}, site); },
                         [](Lease lease) {
                           lease.connection().begin_snapshot();
                           return lease;
                         });
    source = reader.connection().settings().database;
    report.bytes = write_copy(reader.connection(), staged.path(), name, teller.between_steps());
  }
  teller.complete(report.bytes);
  staged.sync();
  if (is_verified(options)) {
    teller.verifies(report.bytes, report.bytes);
    report.unchecked = verify_copy(core, staged, source, options);
  }
  expect_no_stop(options, name);
  std::error_code error;
  if (existing == Existing::replace && fs::exists(staged.destination(), error)) {
    OpenDatabases::of_this_process().while_closed(identity_of(staged.destination()),
                                                  [&] { staged.appear(Existing::replace); });
  } else {
    staged.appear(existing);
  }
  return report;
}

BackupReport restore(Core& core, const fs::path& file, const BackupOptions& options, CallSite site) {
  core.lane().expect_foreign_holder(site);
  const fs::path path = find_database_file(file);
  const FileIdentity identity = identity_of(path);
  expect_other_file(core, identity, path.string());
  OpenDatabases::Use use = OpenDatabases::of_this_process().use(identity);
  ConnectionSettings settings = settings_to_read(core, path);
  settings.locking = use.locking;
  settings.registration = use.registration;
  std::optional<LogSweep> sweep;
  if (use.locking == Locking::shared) sweep.emplace(path);
  Connection source = open_to_copy(settings);
  source.set_limits(std::nullopt, options.stop);
  source.begin_snapshot();  // reads the schema

  Teller teller(options, path.string());
  BackupReport report{.bytes = size_of(source)};
  if (report.bytes == 0) {
    throw OpenError("cannot restore \"" + path.string() + "\": it is empty", {.database = path.string()});
  }
  if (is_verified(options)) {
    teller.verifies(0, report.bytes);
    report.unchecked = expect_integrity(source, "\"" + path.string() + "\"", path.string(), options.stop);
  }
  {
    const WriterReopening reopening(core, site);
    const Lease lane = core.lend_writer({.stop = options.stop}, site);
    report.bytes = replace_contents(source, lane.connection(), teller.between_steps());
    core.care_for(lane.connection());
  }
  teller.committed(report.bytes);
  return report;
}

}  // namespace detail

BackupReport Database::backup_to(const std::filesystem::path& file, const BackupOptions& options, CallSite site) const {
  return detail::back_up(core(), file, detail::Existing::refuse, options, site);
}

BackupReport Database::restore_from(const std::filesystem::path& file, const BackupOptions& options, CallSite site) {
  return detail::restore(writable_core(site), file, options, site);
}

}  // namespace sqlane
