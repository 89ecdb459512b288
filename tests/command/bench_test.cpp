#include "cli/bench.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sqlane/sqlane.hpp>
#include <stdexcept>

#include "cli/bench_report.hpp"
#include "cli/file_stats.hpp"
#include "cli/private_folder.hpp"
#include "cli/read_probe.hpp"
#include "cli/write_probe.hpp"
#include "run_command.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using namespace std::chrono_literals;
using sqlane::testing::contents_of;
using sqlane::testing::ForeignConnection;
using sqlane::testing::TemporaryFolder;

class BenchOfAFile : public ::testing::Test {
 protected:
  BenchOfAFile() {
    ForeignConnection(file).run(
        "PRAGMA page_size = 2048; CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT);"
        "CREATE TABLE word (a TEXT, b INTEGER, x, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE TABLE empty (x);"
        "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 3 FROM n WHERE i < 3000)"
        "  INSERT INTO note SELECT i, 'title ' || i FROM n;"
        "INSERT INTO word SELECT title, id, NULL FROM note WHERE id < 300");
    before = contents_of(folder.path());
  }

  TemporaryFolder folder;
  std::string file = folder / "notes.db";
  std::map<std::string, std::string> before;
};

TEST_F(BenchOfAFile, MeasuresAllAndLeavesNothing) {
  std::vector<double> fractions;
  const BenchMeasurements found =
      run_bench({.file = file, .length = 1ms, .seed = 1, .on_progress = [&](double fraction, const std::string&) {
                   fractions.push_back(fraction);
                 }});
  EXPECT_TRUE(found.is_copy);
  EXPECT_EQ(found.page_size, 2048U);
  EXPECT_EQ(found.tables, (std::vector<std::string>{"note", "word"}));
  EXPECT_GT(found.sync.append.count, 0U);
  EXPECT_GT(found.sync.overwrite.count, 0U);
  EXPECT_EQ(found.batches.size(), 8U);
  EXPECT_EQ(found.writers.size(), 3U);
  EXPECT_EQ(found.locking.size(), 2U);
  EXPECT_EQ(found.locking_reads.size(), 2U);
  EXPECT_EQ(found.checkpoints.size(), 4U);
  for (const auto& reads : {found.reads, found.locking_reads}) {
    for (const ReadMeasurement& read : reads) EXPECT_GT(read.per_second, 0);
  }
  for (const auto& writes : {found.batches, found.writers, found.locking, found.checkpoints}) {
    for (const WriteMeasurement& write : writes) EXPECT_GT(write.rows_per_second, 0);
  }
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_LE(fractions.back(), 1.0);
  EXPECT_EQ(contents_of(folder.path()), before);  // the same bytes, and no folder
}

TEST_F(BenchOfAFile, WritesToAnEmptyDatabaseWhereACopyHasNoRoom) {
  const BenchMeasurements found =
      run_bench({.file = file, .length = 1ms, .free_space = [](const auto&) -> std::uintmax_t { return 1'000'000; }});
  EXPECT_FALSE(found.is_copy);
  EXPECT_NE(found.write_note.find("1.0 MB"), std::string::npos) << found.write_note;
  EXPECT_EQ(found.batches.size(), 8U);
  EXPECT_TRUE(found.locking_reads.empty());
  EXPECT_EQ(contents_of(folder.path()), before);
}

TEST_F(BenchOfAFile, LeavesNothingWhereverItIsStopped) {
  int steps = 0;
  const auto count_steps = [&](double, const std::string&) { ++steps; };
  static_cast<void>(run_bench({.file = file, .length = 1ms, .on_progress = count_steps}));
  ASSERT_GT(steps, 20);
  for (int at = 1; at <= steps; at += 4) {
    std::stop_source source;
    int step = 0;
    const auto stop = [&](double, const std::string&) {
      if (++step == at) source.request_stop();
    };
    EXPECT_THROW(
        static_cast<void>(run_bench({.file = file, .length = 1ms, .on_progress = stop, .stop = source.get_token()})),
        InterruptedError)
        << at;
    EXPECT_EQ(contents_of(folder.path()), before) << at;
  }
}

TEST_F(BenchOfAFile, LeavesNothingAfterAnError) {
  const auto fail = [](double, const std::string& what) {
    if (what.find("writers at once") != std::string::npos) throw std::runtime_error("no more today");
  };
  EXPECT_THROW(static_cast<void>(run_bench({.file = file, .length = 1ms, .on_progress = fail})), std::runtime_error);
  EXPECT_EQ(contents_of(folder.path()), before);
}

TEST_F(BenchOfAFile, SamplesKeysThatAreThereInAnOrderThatTheSeedDecides) {
  const FileStats stats = read_file_stats(file, 10s);
  const Database db = Database::open(file, {.mode = OpenMode::read_only});
  const RowKeys keys = sample_rows(db, stats, 7);
  ASSERT_EQ(keys.sql.size(), 2U);
  bool has_both[2] = {false, false};
  for (const RowKey& key : keys.keys) {
    has_both[key.table] = true;
    if (key.table == 0) {
      ASSERT_TRUE(db.query_optional<std::string>(runtime_sql(keys.sql[0]), key.values.at(0))) << key.values[0];
    } else {
      using Cell = std::optional<std::string>;
      ASSERT_TRUE(db.query_optional<Cell>(runtime_sql(keys.sql[1]), key.values.at(0), key.values.at(1)))
          << key.values[0] << ", " << key.values[1];
    }
  }
  EXPECT_TRUE(has_both[0] && has_both[1]);
  const auto order = [](const RowKeys& all) {
    std::vector<std::vector<std::string>> values;
    for (const RowKey& key : all.keys) values.push_back(key.values);
    return values;
  };
  EXPECT_EQ(order(sample_rows(db, stats, 7)), order(keys));
  EXPECT_NE(order(sample_rows(db, stats, 8)), order(keys));
}

TEST_F(BenchOfAFile, ReportsInJsonAndDrawsTheCurves) {
  const Outcome outcome =
      run({"bench", file, "--seconds", "0.001", "--seed", "5", "--json", "--svg", folder / "curves.svg"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["seed"], 5);
  EXPECT_EQ(json["batches"].size(), 8U);
  EXPECT_FALSE(json["recommendations"].empty());
  EXPECT_NE(sqlane::testing::bytes_of(folder / "curves.svg").find("</svg>"), std::string::npos);
}

TEST_F(BenchOfAFile, ReportsForPeopleWithinTheColumnsOfATerminal) {
  const Outcome outcome = run_with({.is_terminal = true, .columns = 80}, {"bench", file, "--seconds", "0.001"});
  ASSERT_EQ(outcome.code, kExitSuccess) << outcome.err;
  const std::size_t report = outcome.out.find(file, outcome.out.rfind("\033[K"));
  ASSERT_NE(report, std::string::npos);
  std::istringstream lines(outcome.out.substr(report));
  std::string line;
  std::getline(lines, line);  // the path
  while (std::getline(lines, line)) EXPECT_LE(count_characters(line), 80U) << line;
  EXPECT_NE(outcome.out.find("seed"), std::string::npos);
  EXPECT_NE(outcome.out.find("Recommended"), std::string::npos);
}

TEST_F(BenchOfAFile, RefusesInOneLineWhatItCannotMeasure) {
  std::ofstream(folder / "letter.txt") << std::string(4096, 'x');
  for (const std::string& name :
       {std::string(folder / "missing.db"), folder.path().string(), std::string(folder / "letter.txt")}) {
    const Outcome outcome = run({"bench", name, "--json"});
    EXPECT_EQ(outcome.code, kExitFailure) << name;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_TRUE(outcome.out.empty()) << outcome.out;
  }
  const Outcome not_measured = run({"bench", folder / "missing.db", "--svg", folder / "curves.svg"});
  EXPECT_EQ(not_measured.code, kExitFailure);
  EXPECT_FALSE(std::filesystem::exists(folder / "curves.svg"));
  const Outcome no_drawing = run({"bench", file, "--svg", folder / "missing" / "curves.svg"});
  EXPECT_EQ(no_drawing.code, kExitFailure);
  EXPECT_TRUE(no_drawing.out.empty()) << "measured first: " << no_drawing.out;
  EXPECT_EQ(run({"bench"}).code, kExitUsage);
  EXPECT_EQ(run({"bench", file, "--seconds", "0"}).code, kExitUsage);
  EXPECT_NE(run({"bench", "--help"}).out.find("Example: sqlane bench"), std::string::npos);
}

TEST(RoomForACopy, IsTwiceTheFileAndWhatIsWrittenToIt) {
  constexpr std::uintmax_t kGB = 1'000'000'000;
  EXPECT_TRUE(has_room_for_copy(kGB, 3 * kGB));
  EXPECT_TRUE(has_room_for_copy(kGB, 22 * kGB / 10));
  EXPECT_FALSE(has_room_for_copy(kGB, 22 * kGB / 10 - 1));
  EXPECT_FALSE(has_room_for_copy(1000, 100'000));  // small, but what is written needs room
  EXPECT_TRUE(has_room_for_copy(1000, kGB));
  EXPECT_FALSE(has_room_for_copy(kGB, 0));
}

TEST(EmptyDatabase, IsOneOfEveryPageSize) {
  const TemporaryFolder folder;
  for (std::uint64_t size = 512; size <= 65536; size *= 2) {
    const auto path = folder / (std::to_string(size) + ".db");
    make_empty_database(path, size);
    ForeignConnection db(path);
    EXPECT_EQ(db.ask("PRAGMA integrity_check"), "ok") << size;
    EXPECT_EQ(db.ask("PRAGMA page_size"), std::to_string(size));
    db.run("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    EXPECT_EQ(db.ask("PRAGMA integrity_check"), "ok") << size;
  }
}

TEST(FolderBeside, IsForTheOwnerAloneAndGoneAtTheEnd) {
  const TemporaryFolder folder;
  std::filesystem::path path;
  {
    const PrivateFolder beside(folder.path(), ".bench");
    path = beside.path();
    EXPECT_EQ(path.parent_path(), folder.path());
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
    std::ofstream(path / "file") << "x";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(PrivateFolder(folder / "missing", ".bench"), std::filesystem::filesystem_error);
}

TEST(TimedSteps, EndForAllThreadsWithTheErrorOfOne) {
  std::atomic<int> ended = 0;
  const auto make_step = [&](std::size_t thread) -> Step {
    return [&ended, thread] {
      if (thread == 1) throw std::runtime_error("broken");
      ++ended;
    };
  };
  EXPECT_THROW(static_cast<void>(time_steps({.length = 1h}, 3, make_step)), std::runtime_error);
  const auto never_begins = [](std::size_t thread) -> Step {
    if (thread == 2) throw std::runtime_error("no connection");
    return [] {};
  };
  EXPECT_THROW(static_cast<void>(time_steps({.length = 1h}, 3, never_begins)), std::runtime_error);
}

TEST(TimedSteps, AreTakenAtLeastOnceByEachThread) {
  const Timed timed = time_steps({.length = 0ns}, 4, [](std::size_t) { return [] {}; });
  EXPECT_EQ(timed.histogram.count(), 4U);
}

TEST(WrappedText, IsBrokenAtBlanks) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrap("one two three", 7), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap("one two three", 8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap("extraordinary two", 5), (Lines{"extraordinary", "two"}));
  EXPECT_EQ(wrap("  one  ", 5), (Lines{"one"}));
  EXPECT_EQ(wrap("", 5), Lines());
}

}  // namespace
}  // namespace sqlane::cli
