#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/console.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/sample_notes.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::contents_of;
using testing::dump_of;
using testing::fill_with_notes;
using testing::mentions;
using testing::TemporaryFolder;
using testing::write_bytes;

class Copying : public ::testing::Test {
 protected:
  Copying() {
    Database db = Database::open(file);
    fill_with_notes(db, 300, "own");
    db.close();
  }

  TemporaryFolder folder;
  fs::path file = folder / "app.db";
  fs::path copy = folder / "copy.db";
};

TEST_F(Copying, BackupMakesACopyAndChangesNothingElse) {
  const std::string before = bytes_of(file);
  const Outcome outcome = run({"backup", file, copy});
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(mentions(outcome.out, "100 %")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "checking")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "copy.db is a copy of")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "checked and synced")) << outcome.out;
  EXPECT_EQ(bytes_of(file), before);
  EXPECT_EQ(contents_of(folder.path()).size(), 2U) << "the database and its copy, nothing beside them";
  EXPECT_EQ(dump_of(copy), dump_of(file));
}

TEST_F(Copying, BackupNeverReplacesAFile) {
  write_bytes(copy, "somebody's");
  const Outcome outcome = run({"backup", file, copy});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_EQ(outcome.err, "sqlane: cannot make \"" + copy.string() + "\": there is a file already\n");
  EXPECT_EQ(bytes_of(copy), "somebody's");
}

TEST_F(Copying, TellsInJsonAlone) {
  const Outcome made = run({"backup", file, copy, "--json", "--no-verify"});
  ASSERT_EQ(made.code, kExitSuccess) << made.err;
  const auto json = nlohmann::json::parse(made.out);
  EXPECT_EQ(json["file"], file.string());
  EXPECT_EQ(json["to"], copy.string());
  EXPECT_EQ(json["bytes"], fs::file_size(copy));
  EXPECT_EQ(json["verified"], false);
  const Outcome restored = run({"restore", file, copy, "--json"});
  ASSERT_EQ(restored.code, kExitSuccess) << restored.err;
  EXPECT_EQ(nlohmann::json::parse(restored.out)["from"], copy.string());
  EXPECT_EQ(nlohmann::json::parse(restored.out)["verified"], true);
}

// What was done has been done, whatever the path is called.
TEST_F(Copying, TellsInJsonOfPathsThatAreNotUtf8) {
  const fs::path odd = folder / "copy\xff.db";
  const Outcome made = run({"backup", file, odd, "--json"});
  ASSERT_EQ(made.code, kExitSuccess) << made.err;
  EXPECT_EQ(nlohmann::json::parse(made.out)["bytes"], fs::file_size(odd));
  const Outcome restored = run({"restore", file, odd, "--json"});
  ASSERT_EQ(restored.code, kExitSuccess) << restored.err;
  EXPECT_EQ(nlohmann::json::parse(restored.out)["file"], file.string());
}

TEST_F(Copying, RestoresNothingFromAnEmptyFile) {
  write_bytes(copy, "");
  for (const fs::path& to : {file, folder / "new.db"}) {
    const Outcome outcome = run({"restore", to, copy});
    EXPECT_EQ(outcome.code, kExitFailure) << outcome.out;
    EXPECT_TRUE(mentions(outcome.err, "copy.db\": it is empty\n")) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(folder / "new.db"));
}

TEST_F(Copying, RestoreReplacesWhatIsThere) {
  ASSERT_EQ(run({"backup", file, copy}).code, kExitSuccess);
  const std::string dump = dump_of(file);
  {
    Database db = Database::open(file);
    db.execute("DROP TABLE note");
  }
  const Outcome outcome = run({"restore", file, copy});
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_TRUE(mentions(outcome.out, "app.db has what")) << outcome.out;
  EXPECT_EQ(dump_of(file), dump);
}

// With the page size that the copy has.
TEST_F(Copying, RestoreMakesADatabaseThatIsNotThere) {
  {
    Database db = Database::in_memory();
    db.execute("PRAGMA user_version = 5");
    db.backup_to(copy);
  }
  fs::remove(file);
  const Outcome outcome = run({"restore", file, copy});
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_EQ(testing::run_in_shell(file, "PRAGMA user_version").output, "5\n");
}

TEST_F(Copying, RestoreSaysWhatToDoAboutAFileThatIsBroken) {
  ASSERT_EQ(run({"backup", file, copy}).code, kExitSuccess);
  write_bytes(file, std::string(10'000, 'x'));
  const Outcome outcome = run({"restore", file, copy});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_TRUE(mentions(outcome.err, "move this one away")) << outcome.err;
  EXPECT_EQ(bytes_of(file), std::string(10'000, 'x'));
}

TEST_F(Copying, FailsWithOneLineWhereNothingCanBeCopied) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"backup", folder / "missing.db", copy},
                                                    {"restore", file, folder / "missing.db"},
                                                    {"restore", folder / "new.db", folder / "missing.db"},
                                                    {"restore", file, file}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, arguments[1] == arguments[2] ? kExitUsage : kExitFailure);
    EXPECT_EQ(outcome.err.rfind("sqlane: ", 0), 0U) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  EXPECT_EQ(contents_of(folder.path()).size(), 1U);
}

TEST_F(Copying, ShowsABarOnATerminal) {
  const Outcome outcome = run_with({.is_terminal = true}, {"backup", file, copy});
  EXPECT_TRUE(mentions(outcome.out, "[==============================] 100 %")) << outcome.out;
  EXPECT_TRUE(mentions(outcome.out, "\r\033[K" + copy.string() + " is a copy of")) << outcome.out;
}

}  // namespace
}  // namespace sqlane::cli
