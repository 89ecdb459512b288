#include "sqlite/remedies.hpp"

#include <gtest/gtest.h>
#include <string_view>

namespace sqlane::detail {
namespace {

bool has(std::string_view text, std::string_view words) { return text.find(words) != std::string_view::npos; }

TEST(Remedies, AreNoneWhereTheMessageTellsAllItself) {
  EXPECT_EQ(remedy_for("no such table: note"), "");
  EXPECT_EQ(remedy_for("UNIQUE constraint failed: note.title"), "");
  EXPECT_EQ(remedy_for(""), "");
}

TEST(Remedies, SayWhatAlterTableNeeds) {
  const std::string_view renamed = remedy_for("error in view v: no such table: main.t");
  EXPECT_TRUE(has(renamed, "drop it before, and make it again after")) << renamed;
  EXPECT_TRUE(has(renamed, "PRAGMA legacy_alter_table = ON")) << renamed;
  const std::string_view dropped = remedy_for("error in trigger r after drop column: no such column: new.b");
  EXPECT_TRUE(has(dropped, "drop it before")) << dropped;
  EXPECT_FALSE(has(dropped, "legacy_alter_table")) << dropped;
}

TEST(Remedies, SayWhatAKeyNeedsThatDoesNotMatch) {
  const std::string_view remedy = remedy_for("foreign key mismatch - \"child\" referencing \"parent\"");
  EXPECT_TRUE(has(remedy, "UNIQUE index")) << remedy;
  EXPECT_TRUE(has(remedy, "Options::sql.foreign_keys")) << remedy;
}

TEST(Remedies, KnowTheNamesThatAStatementHasInDoubleQuotes) {
  EXPECT_TRUE(has_in_double_quotes("UPDATE note SET title = \"Text\"", "text"));
  for (const std::string_view sql : {"SELECT text", "SELECT 'text'", "SELECT [text]", "SELECT '\"text\"'",
                                     "SELECT 1 -- \"text\"", "SELECT \"a text\"", "SELECT \"\"", "SELECT \""}) {
    EXPECT_FALSE(has_in_double_quotes(sql, "text")) << sql;
  }
}

}  // namespace
}  // namespace sqlane::detail
