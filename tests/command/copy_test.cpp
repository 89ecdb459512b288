#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/sample_notes.hpp"
#include "support/temporary_folder.hpp"
#include "support/write_ahead_log.hpp"

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

// It copies what SQLite reads, and says what that is not.
TEST_F(Copying, SaysWhatADamagedLogKeepsBack) {
  const fs::path crashed = folder / "crashed.db";
  testing::leave_log(file, crashed, 20);
  testing::damage_frame(crashed, 5, 4096);
  const Outcome made = run({"backup", crashed, copy});
  EXPECT_EQ(made.code, kExitFindings) << made.out;
  EXPECT_TRUE(mentions(made.err, "crashed.db is damaged: 15 commits")) << made.err;
  EXPECT_EQ(testing::run_in_shell(copy, "SELECT count(*) FROM in_the_log").output, "5\n");
  const Outcome restored = run({"restore", folder / "new.db", crashed, "--json"});
  EXPECT_EQ(restored.code, kExitFindings);
  EXPECT_EQ(nlohmann::json::parse(restored.out)["commits_left_out"], 15);
}

TEST_F(Copying, SaysThatALogWithADamagedHeaderIsNotRead) {
  const fs::path crashed = folder / "crashed.db";
  testing::leave_log(file, crashed, 20);
  const fs::path log = testing::beside(crashed, "-wal");
  const std::string bytes = bytes_of(log);
  const auto with_change_at = [&](std::size_t at) {
    std::string changed = bytes;
    changed.at(at) = static_cast<char>(changed.at(at) ^ 0x55);
    return changed;
  };
  for (const std::string& now : {with_change_at(1), with_change_at(20), std::string(bytes.size(), '\0')}) {
    write_bytes(log, now);
    const Outcome made = run({"backup", crashed, copy});
    EXPECT_EQ(made.code, kExitFindings) << made.out;
    EXPECT_TRUE(mentions(made.err, "the header of the write-ahead log of", "what was committed last may be missing"))
        << made.err;
    EXPECT_EQ(testing::run_in_shell(copy, "SELECT count(*) FROM in_the_log").output, "0\n");
    EXPECT_TRUE(mentions(run({"stats", crashed}).out, "its header is damaged")) << run({"stats", crashed}).out;
    const Outcome restored = run({"restore", folder / "new.db", crashed, "--json"});
    EXPECT_EQ(restored.code, kExitFindings);
    EXPECT_EQ(nlohmann::json::parse(restored.out)["log_left_out"], true);
    EXPECT_EQ(bytes_of(log), now);
    fs::remove(copy);
    fs::remove(folder / "new.db");
  }
  write_bytes(log, bytes);
  EXPECT_EQ(run({"backup", crashed, copy}).code, kExitSuccess);
}

TEST_F(Copying, SaysWhyItCannotReadBesideATransactionLeftHalfWay) {
  const fs::path crashed = folder / "crashed.db";
  {
    testing::ForeignConnection other(file);
    other.run("PRAGMA journal_mode=DELETE; PRAGMA cache_size=2; BEGIN; UPDATE note SET title = 'half'");
    fs::copy_file(file, crashed);
    fs::copy_file(testing::beside(file, "-journal"), testing::beside(crashed, "-journal"));
  }
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"backup", crashed, copy},
                                                    {"restore", file, crashed},
                                                    {"restore", copy, crashed},
                                                    {"stats", crashed},
                                                    {"stats", crashed, "--watch", "--count", "1"},
                                                    {"migrate", "status", crashed, folder.path()},
                                                    {"migrate", "diff", crashed, folder.path()},
                                                    {"bench", crashed}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kExitFailure) << arguments[0];
    EXPECT_TRUE(mentions(outcome.err, "a transaction has not come to its end", "open it for writing once"))
        << arguments[0] << ": " << outcome.err;
  }
  EXPECT_EQ(testing::run_in_shell(crashed, "PRAGMA user_version").status, 0) << "as it says";
  EXPECT_EQ(run({"backup", crashed, copy}).code, kExitSuccess);
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

TEST_F(Copying, RestoreGivesAnEmptyFileThePagesOfTheCopy) {
  testing::ForeignConnection(copy).run("PRAGMA page_size = 1024; CREATE TABLE t (a); INSERT INTO t VALUES (7)");
  const fs::path empty = folder / "empty.db";
  write_bytes(empty, "");
  const Outcome outcome = run({"restore", empty, copy});
  EXPECT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_EQ(testing::run_in_shell(empty, "SELECT a FROM t; PRAGMA page_size").output, "7\n1024\n");
}

TEST_F(Copying, RestoreLeavesAnEmptyFileEmptyWhereTheCopyIsOfNoUse) {
  const fs::path empty = folder / "empty.db";
  std::string damaged = bytes_of(file);
  std::fill(damaged.begin() + 100'000, damaged.begin() + 130'000, '\x5a');
  for (const std::string& content : {damaged, std::string(), std::string(5000, 'x')}) {
    write_bytes(copy, content);
    write_bytes(empty, "");
    EXPECT_EQ(run({"restore", empty, copy}).code, kExitFailure);
    EXPECT_EQ(bytes_of(empty), "");
    EXPECT_EQ(contents_of(folder.path()).size(), 3U);
  }
}

TEST_F(Copying, RestoreSaysInTheShellsWordsWhereElseToRestore) {
  testing::ForeignConnection(copy).run("PRAGMA page_size = 1024; CREATE TABLE t (a)");
  const std::string before = bytes_of(file);
  const Outcome outcome = run({"restore", file, copy});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_TRUE(mentions(outcome.err, "it has pages of 1024 bytes", "restore it to a path where no file is"))
      << outcome.err;
  EXPECT_FALSE(mentions(outcome.err, "Options::")) << outcome.err;
  EXPECT_EQ(bytes_of(file), before);
}

TEST_F(Copying, RestoreLeavesAFileAloneThatAProgramHasLocked) {
  ASSERT_EQ(run({"backup", file, copy}).code, kExitSuccess);
  testing::ForeignConnection other(file);
  other.run("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
  const Outcome outcome = run({"restore", file, copy});
  EXPECT_EQ(outcome.code, kExitFailure);
  EXPECT_TRUE(mentions(outcome.err, "end that program first")) << outcome.err;
  EXPECT_FALSE(mentions(outcome.err, "move this one away")) << outcome.err;
}

// What a newer SQLite has written is no damage.
TEST_F(Copying, SaysOfAFileOfANewerEngineThatItIsNotDamaged) {
  testing::ForeignConnection(copy).run(
      "CREATE TABLE t (a); CREATE VIEW v AS SELECT group_concat(a, 'and more') FROM t");
  std::string bytes = bytes_of(copy);
  const std::string known = "a, 'and more'";
  const std::string sound = bytes;
  bytes.replace(bytes.find(known), known.size(), "a ORDER BY a ");
  write_bytes(copy, bytes);
  for (const fs::path& to : {file, folder / "new.db"}) {
    const Outcome outcome = run({"restore", to, copy});
    EXPECT_EQ(outcome.code, kExitFailure);
    EXPECT_TRUE(mentions(outcome.err, "newer or another engine", "syntax error")) << outcome.err;
    EXPECT_FALSE(mentions(outcome.err, "\" is damaged")) << outcome.err;
  }
  bytes = sound;
  bytes[47] = 5;
  write_bytes(copy, bytes);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"backup", copy, folder / "new.db"}, {"restore", file, copy}, {"stats", copy}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, kExitFailure);
    EXPECT_TRUE(mentions(outcome.err, "a newer or another engine has made it")) << outcome.err;
  }
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
