#include <stop_token>
#include <string>
#include <vector>

#include "support/five_migrations.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::expected_state;
using testing::five_migrations;
using testing::followed_by;
using testing::Migrating;
using testing::state_of;

using Strings = std::vector<std::string>;

// Progress and stopping.

TEST_P(Migrating, TellsHowFarItIs) {
  Strings told;
  db_.migrate(five_migrations(), {.target = 2, .on_progress = [&](const MigrationProgress& now) {
                                    const char* const phase = now.phase == MigrationPhase::statement       ? "statement"
                                                              : now.phase == MigrationPhase::checking_keys ? "keys"
                                                              : now.phase == MigrationPhase::committing    ? "commit"
                                                                                                           : "backup";
                                    std::string line = now.step.name + " " + std::to_string(now.step_number) + "/" +
                                                       std::to_string(now.steps) + " " + phase;
                                    if (now.phase == MigrationPhase::statement) {
                                      line += " " + std::to_string(now.statement_number) + "/" +
                                              std::to_string(now.step.statements.size());
                                    }
                                    if (told.empty() || told.back() != line) told.push_back(line);
                                  }});
  EXPECT_EQ(told, (Strings{"create_visit 1/2 statement 1/4", "create_visit 1/2 statement 2/4",
                           "create_visit 1/2 statement 3/4", "create_visit 1/2 statement 4/4", "create_visit 1/2 keys",
                           "create_visit 1/2 commit", "add_rating 2/2 statement 1/2", "add_rating 2/2 statement 2/2",
                           "add_rating 2/2 keys", "add_rating 2/2 commit"}));
}

TEST_P(Migrating, StopsWithTheLastWholeStep) {
  std::stop_source stop;
  const auto stop_in_third = [&](const MigrationProgress& now) {
    if (now.step.version == 3 && now.statement_number == 2) stop.request_stop();
  };
  EXPECT_THROW(db_.migrate(five_migrations(), {.on_progress = stop_in_third, .stop = stop.get_token()}),
               InterruptedError);
  EXPECT_EQ(state_of(db_), expected_state(2));
  EXPECT_EQ(db_.migrate(five_migrations()).steps.size(), 3U);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, StopsAStatementThatRuns) {
  std::stop_source stop;
  int told = 0;
  const Migrations endless = followed_by({.up = "CREATE TABLE endless (i);"
                                                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)"
                                                " INSERT INTO endless SELECT i FROM n WHERE i < 0"});
  const auto stop_while_it_runs = [&](const MigrationProgress& now) {
    if (now.step.version == 6 && now.statement_number == 2 && ++told == 2) stop.request_stop();
  };
  EXPECT_THROW(db_.migrate(endless, {.on_progress = stop_while_it_runs, .stop = stop.get_token()}), InterruptedError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

}  // namespace
}  // namespace sqlane
