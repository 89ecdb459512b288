#include "database/backup.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "database/core_access.hpp"
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

namespace {

// What is wrong with what is restored; what is right is told.
BackupReport examine(Connection& source, const std::string& path, const BackupOptions& options, const Teller& teller) {
  BackupReport report{.bytes = size_of(source)};
  if (report.bytes == 0) throw OpenError("cannot restore \"" + path + "\": it is empty", {.database = path});
  if (!is_verified(options)) return report;
  teller.verifies(0, report.bytes);
  report.unchecked = expect_integrity(source, "\"" + path + "\"", path, options.stop);
  return report;
}

// A snapshot of what is restored.
class RestoreSource {
 public:
  RestoreSource(Core& core, const fs::path& file, const BackupOptions& options)
      : path_(find_database_file(file)),
        use_(use_of(core, path_)),
        sweep_(use_.locking == Locking::shared ? std::make_unique<LogSweep>(path_) : nullptr),
        connection_(open_to_copy(settings(core))) {
    connection_.set_limits(std::nullopt, options.stop);
    connection_.begin_snapshot();  // reads the schema
  }

  [[nodiscard]] Connection& connection() { return connection_; }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  static OpenDatabases::Use use_of(const Core& core, const fs::path& path) {
    const FileIdentity identity = identity_of(path);
    expect_other_file(core, identity, path.string());
    return OpenDatabases::of_this_process().use(identity);
  }
  [[nodiscard]] ConnectionSettings settings(const Core& core) const {
    ConnectionSettings settings = settings_to_read(core, path_);
    settings.locking = use_.locking;
    settings.is_alone = use_.locking == Locking::exclusive;
    settings.registration = use_.registration;
    return settings;
  }

  const fs::path path_;
  const OpenDatabases::Use use_;
  const std::unique_ptr<LogSweep> sweep_;
  Connection connection_;
};

}  // namespace

BackupReport restore(Core& core, const fs::path& file, const BackupOptions& options, CallSite site) {
  core.lane().expect_foreign_holder(site);
  RestoreSource source(core, file, options);
  Teller teller(options, source.path());
  BackupReport report = examine(source.connection(), source.path(), options, teller);
  {
    const WriterReopening reopening(core, site);
    const Lease lane = core.lend_writer({.stop = options.stop}, site);
    report.bytes = replace_contents(source.connection(), lane.connection(), teller.between_steps());
    core.care_for(lane.connection());
  }
  teller.committed(report.bytes);
  return report;
}

void check_restore(Core& core, const fs::path& file, const BackupOptions& options, CallSite site) {
  RestoreSource source(core, file, options);
  const Teller teller(options, source.path());
  BackupOptions first = options;
  first.verification = BackupOptions::Verification::none;
  examine(source.connection(), source.path(), first, teller);
  {
    const Lease reader = core.lend_own_reader({.stop = options.stop}, site);
    expect_fitting(source.connection(), reader.connection());
  }
  examine(source.connection(), source.path(), options, teller);
}

BackupReport fill_empty(Core& source, const fs::path& file, const BackupOptions& options) {
  const fs::path path = find_database_file(file);
  Teller teller(options, source.file());
  // Not the pool's: what it is limited by ends with it.
  Connection reader(settings_to_read(source, source.file()));
  reader.set_limits(std::nullopt, options.stop);
  reader.begin_snapshot();
  BackupReport report = examine(reader, source.file(), options, teller);
  report.bytes = write_to_empty(reader, path, teller.between_steps());
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

void check_restore(const Database& database, const std::filesystem::path& from, const BackupOptions& options) {
  detail::check_restore(detail::CoreAccess::core(database), from, options, CallSite::current());
}

BackupReport restore_to_new(const std::filesystem::path& file, const std::filesystem::path& from,
                            const BackupOptions& options) {
  const Database source = Database::open(from, {.mode = OpenMode::read_only, .readers = 1});
  if (source.query_one<std::int64_t>("PRAGMA page_count") == 0) {
    throw OpenError("cannot restore \"" + from.string() + "\": it is empty", {.database = from.string()});
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(file, error)) ||
      std::filesystem::file_size(file, error) != 0) {
    return source.backup_to(file, options);  // refuses a file that holds something
  }
  return detail::fill_empty(detail::CoreAccess::core(source), file, options);
}

}  // namespace sqlane
