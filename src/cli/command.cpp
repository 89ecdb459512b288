#include "cli/command.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <exception>
#include <ostream>

#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

constexpr std::array kSubcommands{&add_bench, &add_demo, &add_stats};

}  // namespace

int run_command(int argc, const char* const* argv, Console& console) {
  CLI::App app("Works with SQLite databases through sqlane.", "sqlane");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 success, 1 failure, 2 wrong arguments, 3 something was found that is wrong or differs.");
  Run run;
  for (const auto add : kSubcommands) add(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, console.out, console.err) == 0 ? kExitSuccess : kExitUsage;
  }
  try {
    return run(console);
  } catch (const std::exception& error) {
    console.err << "sqlane: " << error.what() << "\n";
    return kExitFailure;
  }
}

}  // namespace sqlane::cli
