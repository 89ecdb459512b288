#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cli/completion.hpp"
#include "cli/man_page.hpp"
#include "cli/subcommand.hpp"
#include "cli/version.hpp"

namespace sqlane::cli {

void add_completion(CLI::App& app, Run& run) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* const command =
      app.add_subcommand("completion", "Prints a script by which a shell completes what is typed after \"sqlane\".");
  command->footer("Example: source <(sqlane completion bash)");
  command->add_option("SHELL", *shell, "The shell")->required()->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([shell, &app, &run] {
    run = [shell, &app](Console& console) {
      console.out << (*shell == "bash" ? make_bash_completion(app) : make_zsh_completion(app));
      return kExitSuccess;
    };
  });
}

void add_man(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand("man", "Prints the manual page, in roff.");
  command->footer("Example: sqlane man | man -l -");
  command->callback([&app, &run] {
    run = [&app](Console& console) {
      console.out << make_man_page(app, version());
      return kExitSuccess;
    };
  });
}

}  // namespace sqlane::cli
