#include "cli/opening.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <sqlane/error.hpp>
#include <string>
#include <utility>

namespace sqlane::cli {
namespace {

// https://sqlite.org/rescode.html
constexpr int kBusy = 5;

// There can be no index of a write-ahead log beside the database: no file can be made there, the disk is full, or files
// cannot be mapped.
bool lacks_index(const OpenError& error) {
  constexpr std::array kCodes{14, 4874, 5386};
  return std::ranges::find(kCodes, error.extended_code()) != kCodes.end();
}

[[noreturn]] void rethrow_with(const OpenError& error, const std::string& hint) {
  throw OpenError(error.what() + hint, {.code = error.code(),
                                        .extended_code = error.extended_code(),
                                        .database = error.database(),
                                        .retryable = error.is_retryable()});
}

Database open(const std::filesystem::path& file, const Options& options) {
  try {
    return Database::open(file, options);
  } catch (const OpenError& error) {
    const bool helps = std::string(error.what()).find("Locking::exclusive") != std::string::npos;
    if (!helps || options.locking == Locking::exclusive) throw;
    rethrow_with(error, " (hint: --exclusive)");
  }
}

Database open_alone(const std::filesystem::path& file, Options options, const OpenError& why) {
  options.locking = Locking::exclusive;
  try {
    return Database::open(file, options);
  } catch (const OpenError& error) {
    rethrow_with(why, error.code() == kBusy ? "; and another process has the file open" : "");
  }
}

}  // namespace

CLI::Option* add_exclusive(CLI::App& command, Sharing& sharing) {
  return command.add_flag_callback(
      "--exclusive", [&sharing] { sharing = Sharing::alone; },
      "Keeps all other programs out of the database meanwhile; works on file systems where it cannot be shared");
}

Database open_to_read(const std::filesystem::path& file, Options options, Sharing sharing) {
  options.mode = OpenMode::read_only;
  if (sharing != Sharing::usual) return open_to_write(file, std::move(options), sharing);
  try {
    return open(file, options);
  } catch (const OpenError& error) {
    if (!lacks_index(error)) throw;
    return open_alone(file, std::move(options), error);
  }
}

Database open_to_write(const std::filesystem::path& file, Options options, Sharing sharing) {
  options.locking = sharing == Sharing::alone ? Locking::exclusive : Locking::shared;
  return open(file, options);
}

}  // namespace sqlane::cli
