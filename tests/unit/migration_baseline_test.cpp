#include <string>
#include <vector>

#include "migrate/baseline.hpp"
#include "support/expect_error.hpp"

namespace sqlane::detail {
namespace {

using State = AppliedMigration::State;

Migrations three() {
  Migrations migrations;
  for (const int version : {1, 2, 3}) {
    migrations.add({.version = version, .name = "step", .up = "SELECT " + std::to_string(version)});
  }
  return migrations;
}

AppliedMigration applied(std::int32_t version, State state = State::applied, std::string sum = {}) {
  if (sum.empty()) sum = checksum(three().list()[static_cast<std::size_t>(version - 1)]);
  return {.version = version, .name = "step", .checksum = std::move(sum), .state = state};
}

struct BaselineCase {
  std::vector<AppliedMigration> applied;
  std::int32_t version;
  std::vector<std::int32_t> recorded;
  std::vector<std::int32_t> forgotten;
};

TEST(Baseline, RecordsWhatIsMissingAndForgetsWhatIsUnfinished) {
  const BaselineCase cases[] = {
      {{}, 0, {}, {}},
      {{}, 2, {1, 2}, {}},
      {{applied(1)}, 1, {}, {}},
      {{applied(1)}, 3, {2, 3}, {}},
      {{applied(1), applied(2, State::baseline)}, 2, {}, {}},
      {{applied(1), applied(2, State::running)}, 1, {}, {2}},
      {{applied(1), applied(2, State::running)}, 2, {2}, {}},
      {{applied(1, State::running)}, 0, {}, {1}},
  };
  const Migrations migrations = three();
  for (const BaselineCase& one : cases) {
    const Baseline baseline = plan_baseline(one.applied, migrations, one.version);
    std::vector<std::int32_t> recorded;
    for (const Migration* const migration : baseline.recorded) recorded.push_back(migration->version);
    EXPECT_EQ(recorded, one.recorded) << one.version;
    EXPECT_EQ(baseline.forgotten, one.forgotten) << one.version;
  }
}

MigrationProblem problem(const std::vector<AppliedMigration>& applied, std::int32_t version,
                         const Migrations& migrations = three()) {
  return testing::error_of<MigrationError>([&] { static_cast<void>(plan_baseline(applied, migrations, version)); })
      .problem();
}

TEST(Baseline, RefusesWhatContradictsTheRecord) {
  EXPECT_EQ(problem({}, 4), MigrationProblem::missing);
  EXPECT_EQ(problem({}, -1), MigrationProblem::missing);
  EXPECT_EQ(problem({applied(1), applied(2)}, 1), MigrationProblem::superseded);
  EXPECT_EQ(problem({applied(1, State::applied, "other")}, 1), MigrationProblem::changed);
  Migrations gap;
  gap.add({.version = 1, .name = "step", .up = "SELECT 1"});
  gap.add({.version = 3, .name = "step", .up = "SELECT 3"});
  EXPECT_EQ(problem({}, 3, gap), MigrationProblem::missing);
}

}  // namespace
}  // namespace sqlane::detail
