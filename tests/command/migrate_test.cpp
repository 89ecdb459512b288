#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sqlane/sqlane.hpp>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "cli/interruption.hpp"
#include "cli/migration_report.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;
using sqlane::testing::mentions;
using sqlane::testing::TemporaryFolder;
using sqlane::testing::write_bytes;

class MigrateCommand : public ::testing::Test {
 protected:
  MigrateCommand() {
    fs::create_directory(folder_ / "migrations");
    add("0001_create_note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT);");
    add("0001_create_note.down.sql", "DROP TABLE note;");
    add("0002_add_body.sql", "ALTER TABLE note ADD COLUMN body TEXT;");
    add("0002_add_body.down.sql", "ALTER TABLE note DROP COLUMN body;");
  }

  void add(const std::string& name, const std::string& text) const { write_bytes(folder_ / "migrations" / name, text); }
  [[nodiscard]] Outcome migrate(const std::string& what, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"migrate", what, database_.string(), migrations_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  [[nodiscard]] int version() const {
    const Database db = Database::open(database_, {.mode = OpenMode::read_only});
    return db.query_one<int>("PRAGMA user_version");
  }

  TemporaryFolder folder_;
  const fs::path database_ = folder_ / "app.db";
  const fs::path migrations_ = folder_ / "migrations";
};

TEST_F(MigrateCommand, GoesUpAndDown) {
  const Outcome up = migrate("up");
  EXPECT_EQ(up.code, kExitSuccess) << up.err;
  EXPECT_TRUE(mentions(up.out, "0002_add_body.sql")) << up.out;
  EXPECT_TRUE(mentions(up.out, "from version 0 to 2")) << up.out;
  EXPECT_TRUE(mentions(migrate("up").out, "nothing to do: at version 2"));
  EXPECT_EQ(migrate("down").code, kExitSuccess);
  EXPECT_EQ(version(), 1);
  EXPECT_EQ(migrate("to", {"2"}).code, kExitSuccess);
  EXPECT_EQ(version(), 2);
  EXPECT_EQ(migrate("down", {"--steps", "2"}).code, kExitSuccess);
  EXPECT_EQ(version(), 0);
  const Outcome too_far = migrate("down");
  EXPECT_EQ(too_far.code, kExitUsage);
  EXPECT_TRUE(mentions(too_far.err, "the database is at version 0, so there are no 1 steps to undo")) << too_far.err;
}

TEST_F(MigrateCommand, ShowsWhatADatabaseHas) {
  EXPECT_EQ(migrate("to", {"1"}).code, kExitSuccess);
  const Outcome status = migrate("status");
  EXPECT_EQ(status.code, kExitFindings);
  EXPECT_TRUE(mentions(status.out, "      1  create_note  applied   ")) << status.out;
  EXPECT_TRUE(mentions(status.out, "      2  add_body     pending   ")) << status.out;
  EXPECT_TRUE(mentions(status.out, "at version 1 of 2: 1 to apply")) << status.out;
  EXPECT_EQ(migrate("up").code, kExitSuccess);
  EXPECT_EQ(migrate("status").code, kExitSuccess);

  add("0002_add_body.sql", "ALTER TABLE note ADD COLUMN text TEXT;");
  const auto json = nlohmann::json::parse(migrate("status", {"--json"}).out);
  EXPECT_EQ(json["version"], 2);
  EXPECT_TRUE(mentions(json["refusal"].get<std::string>(), "0002_add_body.sql")) << json["refusal"];
  EXPECT_EQ(migrate("up").code, kExitFailure);
}

TEST_F(MigrateCommand, PrintsWhatItWouldExecute) {
  const Outcome plan = migrate("up", {"--dry-run"});
  EXPECT_EQ(plan.out,
            "-- 0001_create_note.sql, up\nCREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT);\n"
            "-- 0002_add_body.sql, up\nALTER TABLE note ADD COLUMN body TEXT;\n");
  EXPECT_FALSE(fs::exists(database_)) << "a plan makes no database";
  EXPECT_EQ(migrate("up").code, kExitSuccess);
  EXPECT_EQ(migrate("up", {"--dry-run"}).out, "-- nothing to do\n");
  EXPECT_TRUE(
      mentions(migrate("to", {"0", "--dry-run"}).out, "-- 0001_create_note.down.sql, down\nDROP TABLE note;\n"));
  EXPECT_EQ(version(), 2);
}

TEST_F(MigrateCommand, CopiesBeforeAndSaysWhereTo) {
  EXPECT_EQ(migrate("to", {"1"}).code, kExitSuccess);
  const auto json = nlohmann::json::parse(migrate("up", {"--backup", folder_.path().string(), "--json"}).out);
  EXPECT_EQ(json["backup"], (folder_ / "app.v1.db").string());
  EXPECT_EQ(json["steps"].size(), 1U);
  EXPECT_TRUE(fs::exists(folder_ / "app.v1.db"));
}

TEST_F(MigrateCommand, NamesTheLineThatFailed) {
  add("0003_wrong.sql", "-- What goes wrong.\n\nDROP TABLE nowhere;");
  const Outcome up = migrate("up");
  EXPECT_EQ(up.code, kExitFailure);
  EXPECT_TRUE(mentions(up.err, "sqlane: 0003_wrong.sql: line 3: no such table: nowhere")) << up.err;
  EXPECT_EQ(version(), 2);
}

TEST_F(MigrateCommand, WarnsOfWhatWasWrongBefore) {
  add("0003_link.sql",
      "-- sqlane: no-key-check\nCREATE TABLE link (note REFERENCES note); INSERT INTO link VALUES (5)");
  EXPECT_EQ(migrate("up").code, kExitSuccess);
  add("0004_index.sql", "CREATE INDEX links ON link (note)");
  const Outcome up = migrate("up");
  EXPECT_EQ(up.code, kExitSuccess) << up.err;
  EXPECT_TRUE(mentions(up.out, "warning: 1 row refers to nothing, as it did before (link row 1 to no row of note)"))
      << up.out;
  add("0005_index.sql", "CREATE INDEX more_links ON link (note)");
  EXPECT_EQ(nlohmann::json::parse(migrate("up", {"--json"}).out)["warnings"].size(), 1U);
}

TEST_F(MigrateCommand, DoesNotApplyADraft) {
  EXPECT_EQ(run({"migrate", "new", migrations_.string(), "draft", "--down"}).code, kExitSuccess);
  const Outcome up = migrate("up");
  EXPECT_EQ(up.code, kExitFailure);
  EXPECT_TRUE(mentions(up.err, "draft without a statement")) << up.err;
  EXPECT_FALSE(fs::exists(database_));
}

TEST_F(MigrateCommand, VerifiesAFolder) {
  const Outcome well = run({"migrate", "verify", migrations_.string()});
  EXPECT_EQ(well.code, kExitSuccess) << well.out;
  EXPECT_TRUE(mentions(well.out, "2 migrations: up, down and up again, all well")) << well.out;
  add("0002_add_body.down.sql", "SELECT 1;");
  const Outcome ill = run({"migrate", "verify", migrations_.string()});
  EXPECT_EQ(ill.code, kExitFindings);
  EXPECT_TRUE(mentions(ill.out, "body")) << ill.out;
}

TEST_F(MigrateCommand, VerifiesTheProjectsOwn) {
  const Outcome own = run({"migrate", "verify", SQLANE_SOURCE_DIR "/migrations"});
  EXPECT_EQ(own.code, kExitSuccess) << own.out;
}

TEST_F(MigrateCommand, ComparesADatabaseWithWhatThereShouldBe) {
  EXPECT_EQ(migrate("up").code, kExitSuccess);
  EXPECT_EQ(migrate("diff").out, "no difference\n");
  {
    Database db = Database::open(database_);
    db.execute("CREATE INDEX by_hand ON note (title)");
  }
  const Outcome diff = migrate("diff");
  EXPECT_EQ(diff.code, kExitFindings);
  EXPECT_TRUE(mentions(diff.out, "by_hand")) << diff.out;
}

TEST_F(MigrateCommand, TakesOverADatabaseThatWasMadeOtherwise) {
  {
    Database db = Database::open(database_);
    db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  }
  const Outcome refused = migrate("up");
  EXPECT_EQ(refused.code, kExitFailure);
  EXPECT_TRUE(mentions(refused.err, "baseline")) << refused.err;
  EXPECT_EQ(migrate("baseline", {"1"}).code, kExitSuccess);
  EXPECT_EQ(migrate("up").code, kExitSuccess);
  EXPECT_EQ(migrate("diff").out, "no difference\n");
}

TEST_F(MigrateCommand, AdoptsMigratesAndVerifiesProjsDatabase) {
  const fs::path proj = "/usr/share/proj/proj.db";
  if (!fs::exists(proj)) GTEST_SKIP() << "the package proj-data is not there";
  fs::copy_file(proj, database_);
  const auto own = [&](const std::string& what, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"migrate", what, database_.string(), SQLANE_SOURCE_DIR "/migrations"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  EXPECT_EQ(own("up").code, kExitFailure) << "nobody has said what it has";
  EXPECT_EQ(own("baseline", {"0"}).code, kExitSuccess);
  EXPECT_EQ(own("up").code, kExitSuccess);
  EXPECT_EQ(own("status").code, kExitSuccess);
  EXPECT_EQ(own("diff").code, kExitFindings) << "PROJ's own tables are none of ours";
  EXPECT_EQ(own("to", {"0"}).code, kExitSuccess);
  EXPECT_EQ(own("up").code, kExitSuccess);
  const Database db = Database::open(database_, {.mode = OpenMode::read_only});
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM visit"), 0);
  EXPECT_GT(db.query_one<int>("SELECT count(*) FROM crs_view"), 1000);
}

TEST_F(MigrateCommand, MakesTheNextFile) {
  const Outcome made = run({"migrate", "new", migrations_.string(), "Add index", "--down"});
  EXPECT_EQ(made.code, kExitSuccess) << made.err;
  EXPECT_EQ(made.out, (migrations_ / "0003_add_index.sql").string() + "\n" +
                          (migrations_ / "0003_add_index.down.sql").string() + "\n");
  EXPECT_TRUE(fs::exists(migrations_ / "0003_add_index.down.sql"));
  EXPECT_EQ(run({"migrate", "new", (folder_ / "other").string(), "first"}).out,
            (folder_ / "other/0001_first.sql").string() + "\n");
  const Outcome refused = run({"migrate", "new", migrations_.string(), "a/b"});
  EXPECT_EQ(refused.code, kExitUsage);
  EXPECT_TRUE(mentions(refused.err, "letters, digits and underscores")) << refused.err;
}

TEST_F(MigrateCommand, DrawsABarOnATerminal) {
  const Outcome up = run_with({.is_terminal = true}, {"migrate", "up", database_.string(), migrations_.string()});
  EXPECT_TRUE(mentions(up.out, "\r\033[K[")) << up.out;
  EXPECT_TRUE(mentions(up.out, "0002_add_body.sql: statement 1 of 1")) << up.out;
}

// A name that was typed wrong makes no file.
TEST(MigrationReports, SayNothingOfWhatIsNothing) {
  const MigrationStep step{.version = 1, .file = "0001_it.sql", .statements = {"SELECT 1", "SELECT 2"}};
  MigrationProgress progress{.step = step, .statement_number = 2};
  EXPECT_EQ(format_progress(progress), "0001_it.sql: statement 2 of 2");
  progress.bytes_written = 2000;
  progress.elapsed = std::chrono::milliseconds(1500);
  EXPECT_EQ(format_progress(progress), "0001_it.sql: statement 2 of 2, 2.0 kB, 1.50 s");
  progress.phase = MigrationPhase::backup;
  EXPECT_EQ(format_progress(progress), "0001_it.sql: copying, 2.0 kB, 1.50 s");
  progress.phase = MigrationPhase::committing;
  EXPECT_EQ(format_progress(progress), "0001_it.sql: committing, 1.50 s");
}

TEST_F(MigrateCommand, MakesNoDatabaseForWhatCannotBeDoneToANewOne) {
  for (const auto& [what, more] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"down", {}}, {"down", {"--dry-run"}}, {"to", {"3"}}}) {
    EXPECT_EQ(migrate(what, more).code, what == "down" ? kExitUsage : kExitFailure) << what;
    EXPECT_FALSE(fs::exists(database_)) << what;
  }
  EXPECT_EQ(migrate("to", {"0"}).code, kExitSuccess);
}

TEST_F(MigrateCommand, VerifiesNoFolderWithoutMigrations) {
  fs::create_directory(folder_ / "empty");
  const Outcome outcome = run({"migrate", "verify", (folder_ / "empty").string()});
  EXPECT_EQ(outcome.code, kExitUsage);
  EXPECT_TRUE(mentions(outcome.err, "there is no migration in")) << outcome.err;
}

TEST_F(MigrateCommand, RefusesNumbersThatMakeNoSenseInOneShortLine) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--steps", "0"}, {"--steps", "3000000000"}}) {
    const Outcome outcome = migrate("down", more);
    EXPECT_EQ(outcome.code, kExitUsage);
    EXPECT_LT(outcome.err.size(), 150U) << outcome.err;
  }
}

// Presses Ctrl-C, once, when what is written begins the second step.
class Impatient final : public std::stringbuf {
 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    const std::streamsize written = std::stringbuf::xsputn(text, size);
    if (!has_pressed_ && str().find("0003_endless") != std::string::npos) {
      has_pressed_ = true;
      ::kill(::getpid(), SIGINT);
    }
    return written;
  }

 private:
  bool has_pressed_ = false;
};

TEST_F(MigrateCommand, EndsInterruptedWithTheStepsThatAreWhole) {
  add("0003_endless.sql",
      "CREATE TABLE counted AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM "
      "n;");
  Impatient buffer;
  std::ostream out(&buffer);
  std::ostringstream err;
  Console console{out, err, true};  // a terminal, which is told of every step
  const std::string database = database_.string();
  const std::string folder = migrations_.string();
  const char* const argv[] = {"sqlane", "migrate", "up", database.c_str(), folder.c_str()};
  EXPECT_EQ(run_command(5, argv, console), kExitInterrupted);
  EXPECT_TRUE(mentions(err.str(), "sqlane: interrupted; the steps before are done")) << err.str();
  EXPECT_EQ(version(), 2);
}

TEST_F(MigrateCommand, SaysWhenThereIsNoDatabase) {
  const Outcome status = migrate("status");
  EXPECT_EQ(status.code, kExitFailure);
  EXPECT_TRUE(mentions(status.err, "No such file or directory")) << status.err;
  EXPECT_EQ(run({"migrate", "verify", (folder_ / "nowhere").string()}).code, kExitFailure);
}

}  // namespace
}  // namespace sqlane::cli
