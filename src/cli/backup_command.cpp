#include <CLI/CLI.hpp>
#include <memory>

#include "cli/copying.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {

void add_backup(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<CopyArguments>();
  CLI::App* const command = app.add_subcommand(
      "backup", "Copies one committed state of a database to a new file, while other programs use it, and checks it.");
  command->footer("Example: sqlane backup app.db backups/app-monday.db");
  add_copy_options(*command, *arguments, "TO", "The copy, which must not be there yet");
  command->callback([arguments, &run] {
    run = [arguments](Console& console) { return run_copy(CopyDirection::backup, *arguments, console); };
  });
}

}  // namespace sqlane::cli
