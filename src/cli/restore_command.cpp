#include <CLI/CLI.hpp>
#include <memory>

#include "cli/copying.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {

void add_restore(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<CopyArguments>();
  CLI::App* const command = app.add_subcommand(
      "restore", "Replaces all that is in a database, while other programs use it, or makes it; all or nothing.");
  command->footer("Example: sqlane restore app.db backups/app-monday.db");
  add_copy_options(*command, *arguments, "FROM", "The copy, which is checked first and not changed");
  command->callback([arguments, &run] {
    run = [arguments](Console& console) { return run_copy(CopyDirection::restore, *arguments, console); };
  });
}

}  // namespace sqlane::cli
