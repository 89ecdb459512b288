#include <sqlane/cli/migrations.hpp>
#include <sqlane/sqlane.hpp>

// The project's own, as they are embedded into the command.

namespace sqlane::cli {
namespace {

TEST(EmbeddedMigrations, AreTheProjectsOwnInOrder) {
  const auto list = migrations().list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].version, 1);
  EXPECT_EQ(list[0].file, "0001_create_visit.sql");
  EXPECT_EQ(list[1].version, 2);
  EXPECT_EQ(&migrations(), &migrations()) << "they were made twice";
}

TEST(EmbeddedMigrations, AreThoseOfTheFolder) {
  const Migrations folder = Migrations::from_folder(SQLANE_SOURCE_DIR "/migrations");
  ASSERT_EQ(folder.list().size(), migrations().list().size());
  for (std::size_t i = 0; i < folder.list().size(); ++i) {
    EXPECT_EQ(checksum(folder.list()[i]), checksum(migrations().list()[i]));
    EXPECT_EQ(std::get<std::string>(*folder.list()[i].down), std::get<std::string>(*migrations().list()[i].down));
  }
}

TEST(EmbeddedMigrations, GoDownAndUpAgain) {
  Database db = Database::in_memory();
  EXPECT_EQ(db.migrate(migrations()).steps.size(), 2U);
  db.execute("INSERT INTO visit (run, worker, sequence, auth_name, code, visited_at) VALUES (1, 1, 1, 'E', 'c', 't')");
  EXPECT_EQ(db.migrate(migrations(), {.target = 0}).steps.size(), 2U);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM sqlite_master WHERE name <> 'sqlane_migration'"), 0);
  EXPECT_EQ(db.migrate(migrations()).to, 2);
}

}  // namespace
}  // namespace sqlane::cli
