#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "run_command.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;

// Clears a terminal, and names it anew; the last one is a control character of two bytes.
const std::string kWild = "\033[2J\033]0;x\a\xc2\x9b";

class ControlCharacters : public ::testing::Test {
 protected:
  ControlCharacters() {
    fs::create_directory(place);
    fs::create_directory(migrations);
    fs::create_directory(queries);
    write(migrations / "0001_make.sql", "CREATE TABLE made (\"" + kWild + "\" INTEGER, a TEXT);\n-- " + kWild + "\n");
    write(queries / ("q" + kWild + ".sql"), "SELECT \"" + kWild + "\" FROM nowhere");
    testing::ForeignConnection other(file);
    other.run("CREATE TABLE \"" + kWild + "\" (a CHECK (a <> 1), b REFERENCES \"gone" + kWild + "\");");
    other.run("CREATE INDEX \"one" + kWild + "\" ON \"" + kWild + "\" (a)");
    other.run("CREATE INDEX \"two" + kWild + "\" ON \"" + kWild + "\" (a)");
    other.run("INSERT INTO \"" + kWild + "\" VALUES (2, 3)");
    other.run("CREATE VIEW \"view" + kWild + "\" AS SELECT * FROM \"lost" + kWild + "\"");
  }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

  static void expect_none(const std::vector<std::string>& arguments) {
    const Outcome outcome = run(arguments);
    const auto is_wild = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; };
    for (const std::string& text : {outcome.out, outcome.err}) {
      EXPECT_EQ(std::ranges::count_if(text, is_wild), 0) << arguments.front() << ": " << text;
      EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos) << arguments.front() << ": " << text;
    }
    EXPECT_TRUE(testing::mentions(outcome.out + outcome.err, "?[2J")) << outcome.out << outcome.err;
  }

  const testing::TemporaryFolder folder;
  const fs::path place = folder / ("place" + kWild);
  const fs::path file = place / "app.db";
  const fs::path migrations = place / "migrations";
  const fs::path queries = place / "queries";
};

TEST_F(ControlCharacters, OfAFileNeverReachTheTerminal) {
  expect_none({"check", file});
  expect_none({"stats", file});
  expect_none({"backup", file, place / "copy.db"});
  expect_none({"restore", file, place / "copy.db"});
  expect_none({"migrate", "diff", file, migrations});
}

TEST_F(ControlCharacters, OfMigrationsNeverReachTheTerminal) {
  expect_none({"migrate", "up", place / "new.db", migrations, "--dry-run"});
  expect_none({"migrate", "up", place / "new.db", migrations, "--backup", place / "backups"});
  write(migrations / "0002_wrong.sql", "CREATE TABLE \"" + kWild + "\" (a, a)");
  expect_none({"migrate", "up", place / "new.db", migrations});
  expect_none({"migrate", "verify", migrations});
  expect_none({"migrate", "new", migrations, "more"});
  write(migrations / ("0003_" + kWild + ".sql"), "SELECT 1");
  expect_none({"migrate", "status", place / "new.db", migrations});
}

TEST_F(ControlCharacters, OfQueriesAndArgumentsNeverReachTheTerminal) {
  expect_none({"check-sql", migrations, queries});
  expect_none({"check", place / "missing.db"});
  expect_none({"stats", place / "missing.db"});
  expect_none({"backup", place / "missing.db", place / "other.db"});
  expect_none({"ch" + kWild});
  expect_none({"check", file, "--" + kWild});
}

}  // namespace
}  // namespace sqlane::cli
