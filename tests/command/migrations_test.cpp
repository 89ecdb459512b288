#include "cli/migrations.hpp"

namespace sqlane::cli {
namespace {

TEST(Migrations, EmbedTheProjectsOwnInOrder) {
  const auto migrations = embedded_migrations();
  ASSERT_EQ(migrations.size(), 2U);
  EXPECT_EQ(migrations[0].version, 1);
  EXPECT_EQ(migrations[0].name, "0001_create_visit.sql");
  EXPECT_EQ(migrations[1].version, 2);
}

TEST(Migrations, AreAppliedOnce) {
  Database db = Database::in_memory();
  EXPECT_EQ(apply_migrations(db, embedded_migrations()), 2);
  EXPECT_EQ(db.query_one<int>("PRAGMA user_version"), 2);
  EXPECT_EQ(apply_migrations(db, embedded_migrations()), 0);
  db.execute("INSERT INTO visit (run, worker, sequence, auth_name, code, visited_at) VALUES (1, 1, 1, 'E', 'c', 't')");
}

TEST(Migrations, MayHoldTriggersAndComments) {
  Database db = Database::in_memory();
  const Migration migrations[] = {{1, "0001.sql",
                                   "CREATE TABLE t (x); -- one; two\n"
                                   "CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM t WHERE x = 1; END;\n"
                                   "INSERT INTO t VALUES (1), (2) /* last */"}};
  EXPECT_EQ(apply_migrations(db, migrations), 1);
  EXPECT_EQ(db.query<int>("SELECT x FROM t"), std::vector<int>{2});
}

TEST(Migrations, AreWholeOrNotAtAll) {
  Database db = Database::in_memory();
  const Migration migrations[] = {{1, "0001.sql", "CREATE TABLE a (x);"},
                                  {2, "0002.sql", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);"}};
  EXPECT_THROW(apply_migrations(db, migrations), SchemaError);
  EXPECT_EQ(db.query_one<int>("PRAGMA user_version"), 1);
  EXPECT_EQ(db.query<std::string>("SELECT name FROM sqlite_master"), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace sqlane::cli
