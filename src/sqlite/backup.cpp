#include "sqlite/backup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <span>
#include <sqlite3.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "sqlane/detail/queries.hpp"
#include "sqlane/error.hpp"
#include "sqlite/errors.hpp"
#include "sqlite/integrity.hpp"
#include "sqlite/remedies.hpp"

namespace sqlane::detail {
namespace {

constexpr std::string_view kShown = "backup";
constexpr int kMostSnapshotRetries = 100;

[[noreturn]] void fail(int code, const std::string& database) {
  throw_failure(
      {.extended_code = code, .message = sqlite3_errstr(code), .sql = std::string(kShown), .database = database});
}

// Of the two files only the one that is read can fail so.
bool is_about_source(int extended_code) {
  switch (extended_code) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_DATA: return true;
    default: return (extended_code & 0xff) == SQLITE_CORRUPT || (extended_code & 0xff) == SQLITE_NOTADB;
  }
}

// SQLite's copying of one database to another. Unless it was finished, the destination is rolled back.
class Copying {
 public:
  Copying(sqlite3* from, sqlite3* to, const std::string& name)
      : backup_(sqlite3_backup_init(to, "main", from, "main")) {
    if (backup_ == nullptr) fail(sqlite3_extended_errcode(to), name);
  }
  Copying(const Copying&) = delete;
  Copying& operator=(const Copying&) = delete;
  ~Copying() { static_cast<void>(finish()); }

  int step(int pages) { return sqlite3_backup_step(backup_, pages); }
  int finish() noexcept { return sqlite3_backup_finish(std::exchange(backup_, nullptr)); }
  [[nodiscard]] int total() const noexcept { return sqlite3_backup_pagecount(backup_); }
  [[nodiscard]] int copied() const noexcept { return total() - sqlite3_backup_remaining(backup_); }
  // All pages have been copied: what comes then is the commit.
  [[nodiscard]] bool is_committing() const noexcept { return total() > 0 && copied() == total(); }

 private:
  sqlite3_backup* backup_;
};

// Interrupted, from another thread, while it copies?
void expect_not_interrupted(const Connection& connection) {
  if (!connection.record().is_interrupted) return;
  throw InterruptedError(
      "interrupted, having held its connection for too long, during the copy",
      {.code = SQLITE_INTERRUPT, .extended_code = SQLITE_INTERRUPT, .database = connection.settings().database});
}

template <class T = int>
T ask(Connection& connection, const char* sql) {
  const SqlFor<Access::read> text = runtime_sql(sql);
  return fetch_one<T>(connection, text.text());
}

// Of a file nobody else has, with as little ado as can be: one that did not become complete is thrown away.
constexpr std::array kForOneself{"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF"};
// Of a file that others may have as well, whole or not at all.
constexpr std::array kForAll{"PRAGMA synchronous=FULL"};

// A connection that only ever fills a file.
class PlainConnection {
 public:
  PlainConnection(const std::filesystem::path& path, const std::string& name, std::span<const char* const> settings) {
    const int code = sqlite3_open_v2(
        path.c_str(), &handle_,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW, nullptr);
    if (code != SQLITE_OK) {
      const int extended = handle_ == nullptr ? code : sqlite3_extended_errcode(handle_);
      sqlite3_close(std::exchange(handle_, nullptr));
      fail(extended, name);
    }
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);  // would keep the journal on
    for (const char* sql : settings) {
      const int failed = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
      if (failed == SQLITE_OK) continue;
      sqlite3_close(std::exchange(handle_, nullptr));
      fail(failed, name);
    }
  }
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;
  ~PlainConnection() { sqlite3_close(handle_); }

  [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};

// A copy of a database that has a log says of itself that it has one as well.
// https://sqlite.org/fileformat2.html#file_format_version_numbers
void mark_as_without_log(const std::filesystem::path& path, const std::string& name) {
  constexpr std::array<unsigned char, 2> kRollbackJournal{1, 1};  // to write, to read
  constexpr off_t kOffset = 18;
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  const bool is_done = file >= 0 && ::pwrite(file, kRollbackJournal.data(), kRollbackJournal.size(), kOffset) ==
                                        static_cast<ssize_t>(kRollbackJournal.size());
  const int error = errno;
  if (file >= 0) ::close(file);
  if (is_done) return;
  throw IoError("writing \"" + name + "\" failed: " + std::generic_category().message(error), {.database = name});
}

// Copies step by step; what the last step returned. That one commits as well.
int copy_stepwise(Copying& copying, const Connection& from, const Connection& to, std::uint64_t page_size,
                  const OnCopied& on_copied) {
  int retries = 0;
  while (true) {
    expect_not_interrupted(from);
    expect_not_interrupted(to);
    const int code = copying.step(pages_per_step(copying.total()));
    // Nothing has been copied yet: another process has committed between the look at the log and the lock.
    if (code == SQLITE_BUSY_SNAPSHOT && copying.total() == 0 && ++retries < kMostSnapshotRetries) continue;
    if (code != SQLITE_OK) return code;
    on_copied(static_cast<std::uint64_t>(copying.copied()) * page_size,
              static_cast<std::uint64_t>(copying.total()) * page_size);
  }
}

std::uint64_t fill(Connection& from, const PlainConnection& to, const std::string& name, const OnCopied& on_copied) {
  const RunningStatement::Scope scope(from.running(), kShown);
  const auto page_size = static_cast<std::uint64_t>(ask(from, "PRAGMA page_size"));
  Copying copying(from.handle(), to.handle(), name);
  const int code = copy_stepwise(copying, from, from, page_size, on_copied);
  const std::uint64_t bytes = static_cast<std::uint64_t>(copying.total()) * page_size;
  const int end = copying.finish();
  if (code != SQLITE_DONE) fail(code, is_about_source(code) ? from.settings().database : name);
  if (end != SQLITE_OK) fail(end, name);
  return bytes;
}

}  // namespace

// Pages keep their size and texts their encoding for as long as a database lives;
// while it is empty, only the pages do. https://sqlite.org/pragma.html#pragma_encoding
void expect_fitting(Connection& from, Connection& to) {
  const std::string& name = to.settings().database;
  const auto refuse = [&](const std::string& reason, const std::string& remedy) {
    throw OpenError(
        "cannot restore \"" + from.settings().database + "\" to \"" + name + "\": " + reason + "; " + remedy,
        {.database = from.settings().database});
  };
  const int page_size = ask(from, "PRAGMA page_size");
  if (const int own = ask(to, "PRAGMA page_size"); own != page_size) {
    refuse("it has pages of " + std::to_string(page_size) + " bytes, but here they have " + std::to_string(own),
           "restore it to a new database, opened with Options::page_size = " + std::to_string(page_size));
  }
  // The first of these reads all of the schema: what cannot be read there could not be read here.
  const int objects = ask(from, "SELECT count(*) FROM sqlite_master");
  const auto encoding = ask<std::string>(from, "PRAGMA encoding");
  if (const auto own = ask<std::string>(to, "PRAGMA encoding");
      objects > 0 && own != encoding && ask(to, "SELECT count(*) FROM sqlite_master") > 0) {
    refuse("its texts are in " + encoding + ", but here they are in " + own, "restore it to a new database");
  }
}

int pages_per_step(int total) noexcept { return std::clamp(total / 200, 25, 500); }

bool is_worth_telling(std::uint64_t copied, std::uint64_t told, std::uint64_t total) noexcept {
  return copied == total || copied - told >= total / 250;
}

void copy_database(Connection& from, Connection& to) {
  constexpr int kAllPages = -1;
  Copying copying(from.handle(), to.handle(), to.settings().database);
  const int step = copying.step(kAllPages);
  const int end = copying.finish();
  if (step != SQLITE_DONE || end != SQLITE_OK) to.fail(end != SQLITE_OK ? end : step, kShown);
}

std::uint64_t write_copy(Connection& from, const std::filesystem::path& path, const std::string& name,
                         const OnCopied& on_copied) {
  const std::uint64_t bytes = fill(from, PlainConnection(path, name, kForOneself), name, on_copied);
  mark_as_without_log(path, name);
  return bytes;
}

std::uint64_t write_to_empty(Connection& from, const std::filesystem::path& path, const OnCopied& on_copied) {
  return fill(from, PlainConnection(path, path.string(), kForAll), path.string(), on_copied);
}

std::uint64_t replace_contents(Connection& from, Connection& to, const OnCopied& on_copied) {
  static constexpr std::string_view kRestore = "restore";
  const RunningStatement::Scope scope(to.running(), kRestore);
  const std::string& name = to.settings().database;
  expect_fitting(from, to);
  const int page_size = ask(from, "PRAGMA page_size");
  to.retire();
  // Safe here, since no savepoint is rolled back.
  if (const int code = sqlite3_exec(to.handle(), "PRAGMA cache_spill=ON", nullptr, nullptr, nullptr);
      code != SQLITE_OK) {
    fail(code, name);
  }
  Copying copying(from.handle(), to.handle(), name);
  const int code = copy_stepwise(copying, from, to, static_cast<std::uint64_t>(page_size), on_copied);
  const auto bytes = static_cast<std::uint64_t>(copying.total()) * static_cast<std::uint64_t>(page_size);
  const bool was_committing = copying.is_committing();
  const int end = copying.finish();
  if (code != SQLITE_DONE) {
    // The frame of the log that says "commit" may be on the disk, or may not.
    const bool may_have_committed = was_committing && (code & 0xff) == SQLITE_IOERR && !to.settings().is_memory();
    throw_failure({.extended_code = code,
                   .message = sqlite3_errstr(code),
                   .sql = std::string(kRestore),
                   .database = is_about_source(code) ? from.settings().database : name,
                   .outcome_unknown = may_have_committed});
  }
  if (end != SQLITE_OK) fail(end, name);
  // The first statement to end after a commit calls the hook of the log; should it fail, all is restored all the same.
  sqlite3_exec(to.handle(), "PRAGMA page_count", nullptr, nullptr, nullptr);
  to.expect_reachable_commit();
  return bytes;
}

Connection open_to_copy(const ConnectionSettings& settings) {
  try {
    return Connection(settings);
  } catch (const OpenError& error) {
    if ((error.code() & 0xff) != SQLITE_CORRUPT || is_of_unknown_syntax(error.what())) throw;
    if (std::string_view(error.what()).find("Options::sql.sql_length") != std::string_view::npos) throw;
    throw CorruptError("\"" + settings.database + "\" is damaged: " + error.what(),
                       {.code = error.code(), .extended_code = error.extended_code(), .database = settings.database});
  }
}

namespace {

std::string list_first(const std::vector<std::string>& lines) {
  constexpr std::size_t kShownLines = 10;
  std::string text;
  for (const std::string& line : std::span(lines).first(std::min(lines.size(), kShownLines))) {
    if (!text.empty()) text += "; ";
    text += line;
  }
  return text;
}

}  // namespace

std::vector<UncheckedTable> expect_integrity(Connection& connection, const std::string& what,
                                             const std::string& database, const std::stop_token& stop) {
  connection.set_limits(std::nullopt, stop);
  // Most of it is one instruction, in which nobody asks for limits; but it looks out for this.
  const std::stop_callback interrupt(stop, [handle = connection.handle()] { sqlite3_interrupt(handle); });
  IntegrityReport report = check_integrity(connection, IntegrityDepth::full);
  const auto refuse = [&](const std::string& message) {
    throw CorruptError(what + message, {.code = SQLITE_CORRUPT, .extended_code = SQLITE_CORRUPT, .database = database});
  };
  if (!report.damage.empty()) refuse(" is damaged: " + list_first(report.damage));
  if (!report.violations.empty()) {
    refuse(" has values that its columns do not allow: " + list_first(report.violations) +
           "; the pages are whole: UPDATE these rows, or copy with BackupOptions::Verification::none");
  }
  return std::move(report.unchecked);
}

}  // namespace sqlane::detail
