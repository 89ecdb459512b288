#include "cli/copying.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <system_error>

#include "cli/format.hpp"
#include "cli/interruption.hpp"
#include "cli/log_files.hpp"
#include "cli/looking_first.hpp"
#include "cli/screen.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

// What was made of the copy: "checked and synced".
std::string describe_state(const BackupReport& report, bool is_verified) {
  if (!is_verified) return "synced, not checked";
  if (report.unchecked.empty()) return "checked and synced";
  std::vector<std::string> read;
  std::vector<std::string> not_read;
  for (const UncheckedTable& unchecked : report.unchecked) {
    if (unchecked.table.empty()) continue;
    (unchecked.is_read ? read : not_read).push_back(fmt::format("{} ({})", unchecked.table, unchecked.reason));
  }
  std::string text = "synced, and checked as far as this program can: ";
  if (!read.empty()) text += fmt::format("only the pages of {}; ", fmt::join(read, ", "));
  if (!not_read.empty()) text += fmt::format("nothing of {}, in which damage may be; ", fmt::join(not_read, ", "));
  return text + "what is missing belongs to the program that made the database";
}

nlohmann::json to_json(const std::vector<UncheckedTable>& unchecked) {
  nlohmann::json json = nlohmann::json::array();
  for (const auto& [table, reason, is_read] : unchecked) {
    if (!table.empty()) json.push_back({{"table", table}, {"reason", reason}, {"read", is_read}});
  }
  return json;
}

std::string describe(const BackupProgress& progress) {
  if (progress.is_verifying) return fmt::format("checking {}", format_bytes(progress.total_bytes));
  return fmt::format("{} of {}", format_bytes(progress.copied_bytes), format_bytes(progress.total_bytes));
}

// A check reads all of it, but does not tell how far it is.
double fraction_of(const BackupProgress& progress) {
  if (progress.is_verifying || progress.total_bytes == 0) return -1;
  return static_cast<double>(progress.copied_bytes) / static_cast<double>(progress.total_bytes);
}

bool holds_something(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(file, error);
  return fs::exists(status) && !(fs::is_regular_file(status) && fs::file_size(file, error) == 0);
}

// https://sqlite.org/rescode.html#busy
constexpr int kBusy = 5;

Database open_to_restore(const fs::path& file, const Options& options, Sharing sharing) {
  try {
    return open_to_write(file, options, sharing);
  } catch (const OpenError& error) {
    throw OpenError(
        std::string(error.what()) +
            (error.code() == kBusy ? "; end that program first"
                                   : "; to restore to a new file, move this one away, with its -wal, -shm or -journal"),
        {.code = error.code(), .extended_code = error.extended_code(), .database = error.database()});
  }
}

// Where the database is switched to write-ahead logging, the copy is read twice; else at the second time alone.
void expect_restorable(const CopyArguments& arguments, BackupOptions options) {
  const std::optional<Database> database = open_to_look(
      [&] { return open_to_restore(arguments.file, {.mode = OpenMode::read_only, .readers = 1}, arguments.sharing); });
  if (!database) return;
  if (is_in_wal_mode(*database)) options.verification = BackupOptions::Verification::none;
  check_restore(*database, arguments.other, options);
}

// Whether a file is there decides what restoring is: a database that is there
// takes over the contents and stays open to others; one that is not is made, with
// whatever page size the copy has.
BackupReport restore(const CopyArguments& arguments, const BackupOptions& options) {
  if (!holds_something(arguments.file)) return restore_to_new(arguments.file, arguments.other, options);
  try {
    expect_restorable(arguments, options);
    Database database = open_to_restore(arguments.file, {.mode = OpenMode::existing}, arguments.sharing);
    BackupReport report = database.restore_from(arguments.other, options);
    database.close();
    return report;
  } catch (const OpenError& unfit) {
    const std::string text = unfit.what();
    const std::size_t advice = text.rfind("; restore it to a new database");
    if (advice == std::string::npos) throw;
    throw OpenError(text.substr(0, advice) + "; restore it to a path where no file is");
  }
}

// What SQLite does not read of a log, it does not copy.
struct LeftOut {
  bool is_log = false;  // all of it
  std::uint64_t commits = 0;
};

// Not while this process has the database open.
LeftOut find_what_is_left_out(const fs::path& source) {
  const LogContents log = read_log_contents(LogFile(source).reader());
  return {.is_log = log.is_unreadable, .commits = log.commits_beyond > 1 ? log.commits_beyond : 0};
}

// Empty: nothing is.
std::string describe(const LeftOut& left_out, const fs::path& source) {
  if (left_out.is_log) {
    return fmt::format(
        "the header of the write-ahead log of {0} is damaged, and SQLite passes over that log: what was committed last "
        "may be missing from the copy; keep a copy of the -wal, and compare with a backup (hint: sqlane check {0})",
        source.string());
  }
  if (left_out.commits == 0) return "";
  return fmt::format(
      "the write-ahead log of {0} is damaged: {1} commits that stand in it after the damage may be missing from the "
      "copy (hint: sqlane check {0})",
      source.string(), left_out.commits);
}

BackupReport back_up(const CopyArguments& arguments, const BackupOptions& options) {
  const Database database = open_to_read(arguments.file, {}, arguments.sharing);
  return database.backup_to(arguments.other, options);
}

}  // namespace

void add_copy_options(CLI::App& command, CopyArguments& arguments, const char* other, const char* other_description) {
  command.add_option("FILE", arguments.file, "The database")->required();
  command.add_option(other, arguments.other, other_description)->required();
  command.add_flag("--no-verify", arguments.is_unverified, "Does not check all of the copy (PRAGMA integrity_check)");
  add_exclusive(command, arguments.sharing);
  command.add_flag("--json", arguments.is_json, "JSON alone on standard output");
}

int run_copy(CopyDirection direction, const CopyArguments& arguments, Console& console) {
  const bool is_backup = direction == CopyDirection::backup;
  const bool is_verified = !arguments.is_unverified;
  const auto began = std::chrono::steady_clock::now();
  const Interruption interruption;
  const fs::path& source = is_backup ? arguments.file : arguments.other;
  const LeftOut left_out = find_what_is_left_out(source);
  const std::string warning = describe(left_out, source);
  BackupReport report;
  try {
    ProgressLine line(console);
    BackupOptions options;
    options.verification = is_verified ? BackupOptions::Verification::integrity : BackupOptions::Verification::none;
    options.stop = interruption.token();
    if (!arguments.is_json) {
      options.on_progress = [&](const BackupProgress& progress) {
        line.show(fraction_of(progress), describe(progress));
      };
    }
    report = is_backup ? back_up(arguments, options) : restore(arguments, options);
  } catch (const InterruptedError&) {
    if (!interruption.token().stop_requested()) throw;
    console.err << (is_backup ? "sqlane: interrupted; there is no copy\n"
                              : "sqlane: interrupted; nothing was changed\n");
    return kExitInterrupted;
  } catch (const CorruptError& error) {
    if (!is_verified) throw;
    throw CorruptError(std::string(error.what()) + " (hint: --no-verify copies it all the same, with what is wrong)");
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
  if (arguments.is_json) {
    console.out << format_json({{"file", arguments.file.string()},
                                {is_backup ? "to" : "from", arguments.other.string()},
                                {"bytes", report.bytes},
                                {"verified", is_verified},
                                {"unchecked", to_json(report.unchecked)},
                                {"commits_left_out", left_out.commits},
                                {"log_left_out", left_out.is_log},
                                {"seconds", taken.count()}})
                << "\n";
    return warning.empty() ? kExitSuccess : kExitFindings;
  }
  const std::string what = is_backup
                               ? fmt::format("{} is a copy of {}", arguments.other.string(), arguments.file.string())
                               : fmt::format("{} has what {} had", arguments.file.string(), arguments.other.string());
  console.out << fmt::format("{}: {} in {}, {}.\n", printable(what), format_bytes(report.bytes),
                             format_duration(std::chrono::duration_cast<std::chrono::nanoseconds>(taken)),
                             printable(describe_state(report, is_verified)));
  if (warning.empty()) return kExitSuccess;
  console.err << "sqlane: " << printable(warning) << "\n";
  return kExitFindings;
}

}  // namespace sqlane::cli
