#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sqlane/sqlane.hpp>

#include "cli/stats_report.hpp"
#include "run_command.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using sqlane::testing::ForeignConnection;
using sqlane::testing::TemporaryFolder;

class StatsCommand : public ::testing::Test {
 protected:
  StatsCommand() {
    ForeignConnection(file).run(
        "CREATE TABLE note (title); CREATE INDEX by_title ON note (title); INSERT INTO note VALUES ('a'), ('b')");
  }

  TemporaryFolder folder;
  std::string file = folder / "notes.db";
};

TEST_F(StatsCommand, SaysWhatIsInAFile) {
  const Outcome outcome = run({"stats", file});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  for (const char* part : {"notes.db", "3 pages of 4096 B", "journal mode delete", "UTF-8", "1 table, 1 index, 0 views",
                           "the database is not in WAL mode", "page_cache=1MiB", "note", "by_title"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
  EXPECT_EQ(outcome.out.find('\033'), std::string::npos);
}

TEST_F(StatsCommand, SaysItInJson) {
  const Outcome outcome = run({"stats", file, "--json", "--tables", "1"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["page_count"], 3);
  EXPECT_EQ(json["objects"].size(), 1U);
  EXPECT_EQ(json["wal"]["commits"], 0);
  EXPECT_TRUE(json["wal"]["checkpointed_frames"].is_null());
}

TEST_F(StatsCommand, WatchesALineAnInterval) {
  const Outcome outcome = run({"stats", file, "--watch", "--interval", "0.05", "--count", "2"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_EQ(outcome.out.find('\033'), std::string::npos);
}

TEST_F(StatsCommand, WatchesInJsonAnObjectALine) {
  const Outcome outcome = run({"stats", file, "--watch", "--interval", "0.05", "--count", "2", "--json"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  std::istringstream lines(outcome.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(nlohmann::json::parse(line)["commits"], 0);
  EXPECT_EQ(count, 2);
}

TEST_F(StatsCommand, WatchesOnTheOtherScreenOfATerminalAndLeavesWhatItSawLast) {
  const Outcome outcome =
      run_with({.is_terminal = true}, {"stats", file, "--watch", "--interval", "0.05", "--count", "2"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  const std::size_t back = outcome.out.find("\033[?25h\033[?1049l");
  ASSERT_NE(back, std::string::npos);
  EXPECT_EQ(outcome.out.find("\033[?1049h\033[?25l"), 0U);
  EXPECT_NE(outcome.out.find("commits", back), std::string::npos);
}

TEST_F(StatsCommand, RefusesInOneLineWhatItCannotRead) {
  std::ofstream(folder / "letter.txt") << std::string(4096, 'x');
  struct RefusedCase {
    std::string file, reason;
  };
  for (const auto& [name, reason] :
       {RefusedCase{folder / "missing.db", "No such file"}, RefusedCase{folder.path(), "is a directory"},
        RefusedCase{folder / "letter.txt", "is not a database"}}) {
    for (const bool is_watching : {false, true}) {
      std::vector<std::string> arguments{"stats", name};
      if (is_watching) arguments.insert(arguments.end(), {"--watch", "--count", "1"});
      const Outcome outcome = run(arguments);
      EXPECT_EQ(outcome.code, kExitFailure) << name;
      EXPECT_NE(outcome.err.find(reason), std::string::npos) << outcome.err;
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
      EXPECT_TRUE(outcome.out.empty()) << outcome.out;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "missing.db"));
}

TEST_F(StatsCommand, RefusesArgumentsThatMakeNoSense) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"stats"},
                                                    {"stats", file, "--count", "2"},
                                                    {"stats", file, "--watch", "--interval", "0"},
                                                    {"stats", file, "--watch", "--interval", "nan", "--count", "1"},
                                                    {"bench", file, "--seconds", "nan"},
                                                    {"stats", file, "--tables", "many"}}) {
    EXPECT_EQ(run(arguments).code, kExitUsage);
  }
  EXPECT_NE(run({"stats", "--help"}).out.find("Example: sqlane stats"), std::string::npos);
}

FileStats stats_with(std::size_t tables) {
  FileStats stats;
  stats.page_size = 4096;
  stats.page_count = 100;
  for (std::size_t i = 0; i < tables; ++i) {
    stats.objects.push_back({.name = "a_table_with_a_name_that_is_rather_long_" + std::to_string(i),
                             .kind = "table",
                             .table = "",
                             .bytes = 4096,
                             .rows = 123'456'789});
  }
  return stats;
}

TEST(ScreenOfAWorkload, FitsTerminalsOfAllSizes) {
  Workload workload;
  workload.path = "/a/folder/of/some/length/notes.db";
  workload.commits_per_second.assign(300, 5);
  workload.tables = stats_with(40);
  for (const std::size_t columns : {60U, 80U, 200U}) {
    for (const std::size_t rows : {13U, 24U, 60U}) {
      const auto lines =
          workload_screen(workload, {.columns = columns, .rows = rows, .tables = 30, .charset = Charset::unicode});
      EXPECT_LE(lines.size(), rows) << columns;
      for (const ScreenLine& line : lines) EXPECT_LE(count_characters(line.text), columns) << line.text;
    }
  }
}

TEST(ReportOfStats, FitsEightyColumnsWithTablesOfAnyName) {
  FileStats stats = stats_with(20);
  stats.objects[0].name = "evil\033[2J";
  stats.log = {.file_bytes = 4'200'000'000,
               .frames = 1'000'000,
               .commits = 100'000,
               .uncommitted_frames = 0,
               .checkpointed_frames = 900'000};
  stats.journal_mode = "wal";
  const auto lines = stats_lines(stats, {.columns = 80});
  for (const ScreenLine& line : lines) {
    EXPECT_LE(count_characters(line.text), 80U) << line.text;
    EXPECT_EQ(line.text.find('\033'), std::string::npos) << line.text;
  }
  EXPECT_EQ(lines.back().text, "and 5 more");
}

TEST(ReportOfStats, WritesJsonOfNamesThatAreNotUtf8) {
  FileStats stats = stats_with(1);
  stats.objects[0].name = "\xff\xfe";
  EXPECT_EQ(nlohmann::json::parse(to_json(stats, 10).dump())["objects"][0]["name"], "\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace sqlane::cli
