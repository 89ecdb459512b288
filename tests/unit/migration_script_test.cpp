#include <cstddef>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "migrate/script.hpp"
#include "migrate/unsuitable_pragma.hpp"
#include "sqlane/error.hpp"
#include "support/expect_error.hpp"

namespace sqlane::detail {
namespace {

using testing::error_of;
using testing::mentions;
using Texts = std::vector<std::string>;

constexpr const char* kFile = "0001_it.sql";

Texts texts_of(std::string_view sql) {
  Texts texts;
  for (const auto& statement : parse_migration(sql, kFile).statements) texts.push_back(statement.text);
  return texts;
}

std::vector<std::size_t> lines_of(std::string_view sql) {
  std::vector<std::size_t> lines;
  for (const auto& statement : parse_migration(sql, kFile).statements) lines.push_back(statement.line);
  return lines;
}

MigrationError refusal_of(std::string_view sql) {
  return error_of<MigrationError>([&] { static_cast<void>(parse_migration(sql, kFile)); });
}

TEST(MigrationScript, IsTakenApartAtSemicolons) {
  struct Case {
    std::string_view sql;
    Texts texts;
  };
  const Case cases[] = {
      {"SELECT 1", {"SELECT 1"}},
      {"SELECT 1;", {"SELECT 1"}},
      {"SELECT 1;SELECT 2", {"SELECT 1", "SELECT 2"}},
      {";; SELECT 1 ; ;\n;SELECT 2;;", {"SELECT 1", "SELECT 2"}},
      {"SELECT ';', \";\", `;`, [;] -- ;\n /* ; */ ; SELECT 2", {"SELECT ';', \";\", `;`, [;]", "SELECT 2"}},
      {"SELECT 'it''s;'; SELECT 2", {"SELECT 'it''s;'", "SELECT 2"}},
      {"SELECT '? :a @b $c'", {"SELECT '? :a @b $c'"}},
      {"SELECT x'00', 1.5e-3, 0xff; SELECT 2", {"SELECT x'00', 1.5e-3, 0xff", "SELECT 2"}},
      {"-- one; two\nSELECT 1 -- last", {"SELECT 1"}},
      {"/**/SELECT/* in it */1/**/;/* ; */", {"SELECT/* in it */1"}},
      {"SELECT 1 -- it's\n; SELECT 2 /* isn't */", {"SELECT 1", "SELECT 2"}},
      {"SELECT 'ü', \"日本\"; SELECT '🙂'", {"SELECT 'ü', \"日本\"", "SELECT '🙂'"}},
  };
  for (const auto& [sql, texts] : cases) EXPECT_EQ(texts_of(sql), texts) << sql;
}

TEST(MigrationScript, KeepsATriggerWhole) {
  constexpr std::string_view kBody =
      " tr AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN a THEN 1 ELSE 2 END; DELETE FROM t; END";
  for (const std::string_view create :
       {"CREATE TRIGGER", "create temp trigger", "CREATE TEMPORARY TRIGGER", "CREATE /* ; */ TRIGGER",
        "EXPLAIN CREATE TRIGGER", "EXPLAIN QUERY PLAN CREATE TEMP TRIGGER"}) {
    const std::string trigger = std::string(create).append(kBody);
    EXPECT_EQ(texts_of(trigger + ";\nSELECT 1;"), (Texts{trigger, "SELECT 1"}));
    EXPECT_EQ(texts_of(trigger), Texts{trigger});
    EXPECT_EQ(texts_of(trigger + " -- the end"), Texts{trigger});
  }
  EXPECT_EQ(texts_of("CREATE TRIGGER a BEGIN SELECT 1; END x; SELECT 2; END; SELECT 3"),
            (Texts{"CREATE TRIGGER a BEGIN SELECT 1; END x; SELECT 2; END", "SELECT 3"}));
  EXPECT_EQ(texts_of("CREATE TABLE trigger (a); SELECT 1; END_ AS 2"),
            (Texts{"CREATE TABLE trigger (a)", "SELECT 1", "END_ AS 2"}));
}

TEST(MigrationScript, KnowsTheLineOfAStatementsFirstWord) {
  EXPECT_EQ(lines_of("SELECT 1; SELECT 2;\nSELECT 3"), (std::vector<std::size_t>{1, 1, 2}));
  EXPECT_EQ(lines_of("-- a\n\n/* b\nc */ SELECT\n1;\n-- d\nSELECT 2"), (std::vector<std::size_t>{4, 7}));
  EXPECT_EQ(lines_of("\r\n;\r\nSELECT 'a\r\nb';\r\nSELECT 2"), (std::vector<std::size_t>{3, 5}));
}

TEST(MigrationScript, HasNoByteOrderMarkAndNoCarriageReturnsAtTheEndsOfLines) {
  EXPECT_EQ(normalize_text("\xef\xbb\xbf"
                           "a\r\nb\r\r\nc\rd\r\n\r"),
            "a\nb\nc\rd\n");
  EXPECT_EQ(normalize_text("\xef\xbb\xbf\xef\xbb\xbf"
                           "a"),
            "a");
  EXPECT_EQ(normalize_text("\n\xef\xbb\xbf"), "\n\xef\xbb\xbf");
  EXPECT_EQ(normalize_text(""), "");
  EXPECT_EQ(texts_of("\xef\xbb\xbf-- c\r\nSELECT 'a\r\nb';\r\n"), Texts{"SELECT 'a\nb'"});
}

TEST(MigrationScript, IsMarkedBeforeItsFirstStatement) {
  for (const std::string_view sql :
       {"-- sqlane: no-transaction\nVACUUM", "/* about */\n--sqlane:no-transaction  \r\nVACUUM",
        ";;\n  -- SQLane : No-Transaction\n-- more\nVACUUM;", "\xef\xbb\xbf-- sqlane: no-transaction\nVACUUM"}) {
    EXPECT_FALSE(parse_migration(sql, kFile).is_transactional) << sql;
  }
  for (const std::string_view sql : {"SELECT '-- sqlane: no-transaction'", "-- no-transaction\nSELECT 1",
                                     "-- about sqlane: nothing\nSELECT 1", "-- sqlane\nSELECT 1"}) {
    EXPECT_TRUE(parse_migration(sql, kFile).is_transactional) << sql;
  }
}

struct Refusal {
  std::string_view sql;
  std::size_t line;
  std::string_view what;
  std::string_view remedy;
};

void expect_refusals(MigrationProblem problem, const std::vector<Refusal>& refusals) {
  for (const auto& [sql, line, what, remedy] : refusals) {
    const MigrationError error = refusal_of(sql);
    EXPECT_EQ(error.problem(), problem) << sql;
    EXPECT_EQ(error.file(), kFile);
    EXPECT_TRUE(mentions(error, "0001_it.sql: line " + std::to_string(line) + ": ")) << sql << '\n' << error.what();
    EXPECT_TRUE(mentions(error, what)) << sql << '\n' << error.what();
    EXPECT_TRUE(mentions(error, remedy)) << sql << '\n' << error.what();
  }
}

TEST(MigrationScript, RefusesWhatIsNoText) {
  using std::string_view_literals::operator""sv;
  expect_refusals(MigrationProblem::malformed,
                  {
                      {"SELECT 1;\nSELECT '\0'"sv, 2, "NUL", "remove"},
                      {"\xff\xfeS\0E\0"sv, 1, "UTF-16", "as UTF-8"},
                      {"\xfe\xff\0S\0E"sv, 1, "UTF-16", "as UTF-8"},
                      {"S\0E\0L\0"sv, 1, "NUL", "another encoding"},
                      {"\nSELECT 'caf\xe9'", 2, "not UTF-8", "save"},
                      {"-- \x80\nSELECT 1", 1, "not UTF-8", "save"},
                      {"SELECT '\xc0\xaf'", 1, "not UTF-8", ""},          // overlong
                      {"SELECT '\xe0\x9f\xbf'", 1, "not UTF-8", ""},      // overlong
                      {"SELECT '\xf0\x8f\xbf\xbf'", 1, "not UTF-8", ""},  // overlong
                      {"SELECT '\xed\xa0\x80'", 1, "not UTF-8", ""},      // a surrogate
                      {"SELECT '\xf4\x90\x80\x80'", 1, "not UTF-8", ""},  // beyond the last character
                      {"SELECT '\xf5\x80\x80\x80'", 1, "not UTF-8", ""},
                      {"SELECT 1 -- \xe2\x82", 1, "not UTF-8", ""},  // cut off
                      {"SELECT '\xe2\x82'", 1, "not UTF-8", ""},
                      {"SELECT 1;\n\xef\xbb\xbfSELECT 2", 2, "byte order mark", "remove"},
                      {"SELECT 1;\n\vBEGIN", 2, "control character", "remove"},
                      {"SELECT 1;\n \vBEGIN", 2, "control character", "remove"},
                  });
  EXPECT_EQ(
      texts_of("SELECT '\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf'").size(),
      1U);
}

TEST(MigrationScript, RefusesTextThatDoesNotEnd) {
  expect_refusals(MigrationProblem::malformed,
                  {
                      {"SELECT 1;\nSELECT 'a;\nSELECT 2", 2, "quote", "close"},
                      {"SELECT\n\"a;", 2, "quote", "close"},
                      {"SELECT `a", 1, "quote", "close"},
                      {"SELECT [a", 1, "quote", "close"},
                      {"SELECT 1;\n/* SELECT 2;\nSELECT 3;", 2, "comment", "close"},
                      {"SELECT 1 /*/", 1, "comment", "close"},
                      {"SELECT 1;\nCREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1;\nSELECT 2;", 2, "trigger", "END"},
                      {"CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1 END", 1, "trigger", "behind a semicolon"},
                      {"-- one\rSELECT 1;\nSELECT 2", 1, "carriage return", "line feed"},
                  });
}

TEST(MigrationScript, RefusesPlaceholders) {
  expect_refusals(MigrationProblem::malformed, {
                                                   {"INSERT INTO t VALUES\n(?)", 2, "placeholder ?", "function"},
                                                   {"SELECT ?1", 1, "placeholder ?1", "value itself"},
                                                   {"SELECT :a", 1, "placeholder :a", ""},
                                                   {"SELECT @a", 1, "placeholder @a", ""},
                                                   {"SELECT $a", 1, "placeholder $a", ""},
                                               });
}

TEST(MigrationScript, RefusesTextWithoutAStatement) {
  for (const std::string_view sql : {"", " \n", ";;", "\xef\xbb\xbf"}) {
    const MigrationError error = refusal_of(sql);
    EXPECT_EQ(error.problem(), MigrationProblem::malformed) << sql;
    EXPECT_TRUE(mentions(error, "0001_it.sql: it has no statement")) << error.what();
  }
}

TEST(MigrationScript, CanHaveCommentsAlone) {
  for (const std::string_view sql : {"-- nothing\n", "/* nothing */;", "-- sqlane: no-transaction\n"}) {
    EXPECT_TRUE(parse_migration(sql, kFile).statements.empty()) << sql;
  }
}

TEST(MigrationScript, IsADraftUntilItHasAStatement) {
  const MigrationError error = refusal_of("-- sqlane: draft\n-- Any number of statements.\n");
  EXPECT_EQ(error.problem(), MigrationProblem::malformed);
  EXPECT_TRUE(mentions(error, "0001_it.sql: it is a draft without a statement: write one, or remove")) << error.what();
  EXPECT_EQ(texts_of("-- sqlane: draft\nSELECT 1"), Texts{"SELECT 1"});
}

TEST(MigrationScript, SaysWhichKeysAreChecked) {
  using Tables = std::optional<Texts>;
  EXPECT_EQ(parse_migration("SELECT 1", kFile).checked_tables, Tables());
  EXPECT_EQ(parse_migration("-- sqlane: no-key-check\nSELECT 1", kFile).checked_tables, Tables(std::in_place));
  EXPECT_EQ(parse_migration("--sqlane:Check-Keys  visit,a b , Place\r\nSELECT 1", kFile).checked_tables,
            (Tables({"visit", "a b", "Place"})));
  const MigrationScript both = parse_migration("-- sqlane: no-transaction\n-- sqlane: no-key-check\nVACUUM", kFile);
  EXPECT_FALSE(both.is_transactional);
  EXPECT_EQ(both.checked_tables, Tables(std::in_place));
  expect_refusals(MigrationProblem::malformed,
                  {
                      {"-- sqlane: check-keys\nSELECT 1", 1, "no mark \"check-keys\"", "TABLE, TABLE"},
                      {"-- sqlane: no-key-check visit\nSELECT 1", 1, "no mark", ""},
                      {"-- sqlane: no-key-check\n-- sqlane: check-keys a\nSELECT 1", 2, "second mark", "one of them"},
                      {"SELECT 1;\n-- sqlane: no-key-check", 2, "first statement", "top"},
                  });
}

TEST(MigrationScript, KnowsWhetherItSetsForeignKeys) {
  EXPECT_TRUE(parse_migration("-- sqlane: no-transaction\nPRAGMA main.foreign_keys(0)", kFile).sets_foreign_keys);
  EXPECT_FALSE(parse_migration("-- sqlane: no-transaction\nPRAGMA foreign_keys", kFile).sets_foreign_keys);
}

TEST(MigrationScript, RefusesMarksThatItDoesNotKnowOrThatComeTooLate) {
  expect_refusals(MigrationProblem::malformed,
                  {
                      {"-- sqlane: foo\nSELECT 1", 1, "no mark \"foo\"", "no-transaction"},
                      {"-- sqlane: no-transactions\nSELECT 1", 1, "no mark", ""},
                      {"-- sqlane:\nSELECT 1", 1, "no mark \"\"", ""},
                      {"SELECT 1;\n-- sqlane: foo", 2, "no mark \"foo\"", ""},
                      {"SELECT 1;\n-- sqlane: no-transaction\nVACUUM", 2, "first statement", "top"},
                      {"SELECT -- sqlane: no-transaction\n1", 1, "first statement", "top"},
                      {"SELECT 1 -- sqlane: no-transaction", 1, "first statement", "top"},
                      {"/* sqlane: no-transaction */ VACUUM", 1, "several lines", "line of its own"},
                  });
}

TEST(MigrationScript, RefusesToEndOrBeginTransactions) {
  for (const std::string_view sql :
       {"BEGIN", "begin immediate", "COMMIT", "END", "END TRANSACTION", "ROLLBACK", "ROLLBACK TO s", "SAVEPOINT s",
        "RELEASE s", "/* */ COMMIT", "EXPLAIN COMMIT", "EXPLAIN QUERY PLAN BEGIN"}) {
    const std::string second = "SELECT 1;\n-- so\n" + std::string(sql) + ";\nSELECT 2";
    expect_refusals(MigrationProblem::transaction, {{second, 3, "transaction", "sqlane begins and commits"}});
    const std::string marked = "-- sqlane: no-transaction\n" + std::string(sql);
    expect_refusals(MigrationProblem::transaction, {{marked, 2, "transaction", "one by one"}});
  }
}

TEST(MigrationScript, RefusesToAttachDatabases) {
  for (const std::string_view sql :
       {"ATTACH 'a.db' AS a", "detach a", "EXPLAIN ATTACH 'a' AS b", "-- sqlane: no-transaction\nATTACH 'a' AS b"}) {
    const MigrationError error = refusal_of(sql);
    EXPECT_EQ(error.problem(), MigrationProblem::malformed) << sql;
    EXPECT_TRUE(mentions(error, "another database")) << error.what();
  }
}

TEST(MigrationScript, RefusesWhatCannotBeInATransactionUnlessMarked) {
  for (const std::string sql :
       {"VACUUM", "vacuum main", "VACUUM INTO 'a'", "PRAGMA auto_vacuum = 1", "pragma main.auto_vacuum(2)",
        "PRAGMA \"main\" . [auto_vacuum] = full", "PRAGMA 'synchronous' = OFF", "PRAGMA foreign_keys=OFF",
        "PRAGMA foreign_keys(0)", "EXPLAIN PRAGMA foreign_keys = 0", "EXPLAIN QUERY PLAN PRAGMA main.foreign_keys = 0",
        "PRAGMA auto_vacuum = 2", "PRAGMA temp_store = 2", "PRAGMA wal_checkpoint",
        "PRAGMA main.wal_checkpoint(TRUNCATE)", "PRAGMA/**/Auto_Vacuum/**/=/**/2"}) {
    const MigrationError error = refusal_of("SELECT 1;\n" + sql);
    EXPECT_EQ(error.problem(), MigrationProblem::not_transactional) << sql;
    EXPECT_TRUE(mentions(error, "line 2: ")) << error.what();
    EXPECT_TRUE(mentions(error, "transaction")) << error.what();
    EXPECT_EQ(texts_of("-- sqlane: no-transaction\n" + sql), Texts{sql});
  }
  EXPECT_TRUE(mentions(refusal_of("PRAGMA foreign_keys = OFF"), "checks them before it commits"));
  EXPECT_TRUE(mentions(refusal_of("VACUUM"), "-- sqlane: no-transaction"));
}

TEST(MigrationScript, RefusesPragmasThatHaveNoPlaceInAnyMigration) {
  for (const std::string sql :
       {"PRAGMA user_version = 3", "PRAGMA main.user_version(3)", "EXPLAIN PRAGMA user_version=1",
        "PRAGMA schema_version = 3", "PRAGMA encoding = 'UTF-16'", "PRAGMA writable_schema = ON",
        "PRAGMA cache_size = -4000", "PRAGMA main.mmap_size(0)", "PRAGMA journal_mode = DELETE",
        "pragma main.journal_mode(wal)", "PRAGMA \"main\" . [journal_mode] = wal", "PRAGMA locking_mode = exclusive",
        "PRAGMA page_size = 8192"}) {
    for (const std::string mark : {"\n", "-- sqlane: no-transaction\n"}) {
      const MigrationError error = refusal_of(mark + sql);
      EXPECT_EQ(error.problem(), MigrationProblem::malformed) << sql;
      EXPECT_TRUE(mentions(error, "line 2: PRAGMA ")) << error.what();
      EXPECT_TRUE(mentions(error, "remove it")) << error.what();
    }
  }
}

// There is an option for these, and for no others.
TEST(UnsuitablePragma, NamesAnOptionWhereThereIsOne) {
  for (const std::string_view name :
       {"busy_timeout", "cache_size", "recursive_triggers", "trusted_schema", "wal_autocheckpoint"}) {
    EXPECT_TRUE(mentions(find_unsuitable_pragma(name)->remedy, "Options")) << name;
  }
  for (const std::string_view name :
       {"case_sensitive_like", "ignore_check_constraints", "query_only", "secure_delete"}) {
    EXPECT_FALSE(mentions(find_unsuitable_pragma(name)->remedy, "Options")) << name;
  }
  EXPECT_EQ(find_unsuitable_pragma("legacy_alter_table"), nullptr) << "it has its place in a rebuild";
}

TEST(MigrationScript, LeavesOtherStatementsToSqlite) {
  for (const std::string_view sql :
       {"PRAGMA user_version", "PRAGMA main.journal_mode", "PRAGMA defer_foreign_keys = ON",
        "PRAGMA foreign_key_check(t)", "PRAGMA application_id = 7", "PRAGMA optimize", "EXPLAIN VACUUM",
        "REPLACE INTO t VALUES (1)", "WITH a AS (SELECT 1) DELETE FROM t", "CREATE TABLE \"BEGIN\" (a)", "\"BEGIN\"",
        "no such statement", "PRAGMA", "EXPLAIN", "PRAGMA main.", "VALUES (1)", "+", "CREATE TABLE vacuum (pragma)"}) {
    EXPECT_EQ(texts_of(sql), Texts{std::string(sql)});
  }
}

// What the table says that a PRAGMA does inside a transaction, SQLite does.
TEST(UnsuitablePragma, DoesInsideATransactionWhatIsSaidOfIt) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
  const auto run = [&](const std::string& sql) { return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr); };
  const auto value_of = [&](const std::string& name) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, ("PRAGMA " + name).c_str(), -1, &statement, nullptr), SQLITE_OK);
    std::string value;
    if (sqlite3_step(statement) == SQLITE_ROW) value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return value;
  };
  ASSERT_EQ(run("CREATE TABLE t (a); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)"), SQLITE_OK);

  EXPECT_NE(run("PRAGMA synchronous = OFF"), SQLITE_OK);
  for (const std::string name : {"foreign_keys", "page_size", "auto_vacuum", "encoding"}) {
    const std::string before = value_of(name);
    const std::string other = name == "encoding" ? "'UTF-16'" : name == "page_size" ? "8192" : "1";
    EXPECT_EQ(run("PRAGMA " + name + " = " + other), SQLITE_OK) << name;
    EXPECT_EQ(value_of(name), before) << name;
    ASSERT_NE(find_unsuitable_pragma(name), nullptr) << name;
    EXPECT_TRUE(mentions(find_unsuitable_pragma(name)->reason, "does nothing")) << name;
  }
  EXPECT_EQ(run("PRAGMA temp_store = 2; ROLLBACK"), SQLITE_OK);
  EXPECT_EQ(value_of("temp_store"), "2") << "it was undone with the transaction";
  EXPECT_EQ(find_unsuitable_pragma("temp_stores"), nullptr);
  EXPECT_EQ(find_unsuitable_pragma(""), nullptr);
  sqlite3_close(db);
}

}  // namespace
}  // namespace sqlane::detail
