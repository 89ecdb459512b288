#include <cstddef>
#include <cstdint>
#include <sqlite3.h>
#include <string>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

// Schemas as other programs make them every day: JSON, full-text search, R*Tree.

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

struct OrdinarySchema {
  const char* name;
  std::vector<const char*> schema;
  const char* write;
  const char* ask;  // after the write
  std::string answer;
};

void PrintTo(const OrdinarySchema& schema, std::ostream* stream) { *stream << schema.name; }

const OrdinarySchema kOrdinarySchemas[] = {
    {.name = "CheckWithJson",
     .schema = {"CREATE TABLE t (j TEXT CHECK (json_valid(j)))"},
     .write = R"(INSERT INTO t VALUES ('{"a": 1}'))",
     .ask = "SELECT j ->> 'a' FROM t",
     .answer = "1"},
    {.name = "GeneratedColumnOfJson",
     .schema = {"CREATE TABLE t (j TEXT, a AS (json_extract(j, '$.a')) STORED, b AS (j ->> 'b'))"},
     .write = R"(INSERT INTO t VALUES ('{"a": 1, "b": 2}'))",
     .ask = "SELECT a || b FROM t",
     .answer = "12"},
    {.name = "IndexOnJson",
     .schema = {"CREATE TABLE t (j TEXT)", "CREATE UNIQUE INDEX i ON t (json_extract(j, '$.a'))"},
     .write = R"(INSERT INTO t VALUES ('{"a": 7}'))",
     .ask = "SELECT count(*) FROM t INDEXED BY i WHERE json_extract(j, '$.a') = 7",
     .answer = "1"},
    {.name = "PartialIndexOnJson",
     .schema = {"CREATE TABLE t (j TEXT, n)", "CREATE INDEX i ON t (n) WHERE json_valid(j)"},
     .write = "INSERT INTO t VALUES ('[]', 5)",
     .ask = "SELECT n FROM t WHERE json_valid(j) AND n = 5",
     .answer = "5"},
    {.name = "ViewOfJson",
     .schema = {"CREATE TABLE t (j TEXT)", "CREATE VIEW v AS SELECT value FROM t, json_each(t.j)"},
     .write = "INSERT INTO t VALUES ('[1, 2, 3]')",
     .ask = "SELECT sum(value) FROM v",
     .answer = "6"},
    {.name = "TriggerWithJson",
     .schema = {"CREATE TABLE t (n)", "CREATE TABLE log (j)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (json_object('n', new.n)); END"},
     .write = "INSERT INTO t VALUES (4)",
     .ask = "SELECT j FROM log",
     .answer = R"({"n":4})"},
    {.name = "DefaultOfJson",
     .schema = {"CREATE TABLE t (n, j DEFAULT (json_array(1, 2)))"},
     .write = "INSERT INTO t (n) VALUES (1)",
     .ask = "SELECT j FROM t",
     .answer = "[1,2]"},
    {.name = "FullTextIndexKeptByTriggers",
     .schema = {"CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)",
                "CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='id')",
                "CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO f (rowid, body) VALUES (new.id, new.body); END",
                "CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO f (f, rowid, body) VALUES ('delete', old.id, "
                "old.body); END",
                "CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO f (f, rowid, body) VALUES ('delete', old.id, "
                "old.body); INSERT INTO f (rowid, body) VALUES (new.id, new.body); END"},
     .write = "INSERT INTO t (body) VALUES ('a plain word')",
     .ask = "SELECT rowid FROM f WHERE f MATCH 'plain'",
     .answer = "1"},
    {.name = "ViewOfFullText",
     .schema = {"CREATE VIRTUAL TABLE f USING fts5(body)",
                "CREATE VIEW v AS SELECT highlight(f, 0, '<', '>') AS h, bm25(f) AS score FROM f WHERE f MATCH 'word'"},
     .write = "INSERT INTO f VALUES ('a plain word')",
     .ask = "SELECT h FROM v",
     .answer = "a plain <word>"},
    {.name = "MatchInsideATrigger",
     .schema = {"CREATE VIRTUAL TABLE f USING fts4(body)", "CREATE TABLE t (n)", "CREATE TABLE found (body)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO f VALUES ('known ' || new.n); "
                "INSERT INTO found SELECT snippet(f) FROM f WHERE f MATCH 'known'; END"},
     .write = "INSERT INTO t VALUES (3)",
     .ask = "SELECT body FROM found",
     .answer = "<b>known</b> 3"},
    {.name = "SpatialIndexKeptByTriggers",
     .schema = {"CREATE TABLE t (id INTEGER PRIMARY KEY, x, y)", "CREATE VIRTUAL TABLE r USING rtree(id, a, b, c, d)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO r VALUES (new.id, new.x, new.x, new.y, new.y); "
                "END"},
     .write = "INSERT INTO t VALUES (9, 1, 2)",
     .ask = "SELECT id FROM r WHERE a > 0.5 AND c < 2.5",
     .answer = "9"},
    {.name = "ViewOfAPragma",
     .schema = {"CREATE TABLE t (first, second)",
                "CREATE VIEW v AS SELECT group_concat(name) FROM pragma_table_info('t')"},
     .write = "INSERT INTO t VALUES (1, 2)",
     .ask = "SELECT * FROM v",
     .answer = "first,second"},
    {.name = "ViewOfAVocabulary",
     .schema = {"CREATE VIRTUAL TABLE f USING fts5(body)", "CREATE VIRTUAL TABLE words USING fts5vocab(f, row)",
                "CREATE VIEW v AS SELECT term FROM words WHERE doc > 0"},
     .write = "INSERT INTO f VALUES ('lonely')",
     .ask = "SELECT term FROM v",
     .answer = "lonely"},
};

class OrdinarySchemas : public ::testing::TestWithParam<OrdinarySchema> {
 protected:
  static std::string answer_of(const Database& db) {
    return db.query_one<std::string>(runtime_sql("SELECT CAST((" + std::string(GetParam().ask) + ") AS TEXT)"));
  }

  static void expect_to_work(Database& db) {
    db.execute(runtime_sql(GetParam().write));
    EXPECT_EQ(answer_of(db), GetParam().answer);
    EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "app.db";
};

TEST_P(OrdinarySchemas, AreMadeAndUsed) {
  Database db = Database::open(file);
  for (const char* text : GetParam().schema) db.execute(runtime_sql(text));
  expect_to_work(db);
}

TEST_P(OrdinarySchemas, AreMadeAndUsedInMemory) {
  Database db = Database::in_memory();
  for (const char* text : GetParam().schema) db.execute(runtime_sql(text));
  expect_to_work(db);
}

TEST_P(OrdinarySchemas, OfAnotherProgramAreOpenedAndCopied) {
  {
    ForeignConnection other(file);
    for (const char* text : GetParam().schema) other.run(text);
  }
  Database db = Database::open(file, {.mode = OpenMode::existing});
  expect_to_work(db);
  db.backup_to(folder / "copy.db");
  Database copy = Database::open(folder / "copy.db", {.mode = OpenMode::read_only});
  EXPECT_EQ(answer_of(copy), GetParam().answer);
  Database restored = Database::open(folder / "restored.db");
  restored.restore_from(folder / "copy.db");
  EXPECT_EQ(answer_of(restored), GetParam().answer);
}

// ALTER TABLE looks at all of the schema, whatever table it changes.
TEST_P(OrdinarySchemas, LetOtherTablesBeAltered) {
  Database db = Database::open(file);
  for (const char* text : GetParam().schema) db.execute(runtime_sql(text));
  db.execute("CREATE TABLE another (a, b)");
  db.execute("ALTER TABLE another RENAME COLUMN a TO c");
  db.execute("ALTER TABLE another DROP COLUMN b");
  db.execute("ALTER TABLE another RENAME TO renamed");
  expect_to_work(db);
}

TEST_P(OrdinarySchemas, AreMadeByMigrations) {
  Migrations migrations;
  for (const char* text : GetParam().schema) {
    migrations.add({.version = migrations.newest() + 1, .name = "step", .up = std::string(text) + ";"});
  }
  Database db = Database::open(file);
  db.migrate(migrations);
  expect_to_work(db);
  EXPECT_TRUE(verify_migrations(migrations).findings.empty());
}

INSTANTIATE_TEST_SUITE_P(All, OrdinarySchemas, ::testing::ValuesIn(kOrdinarySchemas),
                         [](const auto& given) { return std::string(given.param.name); });

// What a schema may not use

extern "C" void seven(sqlite3_context* context, int, sqlite3_value**) { sqlite3_result_int(context, 7); }

extern "C" int register_functions(sqlite3* connection, char**, const sqlite3_api_routines*) {
  sqlite3_create_function(connection, "Of_Program", 0, SQLITE_UTF8, nullptr, &seven, nullptr, nullptr);
  return sqlite3_create_function(connection, "harmless", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, nullptr, &seven, nullptr,
                                 nullptr);
}

// The program brings two functions along, on all its connections.
class FunctionsOfTheProgram : public ::testing::Test {
 protected:
  using Entry = void (*)();

  FunctionsOfTheProgram() { sqlite3_auto_extension(reinterpret_cast<Entry>(&register_functions)); }
  ~FunctionsOfTheProgram() override { sqlite3_cancel_auto_extension(reinterpret_cast<Entry>(&register_functions)); }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "app.db";
};

TEST_F(FunctionsOfTheProgram, AreForItsOwnStatements) {
  const Database db = Database::open(file);
  EXPECT_EQ(db.query_one<int>("SELECT of_program() + harmless()"), 14);
}

TEST_F(FunctionsOfTheProgram, AreNotForViewsUnlessTheyAreInnocuous) {
  Database db = Database::open(file);
  db.execute("CREATE VIEW good AS SELECT harmless() AS seven");
  db.execute("CREATE VIEW bad AS SELECT OF_PROGRAM() AS seven");
  db.execute("CREATE VIEW upon AS SELECT upper(seven) FROM bad");
  EXPECT_EQ(db.query_one<int>("SELECT seven FROM good"), 7);
  for (const char* text : {"SELECT seven FROM bad", "SELECT * FROM upon"}) {
    const auto error = error_of<SchemaError>([&] { static_cast<void>(db.query<std::string>(runtime_sql(text))); });
    EXPECT_TRUE(mentions(error, "\"bad\"", "of_program()", "SQLITE_INNOCUOUS")) << error.what();
  }
}

TEST_F(FunctionsOfTheProgram, AreNotForTriggersUnlessTheyAreInnocuous) {
  Database db = Database::open(file);
  db.execute("CREATE TABLE good (n)");
  db.execute("CREATE TABLE bad (n)");
  db.execute("CREATE TABLE log (n)");
  db.execute("CREATE TRIGGER on_good AFTER INSERT ON good BEGIN INSERT INTO log VALUES (harmless()); END");
  db.execute("CREATE TRIGGER on_bad AFTER INSERT ON bad BEGIN INSERT INTO log VALUES (of_program()); END");
  db.execute("INSERT INTO good VALUES (1)");
  const auto error = error_of<SchemaError>([&] { db.execute("INSERT INTO bad VALUES (1)"); });
  EXPECT_TRUE(mentions(error, "\"on_bad\"", "of_program()")) << error.what();
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM log"), 1);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM bad"), 0);
}

// SQLite prepares the kept statement again by itself, while nothing watches.
TEST_F(FunctionsOfTheProgram, AreNotForViewsThatChangeUnderAKeptStatement) {
  Database db = Database::open(file, {.readers = 1});
  db.execute("CREATE VIEW v AS SELECT 1 AS seven");
  const auto ask = [&] { return db.query_one<int>("SELECT seven FROM v"); };
  EXPECT_EQ(ask(), 1);
  ForeignConnection(file).run("DROP VIEW v; CREATE VIEW v AS SELECT of_program() AS seven");
  EXPECT_TRUE(mentions(error_of<SchemaError>(ask), "\"v\"", "of_program()"));
  ForeignConnection(file).run("DROP VIEW v; CREATE VIEW v AS SELECT harmless() AS seven");
  EXPECT_EQ(ask(), 7);
}

// These two are SQLite's own, on every version, whatever the settings.
TEST(DangerousFunctions, AreNotForAnySchema) {
  const TemporaryFolder folder;
  Database db = Database::open(folder / "app.db");
  db.execute("CREATE VIEW extension AS SELECT load_extension('nothing')");
  db.execute("CREATE VIEW tokenizer AS SELECT fts3_tokenizer('simple')");
  db.execute("CREATE TABLE t (n)");
  db.execute("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('nothing'); END");
  EXPECT_TRUE(mentions(error_of<SchemaError>([&] { static_cast<void>(db.query<int>("SELECT * FROM extension")); }),
                       "load_extension()"));
  EXPECT_TRUE(mentions(error_of<SchemaError>([&] { static_cast<void>(db.query<int>("SELECT * FROM tokenizer")); }),
                       "fts3_tokenizer()"));
  EXPECT_TRUE(mentions(error_of<SchemaError>([&] { db.execute("INSERT INTO t VALUES (1)"); }), "load_extension()"));
  // Some versions refuse the CHECK itself, others what it does.
  EXPECT_THROW(
      {
        db.execute("CREATE TABLE u (n CHECK (load_extension(n) IS NULL))");
        db.execute("INSERT INTO u VALUES (1)");
      },
      Error);
}

}  // namespace
}  // namespace sqlane
