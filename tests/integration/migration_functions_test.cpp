#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::expected_state;
using testing::followed_by;
using testing::Migrating;
using testing::state_of;

using Strings = std::vector<std::string>;

TEST_P(Migrating, LetsTheErrorsOfAFunctionThroughAndUndoesIt) {
  struct OwnError {};
  const Migrations migrations = followed_by({.up = [](Transaction& tx) {
    tx.execute("DELETE FROM visit");
    throw OwnError();
  }});
  EXPECT_THROW(db_.migrate(migrations), OwnError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, NamesTheFunctionWhoseStatementFailed) {
  const Migrations migrations = followed_by({.up = [](Transaction& tx) { tx.execute("DELETE FROM nowhere"); }});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::failed);
  EXPECT_EQ(error.file(), "0006_sixth");
}

TEST_P(Migrating, DoesNotLetAFunctionEndItsTransaction) {
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction& tx) { tx.commit(); }})), UsageError);
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction& tx) { tx.execute(runtime_sql("COMMIT")); }})),
               UsageError);
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, CallsBackWhenItIsCommittedAndTheLaneIsFree) {
  Strings called;
  const auto function = [&](bool fails) {
    return [&, fails](Transaction& tx) {
      tx.on_commit([&]() noexcept { called.push_back("commit, " + std::to_string(!db_.lane_holder().has_value())); });
      tx.on_rollback(
          [&]() noexcept { called.push_back("rollback, " + std::to_string(!db_.lane_holder().has_value())); });
      if (fails) throw 1;
    };
  };
  EXPECT_THROW(db_.migrate(followed_by({.up = function(true)})), int);
  EXPECT_EQ(called, Strings{"rollback, 1"});
  called.clear();
  db_.migrate(followed_by({.up = function(false)}));
  EXPECT_EQ(called, Strings{"commit, 1"});
}

TEST_P(Migrating, LetsAFunctionUndoAPartOfWhatItDoes) {
  db_.migrate(followed_by({.up = [](Transaction& tx) {
    {
      const Savepoint undone = tx.savepoint();
      tx.execute("DELETE FROM visit");
    }
    tx.execute("DELETE FROM visit WHERE id = 1");
  }}));
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM visit"), 299);
}

}  // namespace
}  // namespace sqlane
