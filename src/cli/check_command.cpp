#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/check_report.hpp"
#include "cli/format.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

struct CheckArguments {
  std::filesystem::path file;
  bool is_quick = false;
  bool is_json = false;
  Sharing sharing = Sharing::usual;
};

int exit_code_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::ok:
    case Judgement::notable: return kExitSuccess;
    case Judgement::unreadable: return kExitFailure;
    case Judgement::warning:
    case Judgement::wrong: return kExitFindings;
  }
  return kExitFailure;
}

int check(const CheckArguments& arguments, Console& console) {
  CheckOptions options{.file = arguments.file, .is_quick = arguments.is_quick, .sharing = arguments.sharing};
  CheckReport report;
  {
    ProgressLine line(console);
    if (!arguments.is_json && console.is_terminal) {
      options.on_stage = [&](const std::string& what) { line.show(-1, what + " …"); };
    }
    report = check_database(options);
  }
  if (arguments.is_json) {
    console.out << format_json(to_json(report)) << "\n";
  } else {
    console.out << format_check(report, console);
  }
  return exit_code_of(report.judgement());
}

}  // namespace

void add_check(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* const command = app.add_subcommand(
      "check",
      "Looks for damage, broken foreign keys and what else needs a person, and says what to do. Changes nothing.");
  command->footer(
      "Example: sqlane check app.db\n"
      "WRONG means damage alone; WARNING what fails when it is used. Both exit with 3, and with 1 what this SQLite "
      "cannot "
      "read.");
  command->add_option("FILE", arguments->file, "The database")->required();
  command->add_flag("--quick", arguments->is_quick, "Does not compare indexes with their tables (PRAGMA quick_check)");
  add_exclusive(*command, arguments->sharing);
  command->add_flag("--json", arguments->is_json, "JSON alone on standard output");
  command->callback([arguments, &run] { run = [arguments](Console& console) { return check(*arguments, console); }; });
}

}  // namespace sqlane::cli
