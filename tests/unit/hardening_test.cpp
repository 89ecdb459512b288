#include "sqlite/hardening.hpp"

#include <sqlite3.h>
#include <string>

#include "sqlite/connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

// What an attacker would try; asked of SQLite itself, past the library's own checks.
class Hardening : public ::testing::Test {
 protected:
  [[nodiscard]] int execute(const char* sql) const {
    return sqlite3_exec(connection_.handle(), sql, nullptr, nullptr, nullptr);
  }
  [[nodiscard]] int setting(int option) const {
    int value = -1;
    sqlite3_db_config(connection_.handle(), option, -1, &value);
    return value;
  }

  Connection connection_{
      ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0), .sql = SqlSettings::untrusted()}};
};

TEST_F(Hardening, SwitchesOffWhatNobodyNeeds) {
  EXPECT_EQ(setting(SQLITE_DBCONFIG_DEFENSIVE), 1);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_TRUSTED_SCHEMA), 0);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_DQS_DML), 0);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_DQS_DDL), 0);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER), 0);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION), 0);
  EXPECT_EQ(setting(SQLITE_DBCONFIG_ENABLE_FKEY), 1);
}

TEST_F(Hardening, TakesDoubleQuotesForNamesOnly) {
  EXPECT_NE(execute("SELECT \"no such column\""), SQLITE_OK);
  EXPECT_NE(execute("CREATE TABLE t (a DEFAULT (\"text\"))"), SQLITE_OK);
}

TEST_F(Hardening, GuardsTheSchemaTable) {
  ASSERT_EQ(execute("CREATE TABLE t (a)"), SQLITE_OK);
  static_cast<void>(execute("PRAGMA writable_schema=ON"));
  EXPECT_NE(execute("UPDATE sqlite_master SET sql = 'CREATE TABLE t (b)'"), SQLITE_OK);
}

TEST_F(Hardening, LoadsNoExtensions) {
  EXPECT_NE(sqlite3_load_extension(connection_.handle(), "no_such_extension", nullptr, nullptr), SQLITE_OK);
  EXPECT_NE(execute("SELECT load_extension('no_such_extension')"), SQLITE_OK);
}

TEST_F(Hardening, ChecksForeignKeys) {
  ASSERT_EQ(execute("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)"), SQLITE_OK);
  EXPECT_NE(execute("INSERT INTO c VALUES (1)"), SQLITE_OK);
}

TEST_F(Hardening, LimitsWhatAStatementMayBe) {
  EXPECT_EQ(execute(("SELECT " + std::string(900'000, ' ') + "1").c_str()), SQLITE_OK);
  EXPECT_EQ(execute(("SELECT " + std::string(1'100'000, ' ') + "1").c_str()), SQLITE_TOOBIG);
}

TEST(HardeningOfWhatIsTrusted, LeavesTheSchemaAndSqlitesLimitsAsTheyAre) {
  const Connection connection(ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0)});
  int trusted = 0;
  sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
  EXPECT_EQ(trusted, 1);
  const std::string text = "SELECT " + std::string(1'100'000, ' ') + "1";
  EXPECT_EQ(sqlite3_exec(connection.handle(), text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
}

TEST(HardeningOnAFile, LeavesVacuumPossible) {
  const testing::TemporaryFolder folder;
  Database db = Database::open(folder / "a.db");
  db.execute("CREATE TABLE t (a)");
  EXPECT_NO_THROW(db.execute("VACUUM"));
}

}  // namespace
}  // namespace sqlane::detail
