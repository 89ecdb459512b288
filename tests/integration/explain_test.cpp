#include <string>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::mentions;

TEST(Explain, IsForReadersTooOfStatementsThatWrite) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT)");
  db.execute("INSERT INTO note VALUES (1, 'a')");
  const auto plan = [](const auto& source, auto sql, int id) {
    std::string text;
    for (const Row& row : source.query(sql, id)) text += row.get<std::string>("detail");
    return text;
  };
  db.read([&](const Snapshot& s) {
    for (const char* sql : {"EXPLAIN QUERY PLAN DELETE FROM note WHERE id = ?",
                            "EXPLAIN QUERY PLAN UPDATE note SET title = 'b' WHERE id = ?",
                            "EXPLAIN QUERY PLAN INSERT INTO note (title) SELECT title FROM note WHERE id = ?"}) {
      EXPECT_TRUE(mentions(plan(s, runtime_sql(sql), 1), "note")) << sql;
    }
    int operations = 0;
    for ([[maybe_unused]] const Row& row : s.query("EXPLAIN DELETE FROM note")) ++operations;
    EXPECT_GT(operations, 3);
  });
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM note"), 1) << "nothing was deleted";
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("EXPLAIN COMMIT"))), UsageError);
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("DELETE FROM note RETURNING id"))), ReadOnlyError);
}

}  // namespace
}  // namespace sqlane
