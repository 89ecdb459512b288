#include <cstdint>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/connection.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using detail::Connection;
using detail::Role;
using testing::error_of;
using testing::mentions;
using testing::TemporaryFolder;

std::string ask(sqlite3* handle, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  std::string answer = "no answer";
  if (sqlite3_prepare_v2(handle, sql, -1, &statement, nullptr) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
    const unsigned char* text = sqlite3_column_text(statement, 0);
    answer = text == nullptr ? "NULL" : reinterpret_cast<const char*>(text);
  }
  sqlite3_finalize(statement);
  return answer;
}

int setting(sqlite3* handle, int option) {
  int value = -1;
  sqlite3_db_config(handle, option, -1, &value);
  return value;
}

class HardenedConnections : public ::testing::TestWithParam<Role> {
 protected:
  HardenedConnections() {
    Connection writer(settings(Role::writer));  // makes the file a database
    sqlite3_exec(writer.handle(), "CREATE TABLE note (title TEXT)", nullptr, nullptr, nullptr);
  }

  [[nodiscard]] detail::ConnectionSettings settings(Role role, Durability durability = Durability::full) const {
    return {.database = path, .role = role, .durability = durability, .statement_cache = 8, .page_cache = 1U << 20U};
  }

  TemporaryFolder folder;
  std::string path = [this] {
    testing::ForeignConnection(folder / "app.db").run("PRAGMA user_version=1");
    return (folder / "app.db").string();
  }();
};

TEST_P(HardenedConnections, HaveEverySettingWhateverTheirRole) {
  const Connection keeper(settings(Role::writer));
  const Connection connection(settings(GetParam()));
  sqlite3* const handle = connection.handle();
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_DEFENSIVE), 1);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA), 1);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_DQS_DML), 0);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_DQS_DDL), 0);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER), 0);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION), 0);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_ENABLE_FKEY), 1);
  EXPECT_EQ(setting(handle, SQLITE_DBCONFIG_WRITABLE_SCHEMA), 0);
  EXPECT_EQ(ask(handle, "PRAGMA foreign_keys"), "1");
  EXPECT_EQ(ask(handle, "PRAGMA cell_size_check"), "1");
  EXPECT_EQ(ask(handle, "PRAGMA mmap_size"), "0");
  EXPECT_EQ(ask(handle, "PRAGMA wal_autocheckpoint"), "0");
  EXPECT_EQ(ask(handle, "PRAGMA cache_size"), "-1024");
  EXPECT_EQ(ask(handle, "PRAGMA journal_mode"), "wal");
  EXPECT_LE(sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, -1), 1);
  EXPECT_EQ(sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, -1), 0);
}

TEST_P(HardenedConnections, NeverLoadAnExtension) {
  const Connection keeper(settings(Role::writer));
  const Connection connection(settings(GetParam()));
  char* message = nullptr;
  EXPECT_EQ(sqlite3_load_extension(connection.handle(), "nothing.so", nullptr, &message), SQLITE_ERROR);
  EXPECT_TRUE(mentions(message == nullptr ? "" : message, "not authorized")) << message;
  sqlite3_free(message);
}

TEST_P(HardenedConnections, AreReadOnlyExactlyWhenTheyAreReaders) {
  const Connection keeper(settings(Role::writer));
  const Connection connection(settings(GetParam()));
  EXPECT_EQ(sqlite3_db_readonly(connection.handle(), "main"), GetParam() == Role::reader ? 1 : 0);
  EXPECT_EQ(sqlite3_exec(connection.handle(), "PRAGMA query_only=OFF; DELETE FROM note", nullptr, nullptr, nullptr),
            GetParam() == Role::reader ? SQLITE_READONLY : SQLITE_OK);
}

INSTANTIATE_TEST_SUITE_P(Roles, HardenedConnections, ::testing::Values(Role::writer, Role::reader, Role::checkpointer),
                         [](const ::testing::TestParamInfo<Role>& role) {
                           return role.param == Role::writer   ? "Writer"
                                  : role.param == Role::reader ? "Reader"
                                                               : "Checkpointer";
                         });

using HardenedWriters = HardenedConnections;

TEST_P(HardenedWriters, SyncAsTheDurabilitySays) {
  EXPECT_EQ(ask(Connection(settings(Role::writer)).handle(), "PRAGMA synchronous"), "2");
  EXPECT_EQ(ask(Connection(settings(Role::writer, Durability::normal)).handle(), "PRAGMA synchronous"), "1");
}

TEST_P(HardenedWriters, DoNotSpillWhereTheEngineCannotUndoIt) {
  if (sqlite3_libversion_number() >= 3'050'002) GTEST_SKIP() << "this SQLite may spill";
  EXPECT_EQ(ask(Connection(settings(Role::writer)).handle(), "PRAGMA cache_spill"), "0");
}

INSTANTIATE_TEST_SUITE_P(Writer, HardenedWriters, ::testing::Values(Role::writer));

// Through the public face

class Hardening : public ::testing::Test {
 protected:
  Hardening() { db.execute("CREATE TABLE note (title TEXT)"); }

  // As a write by itself, in a transaction, and as a read; nothing of it happens
  // and what surrounds it goes on.
  template <class Expected>
  void expect_refused(std::string_view text) {
    SCOPED_TRACE(text);
    EXPECT_THROW(db.execute(runtime_sql(text)), Expected);
    EXPECT_THROW(static_cast<void>(db.query<std::string>(runtime_sql(text))), Expected);
    const std::int64_t before = db.query_one<std::int64_t>("SELECT count(*) FROM note");
    db.write([&](Transaction& tx) {
      tx.execute("INSERT INTO note VALUES ('before')");
      EXPECT_THROW(tx.execute(runtime_sql(text)), Expected);
      EXPECT_THROW(static_cast<void>(tx.query_optional<std::string>(runtime_sql(text))), Expected);
      EXPECT_EQ(tx.state(), TransactionState::open);
      tx.execute("INSERT INTO note VALUES ('after')");
    });
    EXPECT_EQ(db.query_one<std::int64_t>("SELECT count(*) FROM note"), before + 2);
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 3});
};

TEST_F(Hardening, RefusesToControlTransactionsBySql) {
  for (const char* text : {"BEGIN", "begin immediate", "/* so */ COMMIT", "END", "ROLLBACK", "ROLLBACK TO sqlane",
                           "SAVEPOINT mine", "RELEASE sqlane", "EXPLAIN COMMIT", " ; ROLLBACK;"}) {
    expect_refused<UsageError>(text);
  }
}

TEST_F(Hardening, RefusesToAttachDatabases) {
  expect_refused<UsageError>("ATTACH ':memory:' AS other");
  expect_refused<UsageError>("DETACH main");
  expect_refused<UsageError>("EXPLAIN ATTACH ':memory:' AS other");
}

TEST_F(Hardening, RefusesPragmasThatChangeTheConnection) {
  for (const char* text : {"PRAGMA journal_mode=DELETE",    "PRAGMA Journal_Mode = delete",
                           "PRAGMA main.journal_mode=OFF",  "PRAGMA journal_mode('memory')",
                           "PRAGMA synchronous=OFF",        "PRAGMA foreign_keys=OFF",
                           "PRAGMA wal_autocheckpoint=1",   "PRAGMA wal_checkpoint(TRUNCATE)",
                           "PRAGMA wal_checkpoint",         "PRAGMA mmap_size=1000000",
                           "PRAGMA trusted_schema=ON",      "PRAGMA writable_schema=ON",
                           "PRAGMA query_only=ON",          "PRAGMA locking_mode=EXCLUSIVE",
                           "PRAGMA cache_spill=ON",         "PRAGMA cell_size_check=OFF",
                           "PRAGMA busy_timeout=1",         "PRAGMA cache_size=1",
                           "PRAGMA temp_store=MEMORY",      "PRAGMA recursive_triggers=ON",
                           "PRAGMA case_sensitive_like=ON", "PRAGMA ignore_check_constraints=ON",
                           "PRAGMA read_uncommitted=ON",    "PRAGMA reverse_unordered_selects=ON",
                           "PRAGMA legacy_alter_table=ON",  "PRAGMA key='secret'",
                           "PRAGMA shrink_memory",          "PRAGMA hard_heap_limit=1",
                           "PRAGMA max_page_count=10"}) {
    expect_refused<UsageError>(text);
  }
  EXPECT_EQ(db.query_one<int>("PRAGMA foreign_keys"), 1);
}

TEST_F(Hardening, RefusesDoubleQuotedStrings) {
  expect_refused<SchemaError>("SELECT \"no such column\"");
  EXPECT_THROW(db.execute(runtime_sql("CREATE INDEX odd ON note (\"no such column\")")), SchemaError);
  EXPECT_EQ(db.query<std::string>(runtime_sql("SELECT \"title\" FROM note")).size(), 2U);
}

TEST_F(Hardening, RefusesExtensionsAndTokenizerAddresses) {
  expect_refused<Error>("SELECT load_extension('nothing.so')");
  expect_refused<Error>("SELECT fts3_tokenizer('mine', x'4141414141414141')");
  EXPECT_EQ(db.query_one<std::string>(runtime_sql("SELECT hex(fts3_tokenizer('simple'))")), "") << "an address";
}

TEST_F(Hardening, RefusesToWriteTheSchemaTable) {
  EXPECT_THROW(db.execute(runtime_sql("UPDATE sqlite_master SET sql = 'nonsense'")), Error);
  EXPECT_THROW(db.execute(runtime_sql("DELETE FROM sqlite_schema")), Error);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
}

TEST_F(Hardening, EnforcesForeignKeys) {
  db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)");
  db.execute("CREATE TABLE child (parent INTEGER REFERENCES parent)");
  EXPECT_THROW(db.execute("INSERT INTO child VALUES (7)"), ConstraintError);
}

TEST_F(Hardening, AllowsPragmasThatOnlyChangeTheContent) {
  db.execute("PRAGMA user_version=7");
  db.write([](Transaction& tx) { tx.execute("PRAGMA application_id=42"); });
  EXPECT_EQ(db.query_one<int>("PRAGMA user_version"), 7);
  EXPECT_EQ(db.query_one<int>("PRAGMA application_id"), 42);
}

TEST_F(Hardening, AppliesToEveryReader) {
  std::vector<std::unique_ptr<Snapshot>> snapshots;
  for (int i = 0; i < 3; ++i) snapshots.push_back(std::unique_ptr<Snapshot>(new Snapshot(db.snapshot())));
  for (const auto& snapshot : snapshots) {
    EXPECT_EQ(snapshot->query_one<int>("PRAGMA foreign_keys"), 1);
    EXPECT_EQ(snapshot->query_one<int>("PRAGMA cell_size_check"), 1);
    EXPECT_EQ(snapshot->query_one<int>("PRAGMA mmap_size"), 0);
    EXPECT_THROW(snapshot->query_one<int>(runtime_sql("PRAGMA query_only=OFF")), UsageError);
    EXPECT_THROW(snapshot->query_one<std::string>(runtime_sql("SELECT \"text\"")), SchemaError);
  }
}

// What one transaction leaves on the connection, the next one would meet there:
// a temporary view can even stand in front of a table.
TEST_F(Hardening, LetsNoTemporaryObjectOutliveItsTransaction) {
  db.execute("INSERT INTO note VALUES ('real')");
  try {
    db.write([](Transaction& tx) { tx.execute("CREATE TEMP VIEW note AS SELECT 'not real' AS title"); });
  } catch (const UsageError&) {  // refusing it is as good
  }
  db.write([](Transaction& tx) { EXPECT_EQ(tx.query_one<std::string>("SELECT title FROM note"), "real"); });
}

TEST_F(Hardening, RefusesTemporaryObjectsHoweverTheyAreSpelt) {
  for (const char* text : {"CREATE TEMP TABLE note (a)", "CREATE TABLE temp.note (a)", "CREATE VIEW temp.v AS SELECT 1",
                           "CREATE TRIGGER temp.g AFTER INSERT ON main.note BEGIN SELECT 1; END",
                           "CREATE VIRTUAL TABLE temp.note USING fts5(a)"}) {
    EXPECT_THROW(db.execute(runtime_sql(text)), UsageError) << text;
  }
}

TEST_F(Hardening, LetsNoDeferredForeignKeysOutliveTheirTransaction) {
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("PRAGMA defer_foreign_keys=ON"))), UsageError);
  Database memory = Database::in_memory();
  memory.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)");
  memory.execute("CREATE TABLE c (p REFERENCES p)");
  const auto expect_checked = [&] {
    memory.write([](Transaction& tx) { EXPECT_THROW(tx.execute("INSERT INTO c VALUES (99)"), ConstraintError); });
  };
  EXPECT_THROW(static_cast<void>(memory.query<int>(runtime_sql("PRAGMA defer_foreign_keys=ON"))), UsageError);
  expect_checked();
  memory.execute("PRAGMA defer_foreign_keys=ON");
  expect_checked();
}

TEST_F(Hardening, HoldsForAMemoryDatabaseToo) {
  Database memory = Database::in_memory();
  EXPECT_THROW(memory.execute(runtime_sql("PRAGMA foreign_keys=OFF")), UsageError);
  EXPECT_THROW(memory.execute(runtime_sql("ATTACH 'x' AS y")), UsageError);
  EXPECT_THROW(static_cast<void>(memory.query<std::string>(runtime_sql("SELECT \"text\""))), SchemaError);
  EXPECT_THROW(static_cast<void>(memory.query<int>(runtime_sql("PRAGMA user_version=1"))), ReadOnlyError);
  EXPECT_EQ(memory.query_one<int>("PRAGMA foreign_keys"), 1);
}

}  // namespace
}  // namespace sqlane
