#include <cstdint>
#include <sqlite3.h>
#include <string>
#include <typeinfo>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::ForeignConnection;
using testing::mentions;
using testing::TemporaryFolder;

// Another connection changes the schema below statements that are in the cache:
// SQLite notices it when they run.
class ChangedSchema : public ::testing::Test {
 protected:
  // Runs `sql` while the schema suits it, and after `change`.
  template <class Run>
  SchemaError error_after(const std::string& change, Run&& run) {
    db.write([](Transaction& tx) {
      tx.execute("DROP TABLE IF EXISTS note");
      tx.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body TEXT)");
      tx.execute("INSERT INTO note VALUES (1, 'a', 'b')");
    });
    run();
    ForeignConnection(folder / "app.db").run(change);
    return error_of<SchemaError>(run);
  }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 1});
};

TEST_F(ChangedSchema, IsASchemaErrorWhereTheColumnIsGone) {
  const auto read = [&] { static_cast<void>(db.query<std::string>("SELECT body FROM note")); };
  const SchemaError error = error_after("ALTER TABLE note DROP COLUMN body", read);
  EXPECT_TRUE(mentions(error, "no such column: body")) << error.what();
  EXPECT_EQ(error.sql(), "SELECT body FROM note");
  error_after("ALTER TABLE note DROP COLUMN body", [&] { db.execute("UPDATE note SET body = 'c'"); });
  error_after("ALTER TABLE note RENAME COLUMN body TO text", [&] { db.execute("INSERT INTO note (body) VALUES (1)"); });
  error_after("ALTER TABLE note DROP COLUMN body", [&] {
    db.read([](const Snapshot& s) {
      for (const Row& row : s.query("SELECT id, body FROM note")) EXPECT_EQ(row.size(), 2);
    });
  });
}

TEST_F(ChangedSchema, IsASchemaErrorWhereTheTableIsGone) {
  const auto read = [&] { static_cast<void>(db.query_optional<int>("SELECT id FROM note")); };
  EXPECT_TRUE(mentions(error_after("DROP TABLE note", read), "no such table: note"));
  error_after("ALTER TABLE note RENAME TO notes", [&] { db.execute("DELETE FROM note WHERE id = 2"); });
}

// The error of a statement that fits its schema stays what it is.
TEST_F(ChangedSchema, IsNotBlamedForWhatAStatementDoes) {
  const auto overflow = [&] { static_cast<void>(db.query<std::int64_t>("SELECT abs(-9223372036854775808)")); };
  const Error error = error_of<Error>(overflow);
  EXPECT_TRUE(mentions(error, "integer overflow")) << error.what();
  EXPECT_EQ(typeid(error_of<Error>(overflow)), typeid(Error));
}

TEST_F(ChangedSchema, IsASchemaErrorWhereACollationIsMissing) {
  {
    ForeignConnection foreign(folder / "app.db");
    const auto compare = [](void*, int, const void*, int, const void*) { return 0; };
    sqlite3_create_collation(foreign.handle(), "own", SQLITE_UTF8, nullptr, compare);
    foreign.run("CREATE TABLE word (text TEXT COLLATE own); INSERT INTO word VALUES ('a'), ('b')");
  }
  const auto error =
      error_of<SchemaError>([&] { static_cast<void>(db.query<std::string>("SELECT text FROM word ORDER BY text")); });
  EXPECT_TRUE(mentions(error, "no such collation sequence: own")) << error.what();
  EXPECT_EQ(error.extended_code(), SQLITE_ERROR_MISSING_COLLSEQ);
  EXPECT_THROW(db.execute("INSERT INTO word SELECT 'c' WHERE EXISTS (SELECT 1 FROM word WHERE text < 'b')"),
               SchemaError);
}

}  // namespace
}  // namespace sqlane
