#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <vector>

#include "cli/findings.hpp"
#include "cli/format.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

struct CheckSqlArguments {
  std::filesystem::path migrations;
  std::vector<std::filesystem::path> queries;
  bool as_json = false;
};

int check_sql(const CheckSqlArguments& arguments, Console& console) {
  const Migrations migrations = Migrations::from_folder(arguments.migrations);
  Database db = Database::in_memory();
  db.migrate(migrations);
  std::vector<SqlFinding> findings;
  for (const std::filesystem::path& folder : arguments.queries) {
    std::vector<SqlFinding> more = check_sql_folder(db, folder);
    findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  if (arguments.as_json) {
    console.out << format_json({{"version", migrations.newest()}, {"findings", to_json(findings)}}) << "\n";
  } else if (findings.empty()) {
    console.out << fmt::format("All queries fit the schema at version {}.\n", migrations.newest());
  } else {
    console.out << format_findings(findings);
  }
  return findings.empty() ? kExitSuccess : kExitFindings;
}

}  // namespace

void add_check_sql(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<CheckSqlArguments>();
  CLI::App* const command = app.add_subcommand(
      "check-sql", "Prepares every statement of query files against the schema that migrations make.");
  command->footer("Example: sqlane check-sql migrations queries");
  command->add_option("MIGRATIONS", arguments->migrations, "The folder with the migrations")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("QUERIES", arguments->queries, "Folders with .sql files, also in folders below")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_flag("--json", arguments->as_json, "JSON alone on standard output");
  command->callback(
      [arguments, &run] { run = [arguments](Console& console) { return check_sql(*arguments, console); }; });
}

}  // namespace sqlane::cli
