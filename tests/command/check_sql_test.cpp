#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

namespace fs = std::filesystem;
using sqlane::testing::TemporaryFolder;
using sqlane::testing::write_bytes;

class CheckSql : public ::testing::Test {
 protected:
  CheckSql() {
    for (const char* folder : {"migrations", "queries", "more"}) fs::create_directory(folder_ / folder);
    write_bytes(folder_ / "migrations/0001_create_note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
    write_bytes(folder_ / "migrations/0002_add_body.sql", "ALTER TABLE note ADD COLUMN body TEXT");
    write_bytes(folder_ / "queries/find.sql", "SELECT id, body FROM note WHERE id = ?");
    write_bytes(folder_ / "more/add.sql", "INSERT INTO note (title) VALUES (:title);\nDELETE FROM note");
  }

  int run(const std::vector<std::string>& options) {
    std::vector<std::string> arguments{"sqlane", "check-sql", folder_ / "migrations", folder_ / "queries",
                                       folder_ / "more"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_exactly(arguments);
  }
  int run_exactly(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    out_.str("");
    err_.str("");
    Console console{out_, err_};
    return run_command(static_cast<int>(argv.size()), argv.data(), console);
  }

  TemporaryFolder folder_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CheckSql, IsContentWithQueriesThatFit) {
  EXPECT_EQ(run({}), kExitSuccess) << err_.str();
  EXPECT_EQ(out_.str(), "All queries fit the schema at version 2.\n");
}

TEST_F(CheckSql, ReportsInTheWayOfACompiler) {
  write_bytes(folder_ / "queries/find.sql", "SELECT id,\n  boddy FROM note");
  write_bytes(folder_ / "more/add.sql", "INSERT INTO notes VALUES (1)");
  EXPECT_EQ(run({}), kExitFindings);
  EXPECT_EQ(out_.str(), (folder_ / "queries/find.sql").string() + ":2:3: error: no such column: boddy\n" +
                            (folder_ / "more/add.sql").string() + ":1:1: error: no such table: notes\n");
}

TEST_F(CheckSql, ReportsAsJson) {
  write_bytes(folder_ / "queries/find.sql", "SELECT id,\n  boddy FROM note WHERE title = 'caf\xe9'");
  EXPECT_EQ(run({"--json"}), kExitFindings);
  const auto json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["version"], 2);
  ASSERT_EQ(json["findings"].size(), 1U);
  const auto& finding = json["findings"][0];
  EXPECT_EQ(finding["file"], (folder_ / "queries/find.sql").string());
  EXPECT_EQ(finding["line"], 2);
  EXPECT_EQ(finding["column"], 3);
  EXPECT_EQ(finding["message"], "no such column: boddy");
  EXPECT_EQ(finding["sql"], "SELECT id,\n  boddy FROM note WHERE title = 'caf\xef\xbf\xbd'");
}

TEST_F(CheckSql, FailsWithAMigrationThatFails) {
  write_bytes(folder_ / "migrations/0003_third.sql", "CREATE TABLE note (a)");
  EXPECT_EQ(run({}), kExitFailure);
  EXPECT_NE(err_.str().find("0003_third.sql"), std::string::npos) << err_.str();
}

TEST_F(CheckSql, RefusesFoldersThatAreNotThere) {
  EXPECT_EQ(run({folder_ / "none"}), kExitUsage);
  EXPECT_NE(err_.str().find("none"), std::string::npos) << err_.str();
  EXPECT_EQ(run_exactly({"sqlane", "check-sql", folder_ / "migrations"}), kExitUsage);
  EXPECT_NE(err_.str().find("QUERIES"), std::string::npos) << err_.str();
}

}  // namespace
}  // namespace sqlane::cli
