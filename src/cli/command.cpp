#include "cli/command.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <exception>
#include <ostream>
#include <sqlane/error.hpp>

#include "cli/screen.hpp"
#include "cli/subcommand.hpp"
#include "cli/usage.hpp"
#include "cli/version.hpp"

namespace sqlane::cli {
namespace {

constexpr std::array kSubcommands{&add_backup, &add_bench, &add_check,   &add_check_sql, &add_completion,
                                  &add_demo,   &add_man,   &add_migrate, &add_restore,   &add_stats};

}  // namespace

int run_command(int argc, const char* const* argv, Console& console) {
  CLI::App app("Works with SQLite databases through sqlane.", "sqlane");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_line, "Prints the versions of sqlane and of SQLite, and exits");
  app.footer(
      "Exit codes: 0 success, 1 failure, 2 wrong arguments, 3 something was found that is wrong or differs, 130 "
      "interrupted.");
  Run run;
  for (const auto add : kSubcommands) add(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // for help, or the version
    app.exit(asked, console.out, console.err);
    return kExitSuccess;
  } catch (const CLI::ParseError& error) {
    console.err << printable_lines(explain(app, error)) << "\n";
    return kExitUsage;
  }
  try {
    return run(console);
  } catch (const UsageError& error) {  // the arguments do not fit what they are about
    console.err << "sqlane: " << printable_lines(error.what()) << "\n";
    return kExitUsage;
  } catch (const std::exception& error) {
    console.err << "sqlane: " << printable_lines(error.what()) << "\n";
    return kExitFailure;
  }
}

}  // namespace sqlane::cli
