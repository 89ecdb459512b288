#include "sqlane/detail/sql_scanner.hpp"

#include <ostream>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane::detail {

// Found by gtest, for messages.
void PrintTo(SqlKind kind, std::ostream* out) {
  constexpr std::string_view kNames[] = {"empty", "read", "write", "schema", "control", "attach", "unknown"};
  *out << kNames[static_cast<std::size_t>(kind)];
}
void PrintTo(SqlMistake mistake, std::ostream* out) { *out << "mistake " << static_cast<int>(mistake); }

namespace {

TEST(SqlScanner, TellsTheKindByTheFirstWord) {
  struct Case {
    std::string_view text;
    SqlKind kind;
  };
  constexpr Case kCases[] = {
      {"", SqlKind::empty},
      {" \t\r\n\f", SqlKind::empty},
      {"-- only a comment", SqlKind::empty},
      {"/* only a comment */", SqlKind::empty},
      {";;", SqlKind::empty},
      {"SELECT 1", SqlKind::read},
      {"select 1", SqlKind::read},
      {"SeLeCt 1", SqlKind::read},
      {"VALUES (1)", SqlKind::read},
      {"EXPLAIN SELECT 1", SqlKind::read},
      {"EXPLAIN QUERY PLAN DELETE FROM t", SqlKind::read},
      {"PRAGMA user_version", SqlKind::read},
      {"INSERT INTO t VALUES (1)", SqlKind::write},
      {"UPDATE t SET a = 1", SqlKind::write},
      {"DELETE FROM t", SqlKind::write},
      {"REPLACE INTO t VALUES (1)", SqlKind::write},
      {"CREATE TABLE t (a)", SqlKind::schema},
      {"DROP TABLE t", SqlKind::schema},
      {"ALTER TABLE t ADD COLUMN b", SqlKind::schema},
      {"REINDEX", SqlKind::schema},
      {"ANALYZE", SqlKind::schema},
      {"VACUUM", SqlKind::schema},
      {"BEGIN", SqlKind::control},
      {"BEGIN IMMEDIATE", SqlKind::control},
      {"COMMIT", SqlKind::control},
      {"END", SqlKind::control},
      {"ROLLBACK", SqlKind::control},
      {"SAVEPOINT s", SqlKind::control},
      {"RELEASE s", SqlKind::control},
      {"ATTACH 'a' AS b", SqlKind::attach},
      {"DETACH b", SqlKind::attach},
      {"SELEC 1", SqlKind::unknown},
      {"SELECTED", SqlKind::unknown},
      {"'SELECT'", SqlKind::unknown},
      {"(SELECT 1)", SqlKind::unknown},
      {"  /* a */ -- b\n /* c */ DELETE FROM t", SqlKind::write},
      {"/**/SELECT 1", SqlKind::read},
      {"SELECT/**/1", SqlKind::read},
      {"; SELECT 1", SqlKind::read},
  };
  for (const Case& one : kCases) EXPECT_EQ(scan_sql(one.text).kind, one.kind) << one.text;
}

TEST(SqlScanner, LooksBehindWith) {
  struct Case {
    std::string_view text;
    SqlKind kind;
    bool is_insert;
  };
  constexpr Case kCases[] = {
      {"WITH a AS (SELECT 1) SELECT * FROM a", SqlKind::read, false},
      {"with a as (select 1) select * from a", SqlKind::read, false},
      {"WITH a(x) AS (VALUES (1)) VALUES (2)", SqlKind::read, false},
      {"WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a", SqlKind::read, false},
      {"WITH a AS MATERIALIZED (SELECT 1), b AS NOT MATERIALIZED (SELECT 2) SELECT * FROM a, b", SqlKind::read, false},
      {"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", SqlKind::write, true},
      {"WITH a AS (SELECT 1) INSERT OR REPLACE INTO t SELECT * FROM a", SqlKind::write, true},
      {"WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a", SqlKind::write, true},
      {"WITH a AS (SELECT 1) UPDATE t SET x = 1", SqlKind::write, false},
      {"WITH a AS (SELECT 1) DELETE FROM t", SqlKind::write, false},
      {"WITH replace AS (SELECT 1) SELECT * FROM replace", SqlKind::read, false},
      {"WITH replace AS (SELECT 1) DELETE FROM t", SqlKind::write, false},
      {"WITH explain AS (SELECT 1) DELETE FROM t", SqlKind::write, false},
      {"WITH pragma AS (SELECT 1) INSERT INTO t VALUES (1)", SqlKind::write, true},
      {"WITH a AS (SELECT replace('a', 'b', 'c')) SELECT * FROM a", SqlKind::read, false},
      {"WITH a AS (SELECT 'DELETE') SELECT * FROM a", SqlKind::read, false},
      {"WITH \"insert\" AS (SELECT 1) SELECT * FROM \"insert\"", SqlKind::read, false},
      {"WITH [delete] AS (SELECT ')') SELECT * FROM [delete]", SqlKind::read, false},
      {"WITH a AS /* DELETE */ (SELECT 1) -- INSERT\n SELECT 1", SqlKind::read, false},
      {"WITH a AS (SELECT 1)", SqlKind::unknown, false},
      {"EXPLAIN WITH a AS (SELECT 1) DELETE FROM t", SqlKind::read, false},
  };
  for (const Case& one : kCases) {
    const SqlFacts facts = scan_sql(one.text);
    EXPECT_EQ(facts.kind, one.kind) << one.text;
    EXPECT_EQ(facts.is_insert, one.is_insert) << one.text;
  }
}

TEST(SqlScanner, TellsInsertsFromOtherWrites) {
  for (const std::string_view text : {"INSERT INTO t VALUES (1)", "insert or ignore into t values (1)",
                                      "REPLACE INTO t VALUES (1)", "INSERT INTO t DEFAULT VALUES"}) {
    EXPECT_TRUE(scan_sql(text).is_insert) << text;
  }
  for (const std::string_view text :
       {"UPDATE t SET a = replace(a, 'x', 'y')", "DELETE FROM insert_log", "EXPLAIN INSERT INTO t VALUES (1)",
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO u VALUES (1); END", "SELECT 1", ""}) {
    EXPECT_FALSE(scan_sql(text).is_insert) << text;
  }
}

class Sqlite {
 public:
  Sqlite() {
    if (sqlite3_open(":memory:", &connection_) != SQLITE_OK) throw std::runtime_error("no memory database");
    const char* schema = "CREATE TABLE t (a, b, c); CREATE TABLE u (\"x?\", \"y:z\", [d@e])";
    if (sqlite3_exec(connection_, schema, nullptr, nullptr, nullptr) != SQLITE_OK) throw std::runtime_error("schema");
  }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  ~Sqlite() { sqlite3_close(connection_); }

  struct Facts {
    bool is_statement = false;
    int parameters = 0;
    std::size_t end = 0;
  };

  [[nodiscard]] Facts look_at(const std::string& text) const {
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const int code =
        sqlite3_prepare_v2(connection_, text.c_str(), static_cast<int>(text.size() + 1), &statement, &tail);
    EXPECT_EQ(code, SQLITE_OK) << text << ": " << sqlite3_errmsg(connection_);
    Facts facts{statement != nullptr, sqlite3_bind_parameter_count(statement),
                static_cast<std::size_t>(tail - text.c_str())};
    sqlite3_finalize(statement);
    return facts;
  }

 private:
  sqlite3* connection_ = nullptr;
};

TEST(SqlScanner, CountsPlaceholdersAsSqliteDoes) {
  struct Case {
    std::string text;
    int parameters;
    bool has_positional;
    bool has_named;
  };
  const std::vector<Case> cases{
      {"SELECT 1", 0, false, false},
      {"SELECT ?", 1, true, false},
      {"SELECT ?, ?,?", 3, true, false},
      {"SELECT ?5", 5, true, false},
      {"SELECT ?2, ?", 3, true, false},
      {"SELECT ?, ?1", 1, true, false},
      {"SELECT ?007", 7, true, false},
      {"SELECT ?3, ?1, ?, ?2", 4, true, false},
      {"SELECT :a", 1, false, true},
      {"SELECT :a, :a", 1, false, true},
      {"SELECT :a, @a, $a", 3, false, true},
      {"SELECT :a, :A", 2, false, true},
      {"SELECT :a1_$z, :1, @2b", 3, false, true},
      {"SELECT :\xc3\xa4, :\xc3\xa4", 1, false, true},
      {"SELECT ?, :a, ?", 3, true, true},
      {"SELECT ?5, :a", 6, true, true},
      {"SELECT '?', ':a', '@a', '$a'", 0, false, false},
      {"SELECT 'it''s ?', ?", 1, true, false},
      {"SELECT '''', '', ?", 1, true, false},
      {"SELECT \"x?\", \"y:z\", [d@e], `x?` FROM u", 0, false, false},
      {"SELECT 1 AS \"a\"\"?\", ?", 1, true, false},
      {"SELECT 1 AS [a\"?], ?", 1, true, false},
      {"SELECT 1 AS `a``?`, ?", 1, true, false},
      {"SELECT 1 -- ? :a\n, ?", 1, true, false},
      {"SELECT 1 -- ?", 0, false, false},
      {"SELECT 1 /* ? :a ' \" */ + ?", 1, true, false},
      {"SELECT 1 /* -- */ + ?", 1, true, false},
      {"SELECT 1 /*/ ? /*/ + ?", 1, true, false},
      {"SELECT 1 /* ** / ? **/ + ?", 1, true, false},
      {"SELECT 1 -- /* \n + ?", 1, true, false},
      {"SELECT '-- ', ?", 1, true, false},
      {"SELECT '/*', ?, '*/'", 1, true, false},
      {"SELECT 1 - - ?", 1, true, false},
      {"SELECT 4 / ? * 2", 1, true, false},
      {"SELECT x'00ff', X'', ?", 1, true, false},
      {"SELECT 1.5e3, 1e+5, 1e-5, .5, 0xff, ?", 1, true, false},
      {"SELECT a FROM t WHERE a=?AND b=:b", 2, true, true},
      {"SELECT a FROM t WHERE a IN(?,?,?)", 3, true, false},
      {"SELECT a FROM t WHERE a->>? AND b->?", 2, true, false},
      {"SELECT a FROM t WHERE a<>?", 1, true, false},
      {"SELECT a$b FROM (SELECT 1 AS a$b)", 0, false, false},
      {"INSERT INTO t VALUES (?, ?, ?) ON CONFLICT DO NOTHING", 3, true, false},
      {"INSERT INTO t (a) VALUES (:a) RETURNING :a, rowid", 1, false, true},
      {"WITH q AS (SELECT ? AS v) SELECT v, ? FROM q", 2, true, false},
      {"EXPLAIN SELECT ?", 1, true, false},
      {"SELECT ?; SELECT ?", 1, true, false},
  };
  const Sqlite sqlite;
  for (const Case& one : cases) {
    const SqlFacts facts = scan_sql(one.text);
    EXPECT_EQ(sqlite.look_at(one.text).parameters, one.parameters) << one.text;
    EXPECT_EQ(facts.parameters, one.parameters) << one.text;
    EXPECT_EQ(facts.has_positional, one.has_positional) << one.text;
    EXPECT_EQ(facts.has_named, one.has_named) << one.text;
    EXPECT_TRUE(facts.is_terminated) << one.text;
  }
}

TEST(SqlScanner, DoesNotOverflowOnEndlessPlaceholderNumbers) {
  EXPECT_EQ(scan_sql("SELECT ?99999999999999999999").parameters, 1'000'000);
}

TEST(SqlScanner, SeesWhatIsLeftOpen) {
  for (const std::string_view text : {"SELECT 'a", "SELECT '", "SELECT 'it''s", "SELECT \"a", "SELECT `a", "SELECT [a",
                                      "SELECT 'a''", "SELECT '; SELECT 1"}) {
    EXPECT_FALSE(scan_sql(text).is_terminated) << text;
  }
  for (const std::string_view text : {"SELECT 'a'", "SELECT ''", "SELECT ''''", "SELECT '\"'", "SELECT 1 -- '",
                                      "SELECT 1 /* '", "SELECT 1 /* \" */", "SELECT [a]]", "SELECT [a'b]"}) {
    EXPECT_TRUE(scan_sql(text).is_terminated) << text;
  }
}

// Texts of several statements. Cut at `end` again and again, each piece must be
// the one that SQLite would cut off.
TEST(SqlScanner, CutsStatementsWhereSqliteDoes) {
  struct Case {
    std::string text;
    int statements;
  };
  const std::vector<Case> cases{
      {"SELECT 1", 1},
      {"SELECT 1;", 1},
      {"SELECT 1 ; ", 1},
      {"SELECT 1; -- done", 1},
      {"SELECT 1; /* done */ ;; -- quite", 1},
      {"SELECT 1;;", 1},
      {";;SELECT 1", 1},
      {"; -- a\n ; SELECT 1;", 1},
      {"SELECT 1 -- ; SELECT 2", 1},
      {"SELECT 1 /* ; SELECT 2 */", 1},
      {"SELECT ';', \"a\" FROM (SELECT 1 AS \"a\")", 1},
      {"SELECT 1; SELECT 2", 2},
      {"SELECT 1;SELECT 2;SELECT 3;", 3},
      {"SELECT ';'; SELECT ';'", 2},
      {"INSERT INTO t VALUES (1, 2, 3); DELETE FROM t", 2},
      {"SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2", 2},
      {"CREATE TABLE v (a); CREATE INDEX i ON t (a)", 2},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END", 1},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END;", 1},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END; SELECT 1", 2},
      {"create temp trigger r after insert on t begin delete from u; end; select 1;", 2},
      {"CREATE TEMPORARY TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END; SELECT 1;", 2},
      {"CREATE TRIGGER IF NOT EXISTS r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3", 2},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE new.a WHEN 1 THEN 2 END; DELETE FROM u; END; SELECT 1", 2},
      {"CREATE TRIGGER r AFTER INSERT ON t WHEN CASE new.a WHEN 1 THEN 1 END BEGIN DELETE FROM u; END", 1},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT '; END;'; END; SELECT 1", 2},
      {"CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; /* x */ END /* y */ ; SELECT 1", 2},
      {"CREATE /* x */ TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; -- ; END;\n END; SELECT 1", 2},
      {"EXPLAIN CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END; SELECT 1", 2},
      {"EXPLAIN QUERY PLAN CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; END; SELECT 1", 2},
      {"CREATE TABLE \"trigger\" (a); SELECT 1", 2},
      {"CREATE TABLE w (trigger); SELECT 1", 2},
      {"DROP TRIGGER IF EXISTS r; SELECT 1; SELECT 2", 3},
  };
  const Sqlite sqlite;
  for (const Case& one : cases) {
    EXPECT_EQ(scan_sql(one.text).is_single, one.statements == 1) << one.text;
    int statements = 0;
    std::string rest = one.text;
    while (scan_sql(rest).kind != SqlKind::empty) {
      ++statements;
      const std::size_t end = scan_sql(rest).end;
      const Sqlite::Facts expected = sqlite.look_at(rest);
      EXPECT_TRUE(expected.is_statement) << rest;
      EXPECT_EQ(end, expected.end) << rest;
      ASSERT_GT(end, 0U) << rest;
      rest.erase(0, end);
    }
    EXPECT_EQ(statements, one.statements) << one.text;
    EXPECT_FALSE(sqlite.look_at(rest).is_statement) << one.text;
  }
}

TEST(SqlScanner, TakesATriggerThatNeverEndsForOneStatement) {
  EXPECT_TRUE(scan_sql("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2").is_single);
}

TEST(SqlScanner, SeesThatSomethingFollowsEvenWhenItIsNoStatement) {
  EXPECT_FALSE(scan_sql("SELECT 1; 'open").is_single);
  EXPECT_FALSE(scan_sql("SELECT 1; )").is_single);
}

// https://sqlite.org/c3ref/bind_blob.html: "$AAAA::BBB(…)", as in Tcl
TEST(SqlScanner, ReadsTheTclFormOfNamedPlaceholdersAsSqliteDoes) {
  const Sqlite sqlite;
  for (const std::string text :
       {"SELECT $a::b", "SELECT :a::b", "SELECT #a, @b", "SELECT $a(x?y)", "SELECT $a('), ''"}) {
    EXPECT_EQ(scan_sql(text).parameters, sqlite.look_at(text).parameters) << text;
    EXPECT_FALSE(scan_sql(text).has_positional) << text;
  }
}

TEST(SqlScanner, PassesOverAByteOrderMarkAsSqliteDoes) {
  const std::string text = "\xef\xbb\xbfINSERT INTO t VALUES (1, 2, 3)";
  ASSERT_TRUE(Sqlite().look_at(text).is_statement);
  EXPECT_EQ(scan_sql(text).kind, SqlKind::write);
  EXPECT_TRUE(scan_sql(text).is_insert);
}

TEST(SqlScanner, WorksAtCompileTime) {
  constexpr int kParameters = scan_sql("INSERT INTO t VALUES (:a, :b, :a) -- ?").parameters;
  static_assert(kParameters == 2);
  static_assert(scan_sql("SELECT 1; SELECT 2").end == 9);
  static_assert(!scan_sql("SELECT 'a").is_terminated);
}

TEST(SqlMistake, IsFoundBeforeTheStatementRuns) {
  struct Case {
    std::string_view text;
    Access access;
    Arity arity;
    SqlMistake mistake;
  };
  constexpr Access kRead = Access::read;
  constexpr Access kWrite = Access::write;
  constexpr Arity kNone{};
  constexpr Arity kOne{.values = 1};
  constexpr Arity kTwo{.values = 2};
  constexpr Arity kOneNamed{.values = 1, .named = true};
  constexpr Arity kTwoNamed{.values = 2, .named = true};
  constexpr Arity kMixed{.values = 2, .named = true, .mixed = true};
  constexpr Case kCases[] = {
      {"SELECT 1", kRead, kNone, SqlMistake::none},
      {"SELECT 1", kWrite, kNone, SqlMistake::none},
      {"SELECT ?", kRead, kOne, SqlMistake::none},
      {"SELECT ?2", kRead, kTwo, SqlMistake::none},
      {"SELECT :a", kRead, kOneNamed, SqlMistake::none},
      {"SELECT :a, :a", kRead, kOneNamed, SqlMistake::none},
      {"SELECT :a, $b", kRead, kTwoNamed, SqlMistake::none},
      {"INSERT INTO t VALUES (?)", kWrite, kOne, SqlMistake::none},
      {"CREATE TABLE t (a)", kWrite, kNone, SqlMistake::none},
      {"PRAGMA user_version", kRead, kNone, SqlMistake::none},
      {"SELEC 1", kRead, kNone, SqlMistake::none},  // SQLite will say
      {"", kRead, kNone, SqlMistake::no_statement},
      {" ; -- nothing", kWrite, kNone, SqlMistake::no_statement},
      {"SELECT 1; SELECT 2", kRead, kNone, SqlMistake::several_statements},
      {"SELECT 1; DROP TABLE t", kRead, kNone, SqlMistake::several_statements},
      {"SELECT 'a", kRead, kNone, SqlMistake::unterminated},
      {"SELECT ?", kRead, kNone, SqlMistake::too_few_values},
      {"SELECT ?, ?", kRead, kOne, SqlMistake::too_few_values},
      {"SELECT ?2", kRead, kOne, SqlMistake::too_few_values},
      {"SELECT :a, :b", kRead, kOneNamed, SqlMistake::too_few_values},
      {"SELECT 1", kRead, kOne, SqlMistake::too_many_values},
      {"SELECT '?'", kRead, kOne, SqlMistake::too_many_values},
      {"SELECT :a, :a", kRead, kTwoNamed, SqlMistake::too_many_values},
      {"SELECT :a", kRead, kOne, SqlMistake::named_without_bind},
      {"SELECT ?", kRead, kOneNamed, SqlMistake::bind_without_named},
      {"SELECT ?, :a", kRead, kMixed, SqlMistake::mixed_values},
      {"SELECT ?, :a", kRead, kTwo, SqlMistake::mixed_values},
      {"SELECT ?, ?", kRead, kMixed, SqlMistake::mixed_values},
      {"INSERT INTO t VALUES (1)", kRead, kNone, SqlMistake::write_in_snapshot},
      {"WITH a AS (SELECT 1) DELETE FROM t", kRead, kNone, SqlMistake::write_in_snapshot},
      {"DROP TABLE t", kRead, kNone, SqlMistake::write_in_snapshot},
      {"VACUUM", kRead, kNone, SqlMistake::write_in_snapshot},
      {"BEGIN", kRead, kNone, SqlMistake::transaction_control},
      {"COMMIT", kWrite, kNone, SqlMistake::transaction_control},
      {"RELEASE s", kWrite, kNone, SqlMistake::transaction_control},
      {"ATTACH 'a' AS b", kRead, kNone, SqlMistake::attach},
      {"DETACH b", kWrite, kNone, SqlMistake::attach},
  };
  for (const Case& one : kCases) {
    EXPECT_EQ(find_mistake(scan_sql(one.text), one.access, one.arity), one.mistake) << one.text;
  }
}

TEST(SqlScanner, FindsTheTableOfAnInsert) {
  struct Case {
    std::string_view sql;
    std::string_view into;
  };
  constexpr Case kCases[] = {
      {"INSERT INTO note VALUES (1)", "note"},
      {"insert or replace into main.note (id) values (1)", "note"},
      {"REPLACE INTO note AS n VALUES (1)", "note"},
      {"WITH a AS (SELECT 1) INSERT INTO note SELECT * FROM a", "note"},
      {"WITH a AS (SELECT 1) REPLACE INTO \"a note\" SELECT * FROM a", "\"a note\""},
      {"INSERT INTO [main] . [note] DEFAULT VALUES", "[note]"},
      {"INSERT INTO into_ (a) SELECT 'INTO x'", "into_"},
      {"INSERT INTO note SELECT t.id FROM t", "note"},
      {"INSERT", ""},
      {"UPDATE note SET id = 1", ""},
      {"EXPLAIN INSERT INTO note VALUES (1)", ""},
      {"SELECT 1 INTO note", ""},
  };
  for (const Case& one : kCases) EXPECT_EQ(scan_sql(one.sql).into, one.into) << one.sql;
}

TEST(SqlScanner, ComparesNamesAsSqliteDoes) {
  for (const std::string_view token : {"note", "NOTE", "\"note\"", "[Note]", "`note`", "'note'"}) {
    EXPECT_TRUE(is_name(token, "note")) << token;
    EXPECT_FALSE(is_name(token, "not")) << token;
    EXPECT_FALSE(is_name(token, "notes")) << token;
    EXPECT_FALSE(is_name(token, "")) << token;
  }
  EXPECT_TRUE(is_name("\"a \"\"b\"\"\"", "a \"b\""));
  EXPECT_TRUE(is_name("`a``b`", "a`b"));
  EXPECT_TRUE(is_name("[a\"b]", "a\"b"));
  EXPECT_TRUE(is_name("größe", "größe"));
  EXPECT_TRUE(is_name("\"\"", ""));
  EXPECT_FALSE(is_name("", "note"));
  EXPECT_FALSE(is_name("\"", "note"));
}

}  // namespace
}  // namespace sqlane::detail
