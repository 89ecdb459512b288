#include <string>

#include "support/expect_error.hpp"
#include "support/five_migrations.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::expected_state;
using testing::five_migrations;
using testing::followed_by;
using testing::mentions;
using testing::Migrating;
using testing::only;
using testing::state_of;

TEST_P(Migrating, RebuildsATableThatOthersReferTo) {
  Migrations migrations = only(
      "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
      "CREATE TABLE child (parent INTEGER REFERENCES parent ON DELETE CASCADE);"
      "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);");
  migrations.add({.version = 2,
                  .name = "rebuild",
                  .up = "CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT);"
                        "INSERT INTO new_parent (id) SELECT id FROM parent;"
                        "DROP TABLE parent; ALTER TABLE new_parent RENAME TO parent;"});
  db_.migrate(migrations);
  EXPECT_EQ(db_.query_one<int>("SELECT count(*) FROM child"), 1);
  EXPECT_EQ(db_.query_one<std::string>("SELECT \"table\" FROM pragma_foreign_key_list('child')"), "parent");
}

TEST_P(Migrating, RefusesToLeaveRowsThatReferToNothing) {
  const Migrations migrations = followed_by({.up = "DELETE FROM place WHERE id = 1"});
  const auto error = error_of<MigrationError>([&] { db_.migrate(migrations); });
  EXPECT_EQ(error.problem(), MigrationProblem::foreign_keys);
  EXPECT_TRUE(mentions(error, "150 rows would refer to nothing (visit row 2 to no row of place, ")) << error.what();
  EXPECT_EQ(state_of(db_), expected_state(5));
}

TEST_P(Migrating, LeavesForeignKeysOnWhateverHappens) {
  const auto expect_on = [&] {
    EXPECT_EQ(db_.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA foreign_keys"); }), 1);
  };
  db_.migrate(five_migrations());
  expect_on();
  EXPECT_THROW(db_.migrate(followed_by({.up = "DELETE FROM place"})), MigrationError);
  expect_on();
  EXPECT_THROW(db_.migrate(followed_by({.up = [](Transaction&) { throw 1; }})), int);
  expect_on();
}

}  // namespace
}  // namespace sqlane
