#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

// ExecuteResult::last_insert_rowid is of the statement's own INSERT into the
// table that it names: whatever triggers insert elsewhere, and whatever rowid the
// statement before it made.
class InsertedRowid : public ::testing::Test {
 protected:
  InsertedRowid() {
    db.write([](Transaction& tx) {
      tx.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT UNIQUE, body TEXT)");
      tx.execute("CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT)");
    });
  }

  bool has_module(const char* name) {
    return db.query_one<bool>("SELECT count(*) FROM pragma_module_list WHERE name = ?", name);
  }

  // The rowid that `sql` tells after an INSERT that made the rowid 1, in a transaction that is undone.
  std::int64_t after_rowid_1(const std::string& sql) {
    Transaction tx = db.begin();
    tx.execute("CREATE TABLE before (id INTEGER PRIMARY KEY)");
    EXPECT_EQ(tx.execute("INSERT INTO before DEFAULT VALUES").last_insert_rowid, 1);
    const std::int64_t first = tx.execute(runtime_sql(sql)).last_insert_rowid;
    tx.rollback();
    return first;
  }

  Database db = Database::in_memory();
};

TEST_F(InsertedRowid, IsToldWhereItRepeatsTheOneBefore) {
  EXPECT_EQ(after_rowid_1("INSERT INTO note (title) VALUES ('a')"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO main.note (title) VALUES ('a') RETURNING id"), 1);
  EXPECT_EQ(after_rowid_1("insert into \"NOTE\" (title) values ('a')"), 1);
  EXPECT_EQ(after_rowid_1("REPLACE INTO [note] AS n (id, title) VALUES (1, 'a')"), 1);
  EXPECT_EQ(after_rowid_1("INSERT OR IGNORE INTO 'main' . `note` (title) VALUES ('a')"), 1);
  EXPECT_EQ(after_rowid_1("WITH n (t) AS (VALUES ('a')) REPLACE INTO note (title) SELECT t FROM n"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO note (title) VALUES ('a') ON CONFLICT (title) DO UPDATE SET body = 'b'"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO note (title) SELECT 'x' WHERE 0"), 0);
}

TEST_F(InsertedRowid, IsNoneOfAnUpsertThatUpdatedWhateverItsTriggersInsert) {
  db.execute("INSERT INTO note (id, title) VALUES (7, 'a')");
  db.execute("CREATE TRIGGER t AFTER UPDATE ON note BEGIN INSERT INTO audit (what) VALUES ('update'); END");
  constexpr const char* kUpsert =
      "INSERT INTO note (title) VALUES ('a') ON CONFLICT (title) DO UPDATE SET body = 'new'";
  EXPECT_EQ(after_rowid_1(kUpsert), 0);
  EXPECT_EQ(db.execute(runtime_sql(kUpsert)).last_insert_rowid, 0);
  EXPECT_EQ(after_rowid_1("INSERT INTO note (title) VALUES ('b') ON CONFLICT (title) DO UPDATE SET body = 'new'"), 8);
}

TEST_F(InsertedRowid, IsOfTheStatementsTableWhereATriggerInsertsIntoAnother) {
  db.execute("CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO audit VALUES (new.id + 40, 'insert'); END");
  EXPECT_EQ(after_rowid_1("INSERT INTO note (title) VALUES ('a')"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO note (id, title) VALUES (9, 'a')"), 9);
  db.execute("INSERT INTO note (id, title) VALUES (3, 'a')");
  EXPECT_EQ(after_rowid_1("INSERT OR IGNORE INTO note (title) VALUES ('a')"), 0);
  EXPECT_EQ(after_rowid_1("INSERT OR REPLACE INTO note (id, title) VALUES (1, 'a')"), 1);
}

TEST_F(InsertedRowid, IsNoneOfATableWithoutRowidsWhateverItsTriggersInsert) {
  db.execute("CREATE TABLE word (text TEXT PRIMARY KEY) WITHOUT ROWID");
  db.execute("CREATE TRIGGER t AFTER INSERT ON word BEGIN INSERT INTO audit (what) VALUES (new.text); END");
  EXPECT_EQ(after_rowid_1("INSERT INTO word VALUES ('a')"), 0);
  EXPECT_EQ(after_rowid_1("INSERT INTO word VALUES ('a'), ('b')"), 0);
  EXPECT_EQ(db.execute("INSERT INTO word VALUES ('a')").last_insert_rowid, 0);
}

TEST_F(InsertedRowid, IsNoneOfAView) {
  db.execute("CREATE VIEW title AS SELECT id, title FROM note");
  db.execute(
      "CREATE TRIGGER t INSTEAD OF INSERT ON title BEGIN INSERT INTO note (title) VALUES (new.title); "
      "INSERT INTO audit (what) VALUES ('title'); END");
  EXPECT_EQ(after_rowid_1("INSERT INTO title (title) VALUES ('a')"), 0);
  EXPECT_EQ(db.execute("INSERT INTO title (title) VALUES ('a')").last_insert_rowid, 0);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1);
}

TEST_F(InsertedRowid, IsOfVirtualTables) {
  if (!has_module("fts5")) GTEST_SKIP() << "no FTS5";
  db.execute("CREATE VIRTUAL TABLE search USING fts5 (body)");
  EXPECT_EQ(after_rowid_1("INSERT INTO search VALUES ('a')"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO \"Search\" (rowid, body) VALUES (5, 'a')"), 5);
  EXPECT_EQ(after_rowid_1("INSERT OR REPLACE INTO search (rowid, body) VALUES (1, 'a')"), 1);
  EXPECT_EQ(db.execute("INSERT INTO search VALUES ('a')").last_insert_rowid, 1);
  EXPECT_EQ(db.execute("INSERT INTO search VALUES ('b'), ('c')").last_insert_rowid, 3);
  EXPECT_EQ(db.query<int>("SELECT rowid FROM search ORDER BY rowid"), (std::vector{1, 2, 3}));
  EXPECT_EQ(db.execute("INSERT INTO search (search) VALUES ('optimize')").last_insert_rowid, 0);
}

TEST_F(InsertedRowid, IsOfRtrees) {
  if (!has_module("rtree")) GTEST_SKIP() << "no R*Tree";
  db.execute("CREATE VIRTUAL TABLE box USING rtree (id, a, b)");
  EXPECT_EQ(after_rowid_1("INSERT INTO box VALUES (1, 0, 1)"), 1);
  EXPECT_EQ(after_rowid_1("INSERT INTO box VALUES (6, 0, 1)"), 6);
}

TEST_F(InsertedRowid, IsLookedForAnewWhenTheTableHasBecomeAnother) {
  if (!has_module("fts5")) GTEST_SKIP() << "no FTS5";
  constexpr const char* kInsert = "INSERT INTO word (text) VALUES ('a')";
  const auto twice = [&] {
    Transaction tx = db.begin();
    tx.execute("INSERT INTO audit (id) VALUES (1)");
    const std::int64_t rowid = tx.execute(runtime_sql(kInsert)).last_insert_rowid;
    tx.execute("DELETE FROM audit");
    tx.commit();
    return rowid;
  };
  db.execute("CREATE TABLE word (text TEXT PRIMARY KEY) WITHOUT ROWID");
  EXPECT_EQ(twice(), 0);
  db.execute("DROP TABLE word");
  db.execute("CREATE VIRTUAL TABLE word USING fts5 (text)");
  EXPECT_EQ(twice(), 1);
  db.execute("DROP TABLE word");
  db.execute("CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT)");
  EXPECT_EQ(twice(), 1);
}

TEST_F(InsertedRowid, IsTheNewestOfExecuteMany) {
  db.execute("CREATE TRIGGER t AFTER UPDATE ON note BEGIN INSERT INTO audit (what) VALUES ('update'); END");
  const ExecuteResult result = db.write([](Transaction& tx) {
    return tx.execute_many("INSERT INTO note (title) VALUES (?) ON CONFLICT (title) DO UPDATE SET body = 'new'",
                           std::vector<std::string>{"a", "b", "b", "a"});
  });
  EXPECT_EQ(result.changes, 4);
  EXPECT_EQ(result.last_insert_rowid, 2);
}

}  // namespace
}  // namespace sqlane
