#include <functional>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

// Options::sql, and Options::page_size.

namespace sqlane {
namespace {

using testing::bytes_of;
using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

class SqlSettingsOfADatabase : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(SqlSettings sql) const { return Database::open(file, {.readers = 1, .sql = sql}); }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "app.db";
};

TEST_F(SqlSettingsOfADatabase, AreSqlitesOwnLimitsUnlessSaid) {
  const ForeignConnection plain(folder / "other.db");
  ForeignConnection(file).run("CREATE TABLE t (a)");
  for (const detail::Role role : {detail::Role::writer, detail::Role::reader, detail::Role::checkpointer}) {
    const detail::Connection connection(detail::ConnectionSettings{.database = file.string(), .role = role});
    for (const int limit :
         {SQLITE_LIMIT_LENGTH, SQLITE_LIMIT_SQL_LENGTH, SQLITE_LIMIT_COLUMN, SQLITE_LIMIT_EXPR_DEPTH,
          SQLITE_LIMIT_COMPOUND_SELECT, SQLITE_LIMIT_VDBE_OP, SQLITE_LIMIT_FUNCTION_ARG,
          SQLITE_LIMIT_LIKE_PATTERN_LENGTH, SQLITE_LIMIT_VARIABLE_NUMBER, SQLITE_LIMIT_TRIGGER_DEPTH}) {
      EXPECT_EQ(sqlite3_limit(connection.handle(), limit, -1), sqlite3_limit(plain.handle(), limit, -1)) << limit;
    }
  }
}

TEST_F(SqlSettingsOfADatabase, LetACascadeGoAsDeepAsSqlite) {
  Database db = open({});
  db.execute("CREATE TABLE node (id INTEGER PRIMARY KEY, parent REFERENCES node ON DELETE CASCADE)");
  db.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
      "INSERT INTO node SELECT i, nullif(i - 1, 0) FROM n");
  db.execute("DELETE FROM node WHERE id = 1");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM node"), 0);
}

TEST_F(SqlSettingsOfADatabase, EndACascadeAtTheDepthThatIsSaid) {
  Database db = open({.trigger_depth = 5});
  db.execute("CREATE TABLE node (id INTEGER PRIMARY KEY, parent REFERENCES node ON DELETE CASCADE)");
  db.execute("INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6)");
  const auto error = error_of<Error>([&] { db.execute("DELETE FROM node WHERE id = 1"); });
  EXPECT_TRUE(mentions(error, "Options::sql.trigger_depth")) << error.what();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM node"), 7);
  db.execute("DELETE FROM node WHERE id = 4");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM node"), 3);
}

TEST_F(SqlSettingsOfADatabase, MatchLongPatternsAsSqliteDoes) {
  Database db = open({});
  const std::string pattern = std::string(20'000, 'a') + "%";
  EXPECT_EQ(db.query_one<int>("SELECT ? LIKE ?", pattern, pattern), 1);
}

TEST_F(SqlSettingsOfADatabase, TakeLongSqlAsSqliteDoes) {
  Database db = open({});
  const std::string text = "SELECT length('" + std::string(1'200'000, 'a') + "')";
  EXPECT_EQ(db.query_one<int>(runtime_sql(text)), 1'200'000);
}

TEST_F(SqlSettingsOfADatabase, EnforceForeignKeysUnlessTheyAreOff) {
  Database db = open({.foreign_keys = false});
  db.execute("CREATE TABLE parent (name)");  // neither a key nor unique: "foreign key mismatch"
  db.execute("CREATE TABLE child (parent REFERENCES parent (name))");
  db.execute("INSERT INTO child VALUES (7)");
  db.execute("DELETE FROM parent");
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM child"), 1);
  EXPECT_EQ(db.query_one<int>("PRAGMA foreign_keys"), 0);
  db.close();
  Database strict = open({});
  const auto error = error_of<SchemaError>([&] { strict.execute("INSERT INTO child VALUES (8)"); });
  EXPECT_TRUE(mentions(error, "child", "parent", "UNIQUE", "Options::sql.foreign_keys")) << error.what();
}

TEST_F(SqlSettingsOfADatabase, LetReplaceSetOffDeleteTriggers) {
  const auto replace = [&](SqlSettings sql) {
    Database db = open(sql);
    db.execute("DROP TABLE IF EXISTS t");
    db.execute("DROP TABLE IF EXISTS gone");
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    db.execute("CREATE TABLE gone (id)");
    db.execute("CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO gone VALUES (old.id); END");
    db.execute("INSERT INTO t VALUES (1)");
    db.execute("INSERT OR REPLACE INTO t VALUES (1)");
    return db.query_one<int>("SELECT count(*) FROM gone");
  };
  EXPECT_EQ(replace({}), 0);
  EXPECT_EQ(replace({.recursive_triggers = true}), 1);
}

TEST_F(SqlSettingsOfADatabase, TakeDoubleQuotesForStringsOnlyWhereAsked) {
  ForeignConnection(file).run(
      "CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t WHERE a = \"x\"; "
      "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = \"x\" WHERE a = \"y\"; END");
  {
    Database db = open({.double_quoted_strings = true});
    db.execute("INSERT INTO t VALUES ('y')");
    EXPECT_EQ(db.query_one<std::string>("SELECT a FROM v"), "x");
    EXPECT_EQ(db.query_one<std::string>("SELECT \"no column\""), "no column");
  }
  Database db = open({});
  const auto of_view = error_of<SchemaError>([&] { static_cast<void>(db.query<std::string>("SELECT a FROM v")); });
  EXPECT_TRUE(mentions(of_view, "double quotes", "Options::sql.double_quoted_strings")) << of_view.what();
  const auto of_trigger = error_of<SchemaError>([&] { db.execute("INSERT INTO t VALUES ('y')"); });
  EXPECT_TRUE(mentions(of_trigger, "double quotes", "Options::sql.double_quoted_strings")) << of_trigger.what();
  EXPECT_FALSE(mentions(
      error_of<SchemaError>([&] { static_cast<void>(db.query<std::string>(runtime_sql("SELECT nothing FROM t"))); }),
      "double quotes"));
}

TEST_F(SqlSettingsOfADatabase, RefuseLimitsAboveSqlitesOwn) {
  ForeignConnection(file).run("CREATE TABLE t (a)");
  const std::string before = bytes_of(file);
  for (const auto& [sql, name] : {std::pair{SqlSettings{.trigger_depth = 1'000'000'000}, "trigger_depth"},
                                  std::pair{SqlSettings{.sql_length = SIZE_MAX}, "sql_length"},
                                  std::pair{SqlSettings{.like_pattern_length = 1U << 31U}, "like_pattern_length"}}) {
    const auto error = error_of<UsageError>([&, &sql = sql] { static_cast<void>(open(sql)); });
    EXPECT_TRUE(mentions(error, name, "at most")) << error.what();
  }
  EXPECT_EQ(bytes_of(file), before);
}

TEST_F(SqlSettingsOfADatabase, AreOfAllWhoOpenTheFile) {
  const Database db = open({});
  const auto error = error_of<UsageError>([&] { static_cast<void>(open(SqlSettings::untrusted())); });
  EXPECT_TRUE(mentions(error, "Options::sql", "agree")) << error.what();
  const Database memory = Database::in_memory("shared");
  EXPECT_THROW(static_cast<void>(Database::in_memory("shared", {.sql = {.foreign_keys = false}})), UsageError);
  EXPECT_EQ(open({}).query_one<int>("SELECT 1"), 1);
}

TEST_F(SqlSettingsOfADatabase, ForStrangersTrustNoSchema) {
  ForeignConnection(file).run("CREATE VIEW v AS SELECT name FROM pragma_table_info('v'); CREATE TABLE t (a)");
  const Database db = open(SqlSettings::untrusted());
  const auto error = error_of<SchemaError>([&] { static_cast<void>(db.query<std::string>("SELECT * FROM v")); });
  EXPECT_TRUE(mentions(error, "pragma_table_info", "Options::sql.trusted_schema")) << error.what();
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("SELECT 1 /*" + std::string(1'000'000, 'x') + "*/"))),
               Error);
  EXPECT_THROW(static_cast<void>(db.query<int>("SELECT 'a' LIKE ?", std::string(20'000, 'a'))), Error);
}

TEST_F(SqlSettingsOfADatabase, ForStrangersSayThatATextOfTheSchemaIsTooLong) {
  ForeignConnection(file).run("CREATE TABLE t (a); CREATE VIEW v AS SELECT '" + std::string(1'000'100, 'x') +
                              "' FROM t");
  const auto error = error_of<OpenError>([&] { static_cast<void>(open(SqlSettings::untrusted())); });
  EXPECT_TRUE(mentions(error, "(v)", "Options::sql.sql_length")) << error.what();
  EXPECT_FALSE(mentions(error, "damaged")) << error.what();
  EXPECT_EQ(open({}).query_one<int>("SELECT count(*) FROM v"), 0);
}

// Where SQLite does not know JSON as harmless, the file cannot be opened so.
TEST_F(SqlSettingsOfADatabase, ForStrangersSayWhatTheyDoNotTrust) {
  const std::string flags =
      ForeignConnection(file).ask("SELECT flags FROM pragma_function_list WHERE name = 'json_valid'");
  if ((std::stoi(flags) & SQLITE_INNOCUOUS) != 0) GTEST_SKIP() << "this SQLite takes JSON for harmless";
  ForeignConnection(file).run("CREATE TABLE t (j CHECK (json_valid(j)))");
  const auto error = error_of<Error>([&] {
    Database db = open(SqlSettings::untrusted());
    db.execute("INSERT INTO t VALUES ('{}')");
  });
  EXPECT_TRUE(mentions(error, "json_valid", "Options::sql.trusted_schema")) << error.what();
}

// Options::page_size

TEST_F(SqlSettingsOfADatabase, GiveANewDatabaseItsPages) {
  for (const std::size_t size : {512U, 1024U, 4096U, 8192U, 65536U}) {
    const std::filesystem::path path = folder / (std::to_string(size) + ".db");
    for (const bool is_memory : {false, true}) {
      const Options options{.page_size = size};
      Database db = is_memory ? Database::in_memory(options) : Database::open(path, options);
      db.execute("CREATE TABLE t (a)");
      db.write([](Transaction& tx) {
        for (int i = 0; i < 300; ++i) tx.execute("INSERT INTO t VALUES (zeroblob(1000))");
      });
      EXPECT_EQ(db.query_one<std::size_t>("PRAGMA page_size"), size);
      EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
      EXPECT_EQ(db.query_one<std::string>("PRAGMA journal_mode"), "wal");
    }
    EXPECT_EQ(Database::open(path, {.mode = OpenMode::existing}).query_one<int>("SELECT count(*) FROM t"), 300);
  }
}

TEST_F(SqlSettingsOfADatabase, RefuseImpossiblePages) {
  for (const std::size_t size : {1U, 256U, 1000U, 131072U}) {
    EXPECT_THROW(static_cast<void>(Database::open(file, {.page_size = size})), UsageError) << size;
    EXPECT_THROW(static_cast<void>(Database::in_memory({.page_size = size})), UsageError) << size;
  }
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(SqlSettingsOfADatabase, RefuseOtherPagesThanAFileHas) {
  ForeignConnection(file).run("PRAGMA page_size=8192; CREATE TABLE t (a)");
  const std::string before = bytes_of(file);
  for (const OpenMode mode : {OpenMode::create, OpenMode::existing, OpenMode::read_only}) {
    const auto error =
        error_of<OpenError>([&] { static_cast<void>(Database::open(file, {.mode = mode, .page_size = 4096})); });
    EXPECT_TRUE(mentions(error, "8192", "4096", "Options::page_size")) << error.what();
  }
  EXPECT_EQ(bytes_of(file), before);
  EXPECT_EQ(Database::open(file, {.page_size = 8192}).query_one<int>("SELECT count(*) FROM t"), 0);
}

}  // namespace
}  // namespace sqlane
