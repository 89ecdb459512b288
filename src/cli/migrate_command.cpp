#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <string>

#include "cli/findings.hpp"
#include "cli/format.hpp"
#include "cli/interruption.hpp"
#include "cli/looking_first.hpp"
#include "cli/migration_report.hpp"
#include "cli/new_migration.hpp"
#include "cli/opening.hpp"
#include "cli/screen.hpp"
#include "cli/subcommand.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

struct MigrateArguments {
  fs::path database;
  fs::path folder;
  std::string name;
  std::int32_t version = 0;
  std::int32_t steps = 1;
  fs::path backup_folder;
  std::optional<std::int32_t> application_id;
  bool is_all_in_one = false;
  bool is_dry_run = false;
  bool has_down = false;
  bool as_json = false;
  Sharing sharing = Sharing::usual;
};

void print(Console& console, const MigrateArguments& arguments, const std::string& text,
           const std::function<nlohmann::json()>& json) {
  console.out << (arguments.as_json ? format_json(json()) + "\n" : text);
}

int make(const MigrateArguments& arguments, Console& console) {
  const auto made = make_migration(arguments.folder, arguments.name, arguments.has_down ? WithDown::yes : WithDown::no);
  for (const fs::path& path : made) console.out << printable(path.string()) << "\n";
  return kExitSuccess;
}

int status(const MigrateArguments& arguments, Console& console) {
  const Migrations migrations = Migrations::from_folder(arguments.folder);
  const Database db = open_to_read(arguments.database, {.readers = 1}, arguments.sharing);
  const MigrationStatus status = migration_status(db, migrations);
  print(console, arguments, format_status(console, status, migrations), [&] { return to_json(status); });
  return status.refusal || !status.pending.empty() ? kExitFindings : kExitSuccess;
}

// A database that is not there yet is planned for in memory: what cannot be done to a new one makes none.
Database open_to_plan(const fs::path& file, Sharing sharing) {
  if (!fs::exists(file)) return Database::in_memory();
  return open_to_read(file, {.readers = 1}, sharing);
}

// A copy that does not pass its check ends the migration before its first step.
void expect_sound_copy(const Database& db, const MigrateOptions& options) {
  if (options.backup_folder.empty() || is_in_wal_mode(db)) return;
  const IntegrityReport report = check_integrity(db);
  if (!report.damage.empty()) throw CorruptError("the database is damaged: " + report.damage.front());
  const auto is_told_by_copy = [](const std::string& line) { return !line.starts_with("CHECK "); };
  const auto found = std::ranges::find_if(report.violations, is_told_by_copy);
  if (found != report.violations.end()) {
    throw CorruptError("the database has values that its columns do not allow: " + *found +
                       "; the pages are whole: UPDATE these rows, or migrate without --backup");
  }
}

// Goes to `target`, which may depend on where the database is.
int migrate(const MigrateArguments& arguments, Console& console,
            const std::function<std::optional<std::int32_t>(const MigrationStatus&)>& target) {
  const Migrations migrations = Migrations::from_folder(arguments.folder);
  MigrateOptions options{.atomicity = arguments.is_all_in_one ? Atomicity::all : Atomicity::each,
                         .backup_folder = arguments.backup_folder,
                         .application_id = arguments.application_id};
  const auto plan = [&](const Database& db) {
    options.target = target(migration_status(db, migrations));
    return plan_migrations(db, migrations, options);
  };
  if (arguments.is_dry_run) {
    const auto steps = plan(open_to_plan(arguments.database, arguments.sharing));
    print(console, arguments, format_plan(steps), [&] { return to_json(std::span(steps)); });
    return kExitSuccess;
  }
  if (const auto db = open_to_look([&] { return open_to_plan(arguments.database, arguments.sharing); })) {
    if (!plan(*db).empty()) expect_sound_copy(*db, options);
  }
  Database db = open_to_write(arguments.database, {.mode = OpenMode::create, .readers = 1}, arguments.sharing);
  options.target = target(migration_status(db, migrations));
  const Interruption interruption;
  MigrationReport report;
  try {
    ProgressLine line(console);
    options.stop = interruption.token();
    if (!arguments.as_json) {
      options.on_progress = [&](const MigrationProgress& progress) {
        line.show(fraction_of(progress), format_progress(progress));
      };
    }
    report = db.migrate(migrations, options);
  } catch (const InterruptedError& error) {
    if (!interruption.token().stop_requested()) throw;
    console.err << "sqlane: interrupted; the steps before are done: " << printable_lines(error.what()) << "\n";
    return kExitInterrupted;
  }
  print(console, arguments, format_report(console, report), [&] { return to_json(report); });
  db.close();
  return kExitSuccess;
}

int up(const MigrateArguments& arguments, Console& console) {
  return migrate(arguments, console, [](const MigrationStatus&) { return std::optional<std::int32_t>(); });
}

int down(const MigrateArguments& arguments, Console& console) {
  return migrate(arguments, console, [&](const MigrationStatus& status) {
    if (arguments.steps > status.version) {
      throw UsageError(fmt::format("the database is at version {}, so there are no {} steps to undo", status.version,
                                   arguments.steps));
    }
    return std::optional(status.version - arguments.steps);
  });
}

int to(const MigrateArguments& arguments, Console& console) {
  return migrate(arguments, console, [&](const MigrationStatus&) { return std::optional(arguments.version); });
}

int verify(const MigrateArguments& arguments, Console& console) {
  const Migrations migrations = Migrations::from_folder(arguments.folder);
  if (migrations.empty()) throw UsageError("there is no migration in the folder \"" + arguments.folder.string() + "\"");
  const MigrationVerification verification = verify_migrations(migrations);
  std::string text = format_findings(verification);
  if (verification.is_clean()) {
    text += paint(console, Color::green,
                  fmt::format("{} migrations: up, down and up again, all well", migrations.list().size())) +
            "\n";
  }
  print(console, arguments, text, [&] { return to_json(verification); });
  return verification.is_clean() ? kExitSuccess : kExitFindings;
}

int diff(const MigrateArguments& arguments, Console& console) {
  const Schema expected = schema_of(Migrations::from_folder(arguments.folder));
  const Database db = open_to_read(arguments.database, {.readers = 1}, arguments.sharing);
  const auto differences = compare_schemas(expected, read_schema(db));
  print(console, arguments, differences.empty() ? "no difference\n" : format_findings(std::span(differences)),
        [&] { return to_json(std::span(differences)); });
  return differences.empty() ? kExitSuccess : kExitFindings;
}

int adopt(const MigrateArguments& arguments, Console& console) {
  const Migrations migrations = Migrations::from_folder(arguments.folder);
  const auto open = [&](OpenMode mode) {
    return open_to_write(arguments.database, {.mode = mode, .readers = 1}, arguments.sharing);
  };
  if (const auto db = open_to_look([&] { return open(OpenMode::read_only); })) {
    check_baseline(*db, migrations, arguments.version);
  }
  Database db = open(OpenMode::existing);
  baseline(db, migrations, arguments.version);
  const MigrationStatus status = migration_status(db, migrations);
  print(console, arguments, format_status(console, status, migrations), [&] { return to_json(status); });
  db.close();
  return kExitSuccess;
}

// One of the subcommands, each with arguments of its own.
class Subcommand {
 public:
  Subcommand(CLI::App& app, Run& run, const char* name, const char* description, const char* example,
             int (*work)(const MigrateArguments&, Console&))
      : command_(*app.add_subcommand(name, description)) {
    command_.footer(std::string("Example: sqlane migrate ") + example);
    command_.callback([arguments = arguments_, &run, work] {
      run = [arguments, work](Console& console) { return work(*arguments, console); };
    });
  }

  Subcommand& database() {
    command_.add_option("DATABASE", arguments_->database, "The database file")->required();
    add_exclusive(command_, arguments_->sharing);
    return *this;
  }
  Subcommand& folder() {
    command_.add_option("FOLDER", arguments_->folder, "The migrations: files as 0001_create_visit.sql")->required();
    return *this;
  }
  Subcommand& json() {
    command_.add_flag("--json", arguments_->as_json, "JSON alone on standard output");
    return *this;
  }
  Subcommand& version(const char* description) {
    command_.add_option("VERSION", arguments_->version, description)
        ->required()
        ->check(CLI::Range(0, std::numeric_limits<std::int32_t>::max()));
    return *this;
  }
  // What those that migrate have in common.
  Subcommand& running() {
    command_.add_option("--backup", arguments_->backup_folder, "Copies the database into this folder before");
    command_.add_flag("--all-in-one", arguments_->is_all_in_one, "All steps in one transaction instead of one each");
    command_.add_option("--application-id", arguments_->application_id,
                        "Marks the file with this number; one that has another is refused");
    command_.add_flag("--dry-run", arguments_->is_dry_run, "Prints what would be executed, and changes nothing");
    return json();
  }
  [[nodiscard]] CLI::App& command() { return command_; }
  [[nodiscard]] MigrateArguments& arguments() { return *arguments_; }

 private:
  std::shared_ptr<MigrateArguments> arguments_ = std::make_shared<MigrateArguments>();
  CLI::App& command_;
};

}  // namespace

void add_migrate(CLI::App& app, Run& run) {
  CLI::App& command = *app.add_subcommand("migrate", "Brings the schema of a database from one version to another.");
  command.require_subcommand(1);
  command.footer("Example: sqlane migrate up app.db migrations");

  Subcommand added(command, run, "new", "Makes the file of the next migration.", "new migrations add_index --down",
                   &make);
  added.folder();
  added.command().add_option("NAME", added.arguments().name, "What it does, as in add_index")->required();
  added.command().add_flag("--down", added.arguments().has_down, "Also the file that undoes it");

  Subcommand(command, run, "status", "Shows which migrations a database has; exits with 3 if not all.",
             "status app.db migrations", &status)
      .database()
      .folder()
      .json();
  Subcommand(command, run, "up", "Applies all that the database does not have.",
             "up app.db migrations --backup backups", &up)
      .database()
      .folder()
      .running();
  Subcommand undo(command, run, "down", "Undoes the newest.", "down app.db migrations --steps 2", &down);
  undo.database().folder().running();
  undo.command()
      .add_option("--steps", undo.arguments().steps, "How many")
      ->check(CLI::Range(1, std::numeric_limits<std::int32_t>::max()))
      ->capture_default_str();
  Subcommand(command, run, "to", "Goes up or down to a version.", "to app.db migrations 3 --dry-run", &to)
      .database()
      .folder()
      .version("The version to go to; 0 undoes all")
      .running();
  Subcommand(command, run, "verify", "Applies all to a database in memory, undoes them, and applies them again.",
             "verify migrations", &verify)
      .folder()
      .json();
  Subcommand(command, run, "diff", "Compares a database with what all migrations would make.", "diff app.db migrations",
             &diff)
      .database()
      .folder()
      .json();
  Subcommand(command, run, "baseline", "Says which migrations a database has that was made or mended otherwise.",
             "baseline app.db migrations 3", &adopt)
      .database()
      .folder()
      .version("Up to this one; 0 for none")
      .json();
}

}  // namespace sqlane::cli
