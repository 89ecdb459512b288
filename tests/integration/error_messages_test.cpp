#include <cstddef>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;

// Messages quote SQL, but not all of a long text.

constexpr std::size_t kLongestMessage = 2000;

TEST(ErrorMessages, CutLongSql) {
  Database db = Database::in_memory();
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT UNIQUE)");
  const std::string tail = " /* " + std::string(100'000, 'x') + " */";
  const auto expect_short = [&](const std::exception& error) {
    EXPECT_LT(std::string_view(error.what()).size(), kLongestMessage) << error.what();
    EXPECT_TRUE(mentions(error, "… ") || mentions(error, "…\"")) << error.what();
    EXPECT_TRUE(mentions(error, " bytes)")) << error.what();
  };
  std::string kept;  // what runtime_sql() views
  const auto sql = [&](const std::string& text) { return runtime_sql(kept = text + tail); };
  const SchemaError schema = error_of<SchemaError>([&] { db.execute(sql("DELETE FROM nowhere")); });
  expect_short(schema);
  EXPECT_TRUE(mentions(schema, "DELETE FROM nowhere"));
  EXPECT_EQ(schema.sql(), "DELETE FROM nowhere" + tail);
  expect_short(error_of<UsageError>([&] { db.execute(sql("BEGIN")); }));
  expect_short(error_of<UsageError>([&] { db.execute(sql("DELETE FROM note WHERE id = ?")); }));
  expect_short(error_of<TypeError>(
      [&] { db.execute(sql("DELETE FROM note WHERE id = ?"), std::numeric_limits<double>::quiet_NaN()); }));
  expect_short(error_of<TypeError>([&] { static_cast<void>(db.query<int>(sql("SELECT 'a'"))); }));
  expect_short(error_of<NoRowError>([&] { static_cast<void>(db.query_one<int>(sql("SELECT id FROM note"))); }));
  expect_short(error_of<ReadOnlyError>([&] { static_cast<void>(db.query<int>(sql("DELETE FROM note"))); }));
  expect_short(
      error_of<UsageError>([&] { static_cast<void>(db.query<std::pair<int, int>>(sql("SELECT 1 UNION SELECT 2"))); }));
  db.execute("INSERT INTO note VALUES (1, 'a')");
  expect_short(error_of<ConstraintError>([&] { db.execute(sql("INSERT INTO note VALUES (2, 'a')")); }));
}

TEST(ErrorMessages, CutLongWordsThatSqliteQuotes) {
  Database db = Database::in_memory();
  const Error error =
      error_of<SchemaError>([&] { db.execute(runtime_sql("DELETE FROM " + std::string(100'000, 'x'))); });
  EXPECT_LT(std::string_view(error.what()).size(), kLongestMessage);
}

}  // namespace
}  // namespace sqlane
