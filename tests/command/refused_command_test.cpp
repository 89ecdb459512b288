#include <algorithm>
#include <filesystem>
#include <functional>
#include <ostream>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/folder_entries.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

// A command that refuses leaves all files as they were. So a database of another program, which is in DELETE mode, is
// not switched to write-ahead logging.
namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;
using sqlane::testing::beside;
using sqlane::testing::bytes_of;
using sqlane::testing::Contents;
using sqlane::testing::Entries;
using sqlane::testing::entries_of;
using sqlane::testing::expect_same_entries;
using sqlane::testing::ForeignConnection;
using sqlane::testing::mentions;
using sqlane::testing::TemporaryFolder;
using sqlane::testing::write_bytes;

struct RefusedCommand {
  const char* name;
  std::function<void(const fs::path& folder)> make;
  std::vector<std::string> arguments;  // '@' stands for the folder
  std::string_view reason;
};

std::ostream& operator<<(std::ostream& out, const RefusedCommand& refused) { return out << refused.name; }

std::vector<std::string> arguments_in(const fs::path& folder, std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (argument.starts_with('@')) argument = (folder / argument.substr(1)).string();
  }
  return arguments;
}

void make_foreign(const fs::path& folder, const std::string& before = "") {
  ForeignConnection(folder / "app.db")
      .run("PRAGMA synchronous=OFF; " + before +
           "; CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT); INSERT INTO note (title) VALUES ('first')");
}

void add_migration(const fs::path& folder, const std::string& name, const std::string& text) {
  fs::create_directory(folder / "migrations");
  write_bytes(folder / "migrations" / name, text);
}

// Has migrated to version 2 of 3, of which the second cannot be undone.
void make_migrated(const fs::path& folder) {
  add_migration(folder, "0001_create_note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  add_migration(folder, "0001_create_note.down.sql", "DROP TABLE note");
  add_migration(folder, "0002_add_body.sql", "ALTER TABLE note ADD COLUMN body TEXT");
  {
    Database db = Database::open(folder / "app.db", {.durability = Durability::normal});
    db.migrate(Migrations::from_folder(folder / "migrations"));
    db.close();
  }
  add_migration(folder, "0003_index.sql", "CREATE INDEX titles ON note (title)");
  ForeignConnection(folder / "app.db").run("PRAGMA synchronous=OFF; PRAGMA journal_mode=DELETE");
}

void make_with_backups(const fs::path& folder) {
  make_migrated(folder);
  fs::create_directory(folder / "backups");
}

void make_copy(const fs::path& folder, const std::string& before = "") {
  make_foreign(folder);
  ForeignConnection(folder / "copy.db")
      .run("PRAGMA synchronous=OFF; " + before + "; CREATE TABLE t (a); INSERT INTO t VALUES (hex(zeroblob(30000)))");
}

class RefusedCommands : public ::testing::TestWithParam<RefusedCommand> {};

TEST_P(RefusedCommands, LeaveAllAsItWas) {
  const TemporaryFolder folder;
  GetParam().make(folder.path());
  const fs::path database = folder / "app.db";
  constexpr std::size_t kFormatToWrite = 18;
  if (fs::exists(database) && fs::file_size(database) > 0) {
    ASSERT_EQ(bytes_of(database)[kFormatToWrite], 1) << "it is not in DELETE mode";
  }
  const Entries before = entries_of(folder.path(), Contents::read);
  const fs::path backups = folder / "backups";
  const Entries backups_before = fs::is_directory(backups) ? entries_of(backups, Contents::read) : Entries();
  const Outcome outcome = run(arguments_in(folder.path(), GetParam().arguments));
  EXPECT_TRUE(outcome.code == kExitFailure || outcome.code == kExitUsage) << outcome.code << outcome.out;
  EXPECT_TRUE(mentions(outcome.err, GetParam().reason)) << outcome.err;
  expect_same_entries(entries_of(folder.path(), Contents::read), before);
  if (fs::is_directory(backups)) expect_same_entries(entries_of(backups, Contents::read), backups_before);
}

INSTANTIATE_TEST_SUITE_P(
    Of, RefusedCommands,
    ::testing::Values(
        RefusedCommand{"MigratingWhatSomebodyElseMade",
                       [](const fs::path& folder) {
                         make_foreign(folder);
                         add_migration(folder, "0001_create_visit.sql", "CREATE TABLE visit (at TEXT)");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "sqlane migrate baseline"},
        RefusedCommand{"MigratingADatabaseOfANewerProgram",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         fs::remove(folder / "migrations/0003_index.sql");
                         fs::remove(folder / "migrations/0002_add_body.sql");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "update the program"},
        RefusedCommand{"MigratingWithoutMigrations",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         fs::remove_all(folder / "migrations");
                         fs::create_directory(folder / "migrations");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "the program's newest is 0"},
        RefusedCommand{
            "MigratingWithoutAFolder", make_migrated, {"migrate", "up", "@app.db", "@nowhere"}, "nowhere"},
        RefusedCommand{"MigratingWithAChangedMigration",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         add_migration(folder, "0002_add_body.sql", "ALTER TABLE note ADD COLUMN text TEXT");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "put it back as it was"},
        RefusedCommand{"MigratingWithATextThatHasNoEnd",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         add_migration(folder, "0003_index.sql", "CREATE INDEX titles ON note ('title");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "0003_index.sql"},
        RefusedCommand{"MigratingADirtyDatabase",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         ForeignConnection(folder / "app.db")
                             .run("UPDATE sqlane_migration SET state = 'running' WHERE version = 2");
                       },
                       {"migrate", "up", "@app.db", "@migrations"},
                       "without a transaction"},
        RefusedCommand{"MigratingAnotherProgramsDatabase",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         ForeignConnection(folder / "app.db").run("PRAGMA application_id = 77");
                       },
                       {"migrate", "up", "@app.db", "@migrations", "--application-id", "78"},
                       "is another program's"},
        RefusedCommand{"MarkingAnotherProgramsDatabase",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         fs::remove(folder / "migrations/0003_index.sql");
                         ForeignConnection(folder / "app.db").run("PRAGMA application_id = 77");
                       },
                       {"migrate", "up", "@app.db", "@migrations", "--application-id", "78"},
                       "is another program's"},
        RefusedCommand{"MigratingInOneTransactionWhatTakesNone",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         add_migration(folder, "0004_vacuum.sql", "-- sqlane: no-transaction\nVACUUM");
                       },
                       {"migrate", "up", "@app.db", "@migrations", "--all-in-one"},
                       "0004_vacuum.sql: it is marked to run without a transaction"},
        RefusedCommand{"MigratingWithoutAPlaceForTheCopy",
                       make_migrated,
                       {"migrate", "up", "@app.db", "@migrations", "--backup", "@nowhere"},
                       "nowhere"},
        RefusedCommand{"MigratingWithAFolderInPlaceOfTheCopy",
                       [](const fs::path& folder) {
                         make_with_backups(folder);
                         fs::create_directory(folder / "backups/app.v2.db");
                       },
                       {"migrate", "up", "@app.db", "@migrations", "--backup", "@backups"},
                       "it is a directory"},
        RefusedCommand{"MigratingWithACopyOfWhatIsDamaged",
                       [](const fs::path& folder) {
                         make_with_backups(folder);
                         ForeignConnection(folder / "app.db")
                             .run("PRAGMA writable_schema=ON; INSERT INTO note (title) VALUES (NULL); UPDATE "
                                  "sqlite_schema SET sql = replace(sql, 'title TEXT', 'title TEXT NOT NULL') WHERE "
                                  "name = 'note'");
                       },
                       {"migrate", "up", "@app.db", "@migrations", "--backup", "@backups"},
                       "NULL value in note.title"},
        RefusedCommand{"UndoingMoreThanThereIs",
                       make_migrated,
                       {"migrate", "down", "@app.db", "@migrations", "--steps", "3"},
                       "no 3 steps to undo"},
        RefusedCommand{"UndoingWhatCannotBeUndone",
                       make_migrated,
                       {"migrate", "down", "@app.db", "@migrations"},
                       "does not say how to undo it"},
        RefusedCommand{"GoingToAVersionThatIsNotThere",
                       make_migrated,
                       {"migrate", "to", "@app.db", "@migrations", "9"},
                       "no version 9"},
        RefusedCommand{"TakingOverWithAVersionThatIsNotThere",
                       make_migrated,
                       {"migrate", "baseline", "@app.db", "@migrations", "9"},
                       "no migration 9"},
        RefusedCommand{"TakingOverWithWhatContradictsTheRecord",
                       make_migrated,
                       {"migrate", "baseline", "@app.db", "@migrations", "1"},
                       "is recorded as applied"},
        RefusedCommand{"TakingOverWithAChangedMigration",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         add_migration(folder, "0002_add_body.sql", "ALTER TABLE note ADD COLUMN text TEXT");
                       },
                       {"migrate", "baseline", "@app.db", "@migrations", "2"},
                       "restore the file as it was"},
        RefusedCommand{"ADemoWithAnotherProgramsDatabase", [](const fs::path& folder) { make_foreign(folder); },
                       {"demo", "@app.db"},
                       "has no crs_view"},
        RefusedCommand{"ADemoWithMigrationsOfItsOwn",
                       [](const fs::path& folder) {
                         make_migrated(folder);
                         ForeignConnection(folder / "app.db").run("CREATE VIEW crs_view AS SELECT 1");
                       },
                       {"demo", "@app.db"},
                       "0001_create_"},
        RefusedCommand{"RestoringFromNothing", [](const fs::path& folder) { make_foreign(folder); },
                       {"restore", "@app.db", "@copy.db"},
                       "No such file"},
        RefusedCommand{"RestoringFromItself", [](const fs::path& folder) { make_foreign(folder); },
                       {"restore", "@app.db", "@app.db"},
                       "is the database itself"},
        RefusedCommand{"RestoringFromAnEmptyFile",
                       [](const fs::path& folder) {
                         make_foreign(folder);
                         write_bytes(folder / "copy.db", "");
                       },
                       {"restore", "@app.db", "@copy.db"},
                       "it is empty"},
        RefusedCommand{"RestoringFromALetter",
                       [](const fs::path& folder) {
                         make_foreign(folder);
                         write_bytes(folder / "copy.db", std::string(5000, 'x'));
                       },
                       {"restore", "@app.db", "@copy.db"},
                       "not a database"},
        RefusedCommand{"RestoringFromWhatIsDamaged",
                       [](const fs::path& folder) {
                         make_copy(folder);
                         std::string bytes = bytes_of(folder / "copy.db");
                         std::fill(bytes.begin() + 4096, bytes.begin() + 8192, '\x5a');
                         write_bytes(folder / "copy.db", bytes);
                       },
                       {"restore", "@app.db", "@copy.db"},
                       "is damaged"},
        RefusedCommand{"RestoringFromASchemaThatCannotBeRead",
                       [](const fs::path& folder) {
                         make_copy(folder, "CREATE VIEW v AS SELECT max(1, 2 )");
                         std::string bytes = bytes_of(folder / "copy.db");
                         bytes.replace(bytes.find("max(1, 2 )"), 10, "max 1,, 2 ");
                         write_bytes(folder / "copy.db", bytes);
                       },
                       {"restore", "@app.db", "@copy.db"},
                       "malformed database schema"},
        RefusedCommand{"RestoringPagesOfAnotherSize",
                       [](const fs::path& folder) { make_copy(folder, "PRAGMA page_size = 1024"); },
                       {"restore", "@app.db", "@copy.db", "--no-verify"},
                       "it has pages of 1024 bytes"},
        RefusedCommand{"RestoringTextsOfAnotherEncoding",
                       [](const fs::path& folder) { make_copy(folder, "PRAGMA encoding = 'UTF-16le'"); },
                       {"restore", "@app.db", "@copy.db"},
                       "its texts are in UTF-16le"},
        RefusedCommand{"RestoringToAnEmptyFileFromALetter",
                       [](const fs::path& folder) {
                         write_bytes(folder / "app.db", "");
                         write_bytes(folder / "copy.db", std::string(5000, 'x'));
                       },
                       {"restore", "@app.db", "@copy.db"},
                       "not a database"},
        RefusedCommand{"RestoringToANewFileFromALetter",
                       [](const fs::path& folder) { write_bytes(folder / "copy.db", std::string(5000, 'x')); },
                       {"restore", "@app.db", "@copy.db"},
                       "not a database"}),
    [](const ::testing::TestParamInfo<RefusedCommand>& tested) { return std::string(tested.param.name); });

// To undo what a crash has left is what opening it is for; then there is nothing that could be left as it was.
TEST(MigratingAfterACrash, UndoesTheTransactionFirst) {
  const TemporaryFolder folder;
  make_migrated(folder.path());
  {
    ForeignConnection live(folder / "app.db");
    live.run("PRAGMA synchronous=OFF; PRAGMA cache_size=1; BEGIN; INSERT INTO note (title) SELECT hex(zeroblob(9999))");
    for (const char* part : {"", "-journal"}) {
      fs::copy_file(beside(folder / "app.db", part), beside(folder / "left.db", part));
    }
  }
  const std::vector<std::string> arguments{"migrate", "up", folder / "left.db", folder / "migrations"};
  std::vector<std::string> dry = arguments;
  dry.emplace_back("--dry-run");
  const Outcome refused = run(dry);
  EXPECT_EQ(refused.code, kExitFailure);
  EXPECT_TRUE(mentions(refused.err, "has not come to its end")) << refused.err;
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.err;
  const Database db = Database::open(folder / "left.db", {.mode = OpenMode::read_only});
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 0);
}

}  // namespace
}  // namespace sqlane::cli
