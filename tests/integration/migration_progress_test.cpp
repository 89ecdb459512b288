#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sqlane/testing/manual_clock.hpp"
#include "support/files.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_process.hpp"
#include "support/migrating.hpp"
#include "support/temporary_folder.hpp"

// What MigrateOptions::on_progress is told, call by call. The clock stands still,
// so that nothing is told but what begins.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ChildProcess;
using testing::expected_state;
using testing::five_migrations;
using testing::kAlone;
using testing::LinePipe;
using testing::ManualClock;
using testing::state_of;
using testing::TemporaryFolder;

using Strings = std::vector<std::string>;

constexpr const char* kLong = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000)";

// "add_rating 2/5 statement 1/2"
std::string line_of(const MigrationProgress& now) {
  std::string line = now.step.name + " " + std::to_string(now.step_number) + "/" + std::to_string(now.steps);
  switch (now.phase) {
    case MigrationPhase::backup: return line + " copy " + std::to_string(now.bytes_written);
    case MigrationPhase::checking_keys: return line + " keys";
    case MigrationPhase::committing: return line + " commit";
    case MigrationPhase::statement: break;
  }
  return line + " statement " + std::to_string(now.statement_number) + "/" + std::to_string(now.step.statements.size());
}

Strings lines_of(const std::string& step, int statements) {
  Strings lines;
  for (int i = 1; i <= statements; ++i) {
    lines.push_back(step + " statement " + std::to_string(i) + "/" + std::to_string(statements));
  }
  return lines;
}

Strings operator+(Strings lines, const Strings& more) {
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

Strings check_and_commit(const std::string& step) { return {step + " keys", step + " commit"}; }

Strings function(const std::string& step) { return {step + " statement 1/0"}; }

// In a file of their own, and in memory.
class ProgressOfMigrations : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    options = clock_.into(std::move(options));
    return GetParam() ? Database::in_memory(options) : Database::open(folder_ / "app.db", options);
  }

  Strings told(const Migrations& migrations, MigrateOptions options) {
    Strings lines;
    options.on_progress = [&](const MigrationProgress& now) { lines.push_back(line_of(now)); };
    db_.migrate(migrations, options);
    return lines;
  }

  [[nodiscard]] std::uint64_t bytes_of_database() const {
    return db_.read([](const Snapshot& s) {
      return s.query_one<std::uint64_t>("PRAGMA page_size") * s.query_one<std::uint64_t>("PRAGMA page_count");
    });
  }

  TemporaryFolder folder_;
  ManualClock clock_;
  Database db_ = open();
};

INSTANTIATE_TEST_SUITE_P(Kinds, ProgressOfMigrations, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Memory" : "File"; });

TEST_P(ProgressOfMigrations, NamesEachStatementTheCheckAndTheCommitOfEachStep) {
  EXPECT_EQ(told(five_migrations(), {}), lines_of("create_visit 1/5", 4) + check_and_commit("create_visit 1/5") +
                                             lines_of("add_rating 2/5", 2) + check_and_commit("add_rating 2/5") +
                                             lines_of("rebuild_place 3/5", 4) + check_and_commit("rebuild_place 3/5") +
                                             lines_of("index_visit 4/5", 3) + check_and_commit("index_visit 4/5") +
                                             function("name_areas 5/5") + check_and_commit("name_areas 5/5"));
}

TEST_P(ProgressOfMigrations, NamesOneCheckAndOneCommitWhereAllStepsAreOne) {
  EXPECT_EQ(told(five_migrations(), {.atomicity = Atomicity::all}),
            lines_of("create_visit 1/5", 4) + lines_of("add_rating 2/5", 2) + lines_of("rebuild_place 3/5", 4) +
                lines_of("index_visit 4/5", 3) + function("name_areas 5/5") + check_and_commit("name_areas 5/5"));
}

TEST_P(ProgressOfMigrations, CountsTheStepsOfThisCallAlone) {
  db_.migrate(five_migrations(), {.target = 3});
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    const Strings between = atomicity == Atomicity::each ? check_and_commit("index_visit 1/2") : Strings();
    EXPECT_EQ(
        told(five_migrations(), {.atomicity = atomicity}),
        lines_of("index_visit 1/2", 3) + between + function("name_areas 2/2") + check_and_commit("name_areas 2/2"));
    db_.migrate(five_migrations(), {.target = 3});
  }
  EXPECT_EQ(told(five_migrations(), {.target = 3}), Strings());
}

TEST_P(ProgressOfMigrations, CountsOnTheWayDownAsWell) {
  db_.migrate(five_migrations());
  EXPECT_EQ(told(five_migrations(), {.target = 3}), function("name_areas 1/2") + check_and_commit("name_areas 1/2") +
                                                        lines_of("index_visit 2/2", 3) +
                                                        check_and_commit("index_visit 2/2"));
  EXPECT_EQ(told(five_migrations(), {.target = 1, .atomicity = Atomicity::all}),
            lines_of("rebuild_place 1/2", 4) + lines_of("add_rating 2/2", 1) + check_and_commit("add_rating 2/2"));
}

TEST_P(ProgressOfMigrations, NamesTheStatementsOfAStepWithoutATransaction) {
  Migrations migrations = five_migrations();
  migrations.add({.version = 6, .name = "tidy", .up = kAlone + std::string("DELETE FROM visit; VACUUM;")});
  migrations.add({.version = 7, .name = "last", .up = "CREATE TABLE last (id);"});
  db_.migrate(migrations, {.target = 5});
  EXPECT_EQ(told(migrations, {}), lines_of("tidy 1/2", 2) + Strings{"tidy 1/2 commit"} + lines_of("last 2/2", 1) +
                                      check_and_commit("last 2/2"));
}

// Before the first step alone: at its beginning, after each 25 pages but the
// last, when it is complete, and when it is to be checked.
TEST_P(ProgressOfMigrations, TellsOfTheCopyBeforeTheFirstStep) {
  constexpr std::uint64_t kPage = 4096;
  db_.migrate(five_migrations(), {.target = 3});
  db_.execute("UPDATE visit SET note = printf('%01000d', id)");
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    const std::uint64_t bytes = bytes_of_database();
    ASSERT_GT(bytes, 75 * kPage);
    Strings copied;
    const auto expect_told = [&](std::uint64_t so_far) {
      copied.push_back("index_visit 1/2 copy " + std::to_string(so_far));
    };
    for (std::uint64_t so_far = 0; so_far < bytes; so_far += 25 * kPage) expect_told(so_far);
    expect_told(bytes);
    expect_told(bytes);
    const Strings between = atomicity == Atomicity::each ? check_and_commit("index_visit 1/2") : Strings();
    EXPECT_EQ(told(five_migrations(), {.atomicity = atomicity, .backup_folder = folder_.path()}),
              copied + lines_of("index_visit 1/2", 3) + between + function("name_areas 2/2") +
                  check_and_commit("name_areas 2/2"));
    db_.migrate(five_migrations(), {.target = 3});
  }
}

TEST_P(ProgressOfMigrations, SaysHowLargeTheDatabaseWasBeforeTheStep) {
  for (int version = 1; version <= 5; ++version) {
    const std::uint64_t before = bytes_of_database();
    std::set<std::uint64_t> sizes;
    const auto on_progress = [&](const MigrationProgress& now) { sizes.insert(now.database_bytes); };
    db_.migrate(five_migrations(), {.target = version, .on_progress = on_progress});
    EXPECT_EQ(sizes, std::set{before}) << version;
    EXPECT_TRUE(version != 1 || bytes_of_database() > before);
  }
}

// The page cache is smaller than what a step changes, so that changes get into
// the log before the commit.
TEST_P(ProgressOfMigrations, SaysHowMuchTheStepHasPutIntoTheLog) {
  if (GetParam()) GTEST_SKIP() << "the log of what is in memory cannot be looked at";
  constexpr std::uint64_t kPage = 4096;
  constexpr std::uint64_t kFrame = kPage + 24;  // https://sqlite.org/fileformat2.html#the_write_ahead_log
  Migrations migrations;
  const std::string fill = std::string(kLong) + " INSERT INTO large SELECT zeroblob(3000) FROM n LIMIT 200;";
  migrations.add({.version = 1, .name = "first", .up = "CREATE TABLE large (filler BLOB);" + fill + fill});
  migrations.add({.version = 2, .name = "second", .up = fill + fill});
  for (const Atomicity atomicity : {Atomicity::each, Atomicity::all}) {
    const fs::path path = folder_ / (atomicity == Atomicity::each ? "each.db" : "all.db");
    Database db = Database::open(path, clock_.into({.page_cache = 40'000, .checkpoint_pages = 1'000'000}));
    const fs::path log = testing::beside(path, "-wal");
    std::uintmax_t before = 0;
    std::vector<std::uint64_t> written;
    const auto on_progress = [&](const MigrationProgress& now) {
      const std::uintmax_t size = fs::exists(log) ? fs::file_size(log) : 0;
      if (now.phase == MigrationPhase::statement && now.statement_number == 1) {
        before = size;
        EXPECT_EQ(now.bytes_written, 0U);
      }
      const std::uint64_t frames = (size - before) / kFrame;
      EXPECT_GE(now.bytes_written, frames * kPage);  // a page can be written again, over itself
      EXPECT_LE(now.bytes_written, (frames + 20) * kPage);
      written.push_back(now.bytes_written);
    };
    db.migrate(migrations, {.atomicity = atomicity, .on_progress = on_progress});
    ASSERT_GE(written.size(), 7U);
    EXPECT_GT(written[2], 150 * kPage) << "the first fill, before the second";
    EXPECT_LE(written.back(), written[written.size() - 2] + 2 * kPage) << "the record alone, after the check";
    EXPECT_GT(written.back(), 300 * kPage);
    EXPECT_LT(written.back(), 500 * kPage) << "the second step counts from nothing";
  }
}

// While a statement runs

TEST_P(ProgressOfMigrations, ComesTenTimesASecondWhileAStatementRuns) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "long", .up = std::string(kLong) + " SELECT max(i) FROM n;"});
  std::vector<std::chrono::milliseconds> elapsed;
  db_.migrate(migrations, {.on_progress = [&](const MigrationProgress& now) {
                if (now.phase != MigrationPhase::statement) return;
                EXPECT_EQ(line_of(now), "long 1/1 statement 1/1");
                elapsed.push_back(now.elapsed);
                if (elapsed.size() < 4) clock_.advance(100ms);
                if (elapsed.size() == 4) clock_.advance(100ms - 1ns);
              }});
  EXPECT_EQ(elapsed, (std::vector{0ms, 100ms, 200ms, 300ms}));
}

TEST_P(ProgressOfMigrations, ComesWhileAStatementOfAFunctionRuns) {
  Migrations migrations;
  migrations.add({.version = 1, .name = "function", .up = [&](Transaction& tx) {
                    clock_.advance(250ms);
                    static_cast<void>(tx.query_one<int>(runtime_sql(std::string(kLong) + " SELECT max(i) FROM n")));
                  }});
  std::vector<std::pair<std::string, std::chrono::milliseconds>> lines;
  db_.migrate(migrations,
              {.on_progress = [&](const MigrationProgress& now) { lines.emplace_back(line_of(now), now.elapsed); }});
  EXPECT_EQ(lines, (decltype(lines){{"function 1/1 statement 1/0", 0ms},
                                    {"function 1/1 statement 1/0", 250ms},
                                    {"function 1/1 keys", 250ms},
                                    {"function 1/1 commit", 250ms}}));
}

// A callback that throws ends the migration where it is

struct Thrown {};

class ThrowingProgress : public ProgressOfMigrations {
 protected:
  void expect_whole_steps_wherever_it_throws(Atomicity atomicity, const fs::path& backup_folder) {
    bool has_thrown = true;
    std::set<int> versions;
    for (int at = 1; has_thrown && !HasFailure(); ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      has_thrown = false;
      int calls = 0;
      int committed = 0;
      std::string where;
      const auto throw_there = [&](const MigrationProgress& now) {
        if (++calls != at) {
          if (now.phase == MigrationPhase::committing) ++committed;
          return;
        }
        where = line_of(now);
        throw Thrown();
      };
      try {
        db_.migrate(five_migrations(),
                    {.atomicity = atomicity, .backup_folder = backup_folder, .on_progress = throw_there});
      } catch (const Thrown&) {
        has_thrown = true;
      }
      SCOPED_TRACE(where);
      if (has_thrown) {
        const int version = atomicity == Atomicity::all ? 0 : committed;
        versions.insert(version);
        EXPECT_EQ(state_of(db_), expected_state(version));
        EXPECT_FALSE(db_.lane_holder());
        db_.execute("PRAGMA user_version");  // the lane goes on
        EXPECT_EQ(db_.migrate(five_migrations()).steps.size(), static_cast<std::size_t>(5 - version));
      }
      EXPECT_EQ(state_of(db_), expected_state(5));
      for (const fs::directory_entry& entry : fs::directory_iterator(folder_.path())) {
        const std::string name = entry.path().filename().string();
        EXPECT_TRUE(name == "copies" || name == "app.db" || name == "app.db-wal" || name == "app.db-shm") << name;
      }
      db_.migrate(five_migrations(), {.target = 0});
    }
    EXPECT_EQ(versions, atomicity == Atomicity::all ? (std::set{0}) : (std::set{0, 1, 2, 3, 4}));
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, ThrowingProgress, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Memory" : "File"; });

TEST_P(ThrowingProgress, LeavesWholeSteps) { expect_whole_steps_wherever_it_throws(Atomicity::each, {}); }

TEST_P(ThrowingProgress, LeavesNothingWhereAllStepsAreOne) {
  expect_whole_steps_wherever_it_throws(Atomicity::all, {});
}

TEST_P(ThrowingProgress, DuringTheCopyLeavesNoCopy) {
  const fs::path copies = folder_ / "copies";
  fs::create_directory(copies);
  bool has_thrown = true;
  int at = 1;
  for (; has_thrown && !HasFailure(); ++at) {
    has_thrown = false;
    int calls = 0;
    const auto throw_there = [&](const MigrationProgress& now) {
      if (++calls != at || now.phase != MigrationPhase::backup) return;
      has_thrown = true;
      throw Thrown();
    };
    try {
      db_.migrate(five_migrations(), {.backup_folder = copies, .on_progress = throw_there});
    } catch (const Thrown&) {
    }
    EXPECT_EQ(fs::is_empty(copies), has_thrown) << "call " << at;
    EXPECT_EQ(state_of(db_), expected_state(has_thrown ? 0 : 5)) << "call " << at;
  }
  EXPECT_GE(at, 4);
}

TEST_P(ThrowingProgress, WithACopyBeforeLeavesWholeSteps) {
  fs::create_directory(folder_ / "copies");
  expect_whole_steps_wherever_it_throws(Atomicity::each, folder_ / "copies");
}

// It is called from within SQLite then, through which no exception may go.
TEST_P(ThrowingProgress, WhileAStatementRunsEndsTheStep) {
  ChildProcess child([&](const LinePipe&, const LinePipe&) {
    Database db = Database::in_memory(clock_.into());
    Migrations migrations;
    migrations.add({.version = 1, .name = "short", .up = "CREATE TABLE short (id);"});
    migrations.add({.version = 2, .name = "long", .up = std::string(kLong) + " SELECT max(i) FROM n;"});
    int calls = 0;
    const auto throw_on_the_way = [&](const MigrationProgress& now) {
      if (now.step.version != 2) return;
      if (++calls == 2) throw Thrown();
      clock_.advance(1s);
    };
    try {
      db.migrate(migrations, {.on_progress = throw_on_the_way});
    } catch (const Thrown&) {
      if (migration_status(db, migrations).version == 1 && db.migrate(migrations).to == 2) return;
    }
    throw std::runtime_error("it went on");
  });
  EXPECT_EQ(child.join(), 0);
}

// Before its first statement, it has done nothing; after the last one, all.
TEST_P(ThrowingProgress, LeavesAStepWithoutATransactionCleanAtItsEnds) {
  Migrations migrations = five_migrations();
  migrations.add({.version = 6, .name = "tidy", .up = kAlone + std::string("DELETE FROM visit; VACUUM;")});
  db_.migrate(migrations, {.target = 5});
  const auto throw_in = [&](MigrationPhase phase) {
    return [phase](const MigrationProgress& now) {
      if (now.phase == phase) throw Thrown();
    };
  };
  EXPECT_THROW(db_.migrate(migrations, {.on_progress = throw_in(MigrationPhase::statement)}), Thrown);
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit"), 300);
  EXPECT_FALSE(migration_status(db_, migrations).refusal) << "nothing was done";
  if (HasFailure()) return;
  EXPECT_THROW(db_.migrate(migrations, {.on_progress = throw_in(MigrationPhase::committing)}), Thrown);
  EXPECT_FALSE(migration_status(db_, migrations).refusal) << "all was done";
  EXPECT_EQ(migration_status(db_, migrations).version, 6);
}

}  // namespace
}  // namespace sqlane
