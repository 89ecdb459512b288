#include <gtest/gtest.h>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <vector>

#include "migrate/normal_sql.hpp"
#include "sqlane/sqlane.hpp"

namespace sqlane {
namespace {

void run_script(Database& db, std::string_view script) {
  db.write([&](Transaction& tx) {
    for (auto facts = detail::scan_sql(script); facts.kind != detail::SqlKind::empty;
         facts = detail::scan_sql(script)) {
      tx.execute(runtime_sql(script.substr(0, facts.end)));
      script.remove_prefix(facts.end);
    }
  });
}

Schema schema_after(std::string_view script) {
  Database db = Database::in_memory();
  run_script(db, script);
  return read_schema(db);
}

std::vector<std::string> sentences(const std::vector<SchemaDifference>& differences) {
  std::vector<std::string> all;
  for (const SchemaDifference& difference : differences) all.push_back(difference.sentence);
  return all;
}

struct Pair {
  const char* what;
  const char* one;
  const char* other;
};

std::string name_of(const ::testing::TestParamInfo<Pair>& info) {
  std::string name;
  bool begins_word = true;
  for (const char* c = info.param.what; *c != '\0'; ++c) {
    if (*c == ' ') {
      begins_word = true;
    } else {
      name += begins_word ? detail::to_upper(*c) : *c;
      begins_word = false;
    }
  }
  return name;
}

// ---- what means the same

class EqualSchemas : public ::testing::TestWithParam<Pair> {};

TEST_P(EqualSchemas, DoNotDiffer) {
  const Schema one = schema_after(GetParam().one);
  const Schema other = schema_after(GetParam().other);
  EXPECT_EQ(sentences(compare_schemas(one, other)), std::vector<std::string>());
  EXPECT_TRUE(one == other);
}

const Pair kEqual[] = {
    {"white space", "CREATE TABLE t (a INTEGER, b TEXT)", "CREATE  TABLE t(\n  a INTEGER\t,b   TEXT\r\n)"},
    {"comments", "CREATE TABLE t (a INTEGER, b TEXT CHECK (b <> 'x'))",
     "CREATE TABLE t (a INTEGER, -- the key, of it\n b TEXT /* CHECK (b > 1) */ CHECK (b <> /* not */ 'x'))"},
    {"letter case of keywords", "CREATE TABLE t (a INTEGER NOT NULL DEFAULT NULL, CHECK (a IS NOT NULL AND a > 0))",
     "create table t (a integer not null default null, check (a is not null and a > 0))"},
    {"letter case of names", "CREATE TABLE Visit (Id INTEGER, CHECK (Id > 1)); CREATE INDEX By_Id ON Visit (Id)",
     "CREATE TABLE visit (id INTEGER, CHECK (ID > 1)); CREATE INDEX by_id ON visit (id)"},
    {"quotes around names", "CREATE TABLE t (a INTEGER, b TEXT, CHECK (a > 1)); CREATE VIEW v AS SELECT a FROM t",
     "CREATE TABLE \"t\" ([a] INTEGER, `b` TEXT, CHECK (\"a\" > 1)); CREATE VIEW 'v' AS SELECT [a] FROM \"t\""},
    {"quotes around words that are seldom reserved", "CREATE TABLE t (key TEXT, CHECK (key > ''))",
     "CREATE TABLE t (\"key\" TEXT, CHECK (\"key\" > ''))"},
    {"a column that was added", "CREATE TABLE t (a INTEGER, b TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE)",
     "CREATE TABLE t (a INTEGER); ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE"},
    {"a column that was added before constraints",
     "CREATE TABLE t (a INTEGER, b INTEGER REFERENCES u (id), PRIMARY KEY (a DESC), CHECK (a > 1))",
     "CREATE TABLE t (a INTEGER, PRIMARY KEY (a DESC), CHECK (a > 1)); ALTER TABLE t ADD COLUMN b INTEGER REFERENCES u "
     "(id)"},
    {"names that were changed", "CREATE TABLE t (b INTEGER CHECK (b > 1)); CREATE INDEX i ON t (b)",
     "CREATE TABLE old (a INTEGER CHECK (a > 1)); CREATE INDEX i ON old (a);"
     "ALTER TABLE old RENAME COLUMN a TO b; ALTER TABLE old RENAME TO t"},
    {"a column that was dropped", "CREATE TABLE t (a INTEGER, c TEXT)",
     "CREATE TABLE t (a INTEGER, b BLOB, c TEXT); ALTER TABLE t DROP COLUMN b"},
    {"order of objects", "CREATE TABLE t (a); CREATE TABLE u (a); CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT 1",
     "CREATE VIEW v AS SELECT 1; CREATE TABLE u (a); CREATE TABLE t (a); CREATE INDEX i ON t (a)"},
    {"order of constraints", "CREATE TABLE t (a TEXT NOT NULL UNIQUE COLLATE NOCASE, b, CHECK (a > 1), CHECK (b > 1))",
     "CREATE TABLE t (a TEXT COLLATE NOCASE UNIQUE NOT NULL, b, CHECK (b > 1), CHECK (a > 1))"},
    {"constraints at the table", "CREATE TABLE t (a TEXT PRIMARY KEY, b UNIQUE, c REFERENCES t (a) ON DELETE SET NULL)",
     "CREATE TABLE t (a TEXT, b, c, PRIMARY KEY (a), UNIQUE (b), FOREIGN KEY (c) REFERENCES t (a) ON DELETE SET NULL)"},
    {"constraints without commas", "CREATE TABLE t (a, b, CHECK (a > 1), CHECK (b > 1))",
     "CREATE TABLE t (a, b, CHECK (a > 1) CHECK (b > 1))"},
    {"names of constraints", "CREATE TABLE t (a, b NOT NULL, UNIQUE (a))",
     "CREATE TABLE t (a, b CONSTRAINT there NOT NULL, CONSTRAINT once UNIQUE (a))"},
    {"the rowid as a key", "CREATE TABLE t (id INTEGER PRIMARY KEY)", "CREATE TABLE t (id INTEGER, PRIMARY KEY (id))"},
    {"a primary key that is referred to by its table",
     "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)",
     "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id))"},
    {"what holds anyhow",
     "CREATE TABLE t (a TEXT COLLATE BINARY NOT NULL ON CONFLICT ABORT REFERENCES p ON DELETE NO ACTION)",
     "CREATE TABLE t (a TEXT NOT NULL REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED)"},
    {"ways to write a default", "CREATE TABLE t (a DEFAULT (1 + 2), b DEFAULT - 1, c DEFAULT \"Abc\")",
     "CREATE TABLE t (a DEFAULT (1+2), b DEFAULT -1, c DEFAULT 'Abc')"},
    {"ways to write an operator", "CREATE TABLE t (a, CHECK (a <> 1 AND a == 2))",
     "CREATE TABLE t (a, CHECK (a!=1 AND a=2))"},
    {"an index with what holds anyhow", "CREATE TABLE t (a, b); CREATE INDEX i ON t (a, lower(b)) WHERE a > 1",
     "CREATE TABLE t (a, b); CREATE INDEX IF NOT EXISTS i ON t (a COLLATE binary ASC, LOWER( b ) asc) where a>1"},
    {"a trigger with what holds anyhow",
     "CREATE TABLE t (a); CREATE TRIGGER r INSERT ON t BEGIN DELETE FROM t WHERE a = 1; END",
     "CREATE TABLE t (a); CREATE TRIGGER IF NOT EXISTS r BEFORE INSERT ON \"t\" FOR EACH ROW BEGIN\n"
     "  -- those before\n  DELETE FROM t WHERE a=1;\nEND"},
    {"a view", "CREATE VIEW v (a, b) AS SELECT 1, 'x' UNION ALL SELECT 2, X'ab'",
     "CREATE VIEW v(\"a\",b) AS\nselect 1,'x'\nunion all select 2,x'AB' -- two\n"},
    {"a virtual table", "CREATE VIRTUAL TABLE f USING fts5 (title, body)",
     "CREATE VIRTUAL TABLE [f] USING FTS5(title,body)"},
    {"generated columns", "CREATE TABLE t (a, b INT GENERATED ALWAYS AS (a * 2) STORED)",
     "CREATE TABLE t (a, b INT as (a*2) stored)"},
};
INSTANTIATE_TEST_SUITE_P(By, EqualSchemas, ::testing::ValuesIn(kEqual), name_of);

// ---- what does not

class DifferentSchemas : public ::testing::TestWithParam<Pair> {};

TEST_P(DifferentSchemas, DifferBothWays) {
  const Schema one = schema_after(GetParam().one);
  const Schema other = schema_after(GetParam().other);
  EXPECT_FALSE(compare_schemas(one, other).empty());
  EXPECT_FALSE(compare_schemas(other, one).empty());
  EXPECT_TRUE(one == schema_after(GetParam().one));
}

const Pair kDifferent[] = {
    {"a table", "CREATE TABLE t (a); CREATE TABLE u (a)", "CREATE TABLE t (a)"},
    {"a column", "CREATE TABLE t (a, b)", "CREATE TABLE t (a)"},
    {"the order of columns", "CREATE TABLE t (a, b)", "CREATE TABLE t (b, a)"},
    {"a type", "CREATE TABLE t (a INTEGER)", "CREATE TABLE t (a INT)"},
    {"the length of a type", "CREATE TABLE t (a VARCHAR(10))", "CREATE TABLE t (a VARCHAR(20))"},
    {"not null", "CREATE TABLE t (a TEXT NOT NULL)", "CREATE TABLE t (a TEXT)"},
    {"a default", "CREATE TABLE t (a DEFAULT 1)", "CREATE TABLE t (a DEFAULT 2)"},
    {"a default and none", "CREATE TABLE t (a DEFAULT NULL)", "CREATE TABLE t (a)"},
    {"the letter case of a default", "CREATE TABLE t (a DEFAULT 'x')", "CREATE TABLE t (a DEFAULT 'X')"},
    {"the letter case of a bare default", "CREATE TABLE t (a DEFAULT abc)", "CREATE TABLE t (a DEFAULT Abc)"},
    {"a default that is a word and a constant", "CREATE TABLE t (a DEFAULT 'true')", "CREATE TABLE t (a DEFAULT true)"},
    {"a default of the time", "CREATE TABLE t (a DEFAULT CURRENT_TIMESTAMP)",
     "CREATE TABLE t (a DEFAULT CURRENT_DATE)"},
    {"a collation", "CREATE TABLE t (a TEXT COLLATE NOCASE)", "CREATE TABLE t (a TEXT)"},
    {"the text of a check", "CREATE TABLE t (a, CHECK (a > 1))", "CREATE TABLE t (a, CHECK (a > 2))"},
    {"the strings of a check", "CREATE TABLE t (a, CHECK (a <> 'x  y'))", "CREATE TABLE t (a, CHECK (a <> 'x y'))"},
    {"the name of a check", "CREATE TABLE t (a, CONSTRAINT p CHECK (a > 1))", "CREATE TABLE t (a, CHECK (a > 1))"},
    {"a check behind a foreign key", "CREATE TABLE t (a REFERENCES p ON UPDATE SET DEFAULT CHECK (a > 1))",
     "CREATE TABLE t (a REFERENCES p ON UPDATE SET DEFAULT)"},
    {"a check behind a default", "CREATE TABLE t (a DEFAULT -1 CHECK (a > 1))", "CREATE TABLE t (a DEFAULT -1)"},
    {"a check twice", "CREATE TABLE t (a, b CHECK (a > 1), CHECK (a > 1))", "CREATE TABLE t (a, b CHECK (a > 1))"},
    {"the primary key", "CREATE TABLE t (a, b, PRIMARY KEY (a, b))", "CREATE TABLE t (a, b, PRIMARY KEY (b, a))"},
    {"the direction of a primary key", "CREATE TABLE t (a INTEGER PRIMARY KEY DESC)",
     "CREATE TABLE t (a INTEGER PRIMARY KEY)"},
    {"unique", "CREATE TABLE t (a UNIQUE)", "CREATE TABLE t (a)"},
    {"what is unique", "CREATE TABLE t (a, b, UNIQUE (a, b))", "CREATE TABLE t (a, b, UNIQUE (a), UNIQUE (b))"},
    {"a conflict clause", "CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)", "CREATE TABLE t (a UNIQUE)"},
    {"a conflict clause of not null", "CREATE TABLE t (a NOT NULL ON CONFLICT IGNORE)", "CREATE TABLE t (a NOT NULL)"},
    {"autoincrement", "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)", "CREATE TABLE t (a INTEGER PRIMARY KEY)"},
    {"without rowid", "CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID", "CREATE TABLE t (a NOT NULL PRIMARY KEY)"},
    {"strict", "CREATE TABLE t (a TEXT) STRICT", "CREATE TABLE t (a TEXT)"},
    {"a foreign key", "CREATE TABLE t (a REFERENCES p)", "CREATE TABLE t (a)"},
    {"where a foreign key leads", "CREATE TABLE t (a REFERENCES p (x))", "CREATE TABLE t (a REFERENCES p (y))"},
    {"on delete", "CREATE TABLE t (a REFERENCES p ON DELETE CASCADE)", "CREATE TABLE t (a REFERENCES p)"},
    {"on update", "CREATE TABLE t (a REFERENCES p ON UPDATE SET NULL)",
     "CREATE TABLE t (a REFERENCES p ON UPDATE SET DEFAULT)"},
    {"when a foreign key is checked", "CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
     "CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY IMMEDIATE)"},
    {"which of two foreign keys is deferred",
     "CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY DEFERRED, b REFERENCES p)",
     "CREATE TABLE t (a REFERENCES p, b REFERENCES p DEFERRABLE INITIALLY DEFERRED)"},
    {"an index", "CREATE TABLE t (a); CREATE INDEX i ON t (a)", "CREATE TABLE t (a)"},
    {"the columns of an index", "CREATE TABLE t (a, b); CREATE INDEX i ON t (a, b)",
     "CREATE TABLE t (a, b); CREATE INDEX i ON t (b, a)"},
    {"the direction of an index", "CREATE TABLE t (a); CREATE INDEX i ON t (a DESC)",
     "CREATE TABLE t (a); CREATE INDEX i ON t (a)"},
    {"the collation of an index", "CREATE TABLE t (a); CREATE INDEX i ON t (a COLLATE NOCASE)",
     "CREATE TABLE t (a); CREATE INDEX i ON t (a)"},
    {"a unique index", "CREATE TABLE t (a); CREATE UNIQUE INDEX i ON t (a)",
     "CREATE TABLE t (a); CREATE INDEX i ON t (a)"},
    {"an expression of an index", "CREATE TABLE t (a); CREATE INDEX i ON t (lower(a))",
     "CREATE TABLE t (a); CREATE INDEX i ON t (upper(a))"},
    {"an expression of an index behind another", "CREATE TABLE t (a); CREATE INDEX i ON t (max(a, 1), lower(a) DESC)",
     "CREATE TABLE t (a); CREATE INDEX i ON t (max(a, 1), upper(a) DESC)"},
    {"the condition of an index", "CREATE TABLE t (a); CREATE INDEX i ON t (a) WHERE a > 1",
     "CREATE TABLE t (a); CREATE INDEX i ON t (a) WHERE a > 2"},
    {"the letter case of a string in a condition", "CREATE TABLE t (a); CREATE INDEX i ON t (a) WHERE a > 'x'",
     "CREATE TABLE t (a); CREATE INDEX i ON t (a) WHERE a > 'X'"},
    {"the table of an index", "CREATE TABLE t (a); CREATE TABLE u (a); CREATE INDEX i ON t (a)",
     "CREATE TABLE t (a); CREATE TABLE u (a); CREATE INDEX i ON u (a)"},
    {"a view", "CREATE VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 2"},
    {"a string and a name in a view", "CREATE TABLE t (a); CREATE VIEW v AS SELECT 'a' FROM t",
     "CREATE TABLE t (a); CREATE VIEW v AS SELECT \"a\" FROM t"},
    {"a join and an alias", "CREATE VIEW v AS SELECT 1 FROM t LEFT JOIN u",
     "CREATE VIEW v AS SELECT 1 FROM t \"left\" JOIN u"},
    {"a blob and an alias", "CREATE TABLE t (x); CREATE VIEW v AS SELECT x'00' FROM t",
     "CREATE TABLE t (x); CREATE VIEW v AS SELECT x '00' FROM t"},
    {"a view and a table", "CREATE TABLE v (a)", "CREATE VIEW v AS SELECT 1 AS a"},
    {"the body of a trigger", "CREATE TABLE t (a); CREATE TRIGGER r INSERT ON t BEGIN SELECT 1; END",
     "CREATE TABLE t (a); CREATE TRIGGER r INSERT ON t BEGIN SELECT 2; END"},
    {"the time of a trigger", "CREATE TABLE t (a); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
     "CREATE TABLE t (a); CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT 1; END"},
    {"a generated column", "CREATE TABLE t (a, b AS (a * 2))", "CREATE TABLE t (a, b AS (a * 3))"},
    {"how a generated column is kept", "CREATE TABLE t (a, b AS (a * 2))", "CREATE TABLE t (a, b AS (a * 2) STORED)"},
    {"the arguments of a virtual table", "CREATE VIRTUAL TABLE f USING fts5 (title)",
     "CREATE VIRTUAL TABLE f USING fts5 (title, prefix = 2)"},
};
INSTANTIATE_TEST_SUITE_P(By, DifferentSchemas, ::testing::ValuesIn(kDifferent), name_of);

// ---- what is said of it

struct Told {
  const char* expected;
  const char* actual;
  std::vector<std::string> sentences;
};

TEST(SchemaComparison, TellsInPlainLanguage) {
  const std::vector<Told> cases{
      {"CREATE TABLE visit (code TEXT)",
       "CREATE TABLE visit (code TEXT NOT NULL)",
       {"table visit: column code is TEXT NOT NULL, expected TEXT"}},
      {"CREATE TABLE visit (code)",
       "CREATE TABLE visit (code DEFAULT 1)",
       {"table visit: column code is DEFAULT 1, expected without a type"}},
      {"CREATE TABLE visit (id, code TEXT)", "CREATE TABLE visit (id)", {"table visit: column code is missing"}},
      {"CREATE TABLE visit (id)", "CREATE TABLE visit (id, Code)", {"table visit: column Code is not expected"}},
      {"CREATE TABLE visit (a, b)",
       "CREATE TABLE visit (b, a)",
       {"table visit: the columns are in the order b, a, expected a, b"}},
      {"CREATE TABLE visit (a CHECK (a > 1))",
       "CREATE TABLE visit (a CHECK (a > 2))",
       {"table visit: CHECK (a > 1) is missing", "table visit: CHECK (a > 2) is not expected"}},
      {"CREATE TABLE visit (a REFERENCES b (c))",
       "CREATE TABLE visit (a REFERENCES b (c) ON DELETE SET NULL)",
       {"table visit: FOREIGN KEY (a) REFERENCES b (c) is missing",
        "table visit: FOREIGN KEY (a) REFERENCES b (c) ON DELETE SET NULL is not expected"}},
      {"CREATE TABLE visit (a TEXT NOT NULL PRIMARY KEY) STRICT",
       "CREATE TABLE visit (a TEXT NOT NULL)",
       {"table visit: PRIMARY KEY (a) is missing", "table visit: STRICT is missing"}},
      {"CREATE TABLE visit (a); CREATE INDEX by_a ON visit (a)", "", {"table visit is missing"}},
      {"", "CREATE VIEW visits AS SELECT 1", {"view visits is not expected"}},
      {"CREATE TABLE visit (a); CREATE INDEX by_a ON visit (a)",
       "CREATE TABLE visit (a); CREATE UNIQUE INDEX by_a ON visit (a DESC) WHERE a > 1",
       {"index by_a on visit: is UNIQUE ON visit (a DESC) WHERE a > 1, expected ON visit (a)"}},
      {"CREATE TABLE visit (a); CREATE TRIGGER r AFTER INSERT ON visit BEGIN DELETE FROM visit WHERE a = 1; END",
       "CREATE TABLE visit (a); CREATE TRIGGER r AFTER INSERT ON visit BEGIN DELETE FROM visit WHERE a = 2; END",
       {"trigger r on visit: is \"... FROM visit WHERE a = 2; end\", expected \"... FROM visit WHERE a = 1; end\""}},
  };
  for (const Told& one : cases) {
    EXPECT_EQ(sentences(compare_schemas(schema_after(one.expected), schema_after(one.actual))), one.sentences);
  }
}

TEST(SchemaComparison, SaysWhatKindOfDifferenceItIsAndWhose) {
  const std::vector<SchemaDifference> differences = compare_schemas(
      schema_after("CREATE TABLE a (x, y); CREATE TABLE b (x); CREATE INDEX i ON a (x)"),
      schema_after("CREATE TABLE a (x TEXT, y); CREATE TABLE c (x); CREATE TRIGGER r INSERT ON a BEGIN SELECT 1; END"));
  ASSERT_EQ(differences.size(), 5U);
  const auto expect = [&](std::size_t i, SchemaDifference::Kind kind, SchemaObjectType type, std::string_view name,
                          std::string_view table) {
    EXPECT_EQ(differences[i].kind, kind) << i;
    EXPECT_EQ(differences[i].type, type) << i;
    EXPECT_EQ(differences[i].name, name) << i;
    EXPECT_EQ(differences[i].table, table) << i;
  };
  using Kind = SchemaDifference::Kind;
  expect(0, Kind::differs, SchemaObjectType::column, "x", "a");
  expect(1, Kind::missing, SchemaObjectType::table, "b", "b");
  expect(2, Kind::unexpected, SchemaObjectType::table, "c", "c");
  expect(3, Kind::missing, SchemaObjectType::index, "i", "a");
  expect(4, Kind::unexpected, SchemaObjectType::trigger, "r", "a");
}

TEST(SchemaComparison, LeavesOutWhatIsNotTheUsers) {
  const Schema schema = schema_after(
      "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE);"
      "CREATE VIRTUAL TABLE f USING fts5 (body); CREATE INDEX i ON t (a); ANALYZE;"
      "CREATE TABLE sqlane_migration (version INTEGER PRIMARY KEY); CREATE INDEX j ON sqlane_migration (version)");
  ASSERT_EQ(schema.tables.size(), 2U);
  EXPECT_EQ(schema.tables[0].name, "f");
  EXPECT_EQ(schema.tables[0].module, "fts5(body)");
  EXPECT_EQ(schema.tables[1].name, "t");
  ASSERT_EQ(schema.indexes.size(), 1U);
  EXPECT_EQ(schema.indexes[0].name, "i");
}

TEST(SchemaReading, TellsWhatColumnsAre) {
  const Schema schema = schema_after(
      "CREATE TABLE t (Id INTEGER, \"two words\" varchar ( 10 ) NOT NULL DEFAULT 'A' COLLATE nocase,"
      " half AS (Id / 2) STORED, PRIMARY KEY (\"two words\", Id)) WITHOUT ROWID");
  ASSERT_EQ(schema.tables.size(), 1U);
  const SchemaTable& table = schema.tables[0];
  EXPECT_TRUE(table.is_without_rowid);
  EXPECT_FALSE(table.is_strict);
  ASSERT_EQ(table.columns.size(), 3U);
  EXPECT_EQ(table.columns[0].name, "Id");
  EXPECT_EQ(table.columns[0].primary_key, 2);
  EXPECT_EQ(table.columns[1].name, "two words");
  EXPECT_EQ(table.columns[1].type, "VARCHAR(10)");
  EXPECT_TRUE(table.columns[1].is_not_null);
  EXPECT_EQ(table.columns[1].default_value, "'A'");
  EXPECT_EQ(table.columns[1].collation, "nocase");
  EXPECT_EQ(table.columns[2].kind, SchemaColumn::Kind::generated_stored);
  EXPECT_EQ(table.columns[2].generated_as, "(id / 2)");
}

// ---- words

TEST(NormalSql, KnowsWhichWordsSqliteReserves) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &raw), SQLITE_OK);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection(raw, &sqlite3_close);
  const auto is_accepted = [&](const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(connection.get(), sql.c_str(), -1, &statement, nullptr);
    sqlite3_finalize(statement);
    return code == SQLITE_OK;
  };
  int reserved = 0;
  for (int i = 0; i < sqlite3_keyword_count(); ++i) {
    const char* text = nullptr;
    int length = 0;
    ASSERT_EQ(sqlite3_keyword_name(i, &text, &length), SQLITE_OK);
    const std::string word(text, static_cast<std::size_t>(length));
    if (is_accepted("CREATE TABLE t (a, " + word + ")") &&
        is_accepted("SELECT " + word + " FROM (SELECT 1 AS \"" + word + "\")")) {
      continue;
    }
    ++reserved;
    EXPECT_TRUE(detail::is_reserved(word)) << word;
  }
  EXPECT_GT(reserved, 50);
}

TEST(NormalSql, IsReadable) {
  EXPECT_EQ(detail::normal_sql("select  max( a,-1 ) , b.c from [T] where a - 1 not in(2,3) and d<=1e-5 -- all\n"),
            "SELECT max(a, -1), b.c FROM t WHERE a - 1 NOT IN (2, 3) AND d <= 1e - 5");
  EXPECT_EQ(detail::normal_sql("select [Select], `Plain`, \"a \"\"b\"\"\", X'0a'"),
            "SELECT \"select\", plain, \"a \"\"b\"\"\", X'0A'");
}

}  // namespace
}  // namespace sqlane
