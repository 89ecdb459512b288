#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "migrate/plan.hpp"
#include "support/expect_error.hpp"

namespace sqlane::detail {
namespace {

using testing::error_of;
using testing::mentions;
using State = AppliedMigration::State;

// Of the migrations that tests know: "3" is 0003_c.sql, which can be undone;
// "3!" cannot be. "3=1" is a 0003_c.sql that does what 0001_a.sql does.
Migration migration(std::string_view what) {
  const auto version = what.front() - '0';
  const auto text = what.size() == 3 ? what.back() : what.front();
  Migration result{.version = version,
                   .name = std::string(1, static_cast<char>('a' + version - 1)),
                   .up = "SELECT " + std::string(1, text)};
  if (!what.ends_with('!')) result.down = "SELECT 0";
  return result;
}

using Names = std::vector<std::string_view>;

Migrations available(const Names& names) {
  Migrations migrations;
  for (const auto name : names) migrations.add(migration(name));
  return migrations;
}

std::vector<AppliedMigration> applied(const Names& names) {
  std::vector<AppliedMigration> rows;
  for (const auto name : names) {
    const Migration it = migration(name);
    rows.push_back(
        {.version = it.version, .name = it.name, .checksum = checksum(it), .applied_at = "2024-05-01T10:00:00.000Z"});
  }
  return rows;
}

struct Situation {
  Names applied;
  Names available;
  std::optional<std::int32_t> target{};
};

std::vector<PlannedMigration> plan(const std::vector<AppliedMigration>& rows, const Migrations& known,
                                   std::optional<std::int32_t> target = std::nullopt) {
  return plan_steps({.applied = rows, .has_history = !rows.empty(), .has_schema = !rows.empty()}, known, target);
}

// "+1 +2" or "-2 -1"
std::string steps_of(const Situation& situation) {
  const Migrations known = available(situation.available);
  std::string result;
  for (const auto& [direction, step] : plan(applied(situation.applied), known, situation.target)) {
    result += result.empty() ? "" : " ";
    result += (direction == MigrationDirection::up ? "+" : "-") + std::to_string(step->version);
    EXPECT_EQ(step, &known.list()[static_cast<std::size_t>(step->version - 1)]);
  }
  return result;
}

MigrationError refusal_of(const Situation& situation) {
  return error_of<MigrationError>([&] { static_cast<void>(steps_of(situation)); });
}

TEST(MigrationPlan, LeadsFromWhatWasAppliedToTheTarget) {
  struct Case {
    Situation situation;
    std::string_view steps;
  };
  const Case cases[] = {
      {{{}, {}}, ""},
      {{{}, {}, 0}, ""},
      {{{}, {"1", "2", "3"}}, "+1 +2 +3"},
      {{{}, {"3", "1", "2"}}, "+1 +2 +3"},
      {{{"1"}, {"1", "2", "3"}}, "+2 +3"},
      {{{"1", "2", "3"}, {"1", "2", "3"}}, ""},
      {{{}, {"1", "2", "3"}, 2}, "+1 +2"},
      {{{"1"}, {"1", "2", "3"}, 2}, "+2"},
      {{{"1", "2"}, {"1", "2", "3"}, 2}, ""},
      {{{"1", "2", "3"}, {"1", "2", "3"}, 1}, "-3 -2"},
      {{{"1", "2", "3"}, {"1", "2", "3"}, 0}, "-3 -2 -1"},
      {{{"1", "2"}, {"1", "2", "3"}, 0}, "-2 -1"},
      {{{}, {"1", "2"}, 0}, ""},
      {{{}, {"1!", "2!"}}, "+1 +2"},
      {{{"1", "2", "3"}, {"1!", "2", "3"}, 1}, "-3 -2"},
      {{{"1", "2=1"}, {"1", "2=1", "3=1"}}, "+3"},
      {{{"1"}, {"1", "2=1"}}, "+2"},
  };
  for (const auto& [situation, steps] : cases) EXPECT_EQ(steps_of(situation), steps) << "case of " << steps;
}

struct Refused {
  Situation situation;
  MigrationProblem problem;
  std::string_view file;
  std::vector<std::string_view> words;
};

TEST(MigrationPlan, IsRefused) {
  using Problem = MigrationProblem;
  const Refused cases[] = {
      // target
      {{{}, {"1", "2"}, 3}, Problem::missing, "", {"version 3", "from 0 to 2"}},
      {{{"1"}, {"1", "2"}, -1}, Problem::missing, "", {"version -1"}},
      {{{}, {}, 1}, Problem::missing, "", {"version 1"}},
      // numbers
      {{{}, {"1", "3"}}, Problem::missing, "0003_c.sql", {"no migration 2", "add"}},
      {{{}, {"2", "3"}}, Problem::missing, "0002_b.sql", {"no migration 1", "the number 1"}},
      {{{"1"}, {"1", "3"}, 1}, Problem::missing, "0003_c.sql", {"no migration 2"}},
      {{{"1", "2", "3"}, {"1", "3"}}, Problem::missing, "0002_b.sql", {"put the file back"}},
      {{{"1", "2"}, {"2", "3"}}, Problem::missing, "0001_a.sql", {"put the file back"}},
      // order
      {{{"1", "2"}, {"1", "2=7", "3=2"}}, Problem::reordered, "0003_c.sql", {"0002_b.sql", "number back"}},
      {{{"1", "2"}, {"1", "3=2"}}, Problem::reordered, "0003_c.sql", {"with the number 2"}},
      {{{"1", "2"}, {"1=2", "2=1"}}, Problem::reordered, "0002_b.sql", {"with the number 1"}},
      {{{"1", "3"}, {"1", "2=3"}}, Problem::reordered, "0002_b.sql", {"with the number 3"}},
      {{{"1", "3"}, {"1", "2", "3"}},
       Problem::reordered,
       "0002_b.sql",
       {"not been applied", "0003_c.sql", "behind all"}},
      // content
      {{{"1", "2"}, {"1", "2=7", "3"}}, Problem::changed, "0002_b.sql", {"2024-05-01", "new migration"}},
      {{{"1", "2"}, {"1=7", "2"}, 0}, Problem::changed, "0001_a.sql", {"put it back"}},
      {{{"1", "2=1"}, {"1", "2=7"}}, Problem::changed, "0002_b.sql", {}},
      // newer than the program
      {{{"1", "2", "3"}, {"1", "2"}}, Problem::superseded, "0003_c.sql", {"version 3", "newest is 2", "read_only"}},
      {{{"1", "2", "3"}, {"1", "2"}, 2}, Problem::superseded, "0003_c.sql", {"update the program"}},
      {{{"1", "2", "3"}, {"1", "2"}, 0}, Problem::superseded, "0003_c.sql", {}},
      {{{"1"}, {}}, Problem::superseded, "0001_a.sql", {"newest is 0"}},
      // back
      {{{"1", "2", "3"}, {"1", "2!", "3"}, 0}, Problem::irreversible, "0002_b.sql", {"0002_b.down.sql", "backup"}},
      {{{"1!"}, {"1!"}, 0}, Problem::irreversible, "0001_a.sql", {}},
  };
  for (const auto& [situation, problem, file, words] : cases) {
    const auto error = refusal_of(situation);
    const std::string message = error.what();
    EXPECT_EQ(error.problem(), problem) << message;
    EXPECT_EQ(error.file(), file) << message;
    for (const auto word : words) EXPECT_TRUE(mentions(message, word)) << message << "\ndoes not say " << word;
  }
}

TEST(MigrationPlan, SaysHowAFunctionCouldBeUndone) {
  Migrations known;
  known.add({.version = 1, .name = "a", .up = [](Transaction&) {}});
  const std::vector<AppliedMigration> rows{{.version = 1, .name = "a", .checksum = checksum(known.list()[0])}};
  const auto error = error_of<MigrationError>([&] { static_cast<void>(plan(rows, known, 0)); });
  EXPECT_EQ(error.problem(), MigrationProblem::irreversible);
  EXPECT_EQ(error.file(), "0001_a");
  EXPECT_TRUE(mentions(error, "its member `down`")) << error.what();
}

TEST(MigrationPlan, LetsAFileBeRenamed) {
  auto rows = applied({"1", "2"});
  rows[1].name = "formerly_b";
  EXPECT_TRUE(plan(rows, available({"1", "2"})).empty());
}

TEST(MigrationPlan, TakesABaselineForApplied) {
  auto rows = applied({"1", "2"});
  rows[0].state = State::baseline;
  EXPECT_EQ(plan(rows, available({"1", "2", "3"})).size(), 1U);
}

TEST(MigrationPlan, IsRefusedWhereAMigrationDidNotComeToItsEnd) {
  auto rows = applied({"1", "2"});
  rows[1].state = State::running;
  for (const auto& known : {available({"1", "2"}), available({"1"}), available({})}) {
    const auto error = error_of<MigrationError>([&] { static_cast<void>(plan(rows, known)); });
    EXPECT_EQ(error.problem(), MigrationProblem::dirty);
    EXPECT_EQ(error.file(), "0002_b.sql");
    for (const auto* words : {"another process runs it right now", "did not come to its end", "by hand", "baseline"}) {
      EXPECT_TRUE(mentions(error, words)) << error.what();
    }
  }
}

TEST(MigrationPlan, IsRefusedForADatabaseOfUnknownVersion) {
  const Migrations known = available({"1"});
  const auto refusal = [&](bool has_schema, std::int32_t user_version) {
    return error_of<MigrationError>([&] {
      static_cast<void>(
          plan_steps({.applied = {}, .has_schema = has_schema, .user_version = user_version}, known, std::nullopt));
    });
  };
  for (const auto& error : {refusal(true, 0), refusal(false, 3), refusal(true, 3)}) {
    EXPECT_EQ(error.problem(), MigrationProblem::unmanaged);
    EXPECT_EQ(error.file(), "");
    EXPECT_TRUE(mentions(error, "baseline()", "sqlane migrate baseline")) << error.what();
  }
  EXPECT_TRUE(mentions(refusal(true, 3), "tables"));
  EXPECT_TRUE(mentions(refusal(false, 3), "version 3"));

  EXPECT_EQ(plan_steps({.applied = {}}, known, std::nullopt).size(), 1U) << "a new database";
  EXPECT_EQ(plan_steps({.applied = {}, .has_history = true, .has_schema = true}, known, std::nullopt).size(), 1U)
      << "a baseline of 0";
}

}  // namespace
}  // namespace sqlane::detail
