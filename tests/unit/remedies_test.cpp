#include "sqlite/remedies.hpp"

#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace sqlane::detail {
namespace {

bool has(std::string_view text, std::string_view words) { return text.find(words) != std::string_view::npos; }

TEST(Remedies, AreNoneWhereTheMessageTellsAllItself) {
  EXPECT_EQ(remedy_for("no such column: titel", "SELECT titel FROM note"), "");
  EXPECT_EQ(remedy_for("no such column: titel", "SELECT [TITEL] FROM note, titel"), "");
  EXPECT_EQ(remedy_for("no such column: n.titel", "SELECT n.titel FROM note n"), "");
  EXPECT_EQ(remedy_for("no such table: note", "SELECT \"x\" FROM note"), "");
  EXPECT_EQ(remedy_for("UNIQUE constraint failed: note.title", "INSERT INTO note VALUES (1)"), "");
  EXPECT_EQ(remedy_for("", ""), "");
}

TEST(Remedies, TellNamesInDoubleQuotesFromStrings) {
  EXPECT_EQ(remedy_for("no such column: text", "UPDATE note SET title = \"text\""),
            "; in double quotes stands a name: a string is written as 'text'");
  EXPECT_TRUE(has(remedy_for("no such column: \"text\" - should this be a string literal in single-quotes?",
                             "UPDATE note SET title = \"text\""),
                  "as 'text'"));
}

TEST(Remedies, NameTheQuotesOfAnOldTriggerOrView) {
  for (const std::string_view message : {"no such column: text", "error in table t: no such column: text"}) {
    const std::string remedy = remedy_for(message, "INSERT INTO note VALUES (1)");
    EXPECT_TRUE(has(remedy, "stands in a view, a trigger, an index or a table's definition, which check_schema()"))
        << remedy;
    EXPECT_TRUE(has(remedy, "taken for a string")) << remedy;
    EXPECT_TRUE(has(remedy, "again with 'text'")) << remedy;
    EXPECT_TRUE(has(remedy, "Options::sql.double_quoted_strings")) << remedy;
    EXPECT_FALSE(has(remedy, "in a migration")) << remedy;
    for (const std::string_view sql : {"VACUUM", "alter table t rename to u"}) {
      EXPECT_TRUE(has(remedy_for(message, sql), "or do this in a migration")) << sql;
    }
  }
}

TEST(Remedies, AdviseToMakeAnIndexAgain) {
  const std::string remedy = remedy_for("error in index i: no such column: text", "ALTER TABLE t RENAME a TO b");
  EXPECT_TRUE(has(remedy, "drop the index, and make it again with 'text'")) << remedy;
  EXPECT_FALSE(has(remedy, "migration")) << remedy;
}

TEST(Remedies, SayWhomAMissingPartOfTheSchemaBelongsTo) {
  for (const std::string_view message :
       {"no such function: weight", "unknown function: weight()", "no such collation sequence: weight",
        "no such module: weight", "error in index i: no such collation sequence: weight"}) {
    EXPECT_TRUE(has(remedy_for(message, "VACUUM"), "it belongs to the program that made the database")) << message;
    EXPECT_EQ(remedy_for(message, "SELECT Weight(1)"), "") << message;
  }
}

TEST(Remedies, TellWhatIsAboutTheSchema) {
  for (const std::string_view message : {"no such function: f", "unknown function: f()", "no such module: m",
                                         "no such table: main.t", "error in view v: no such column: x"}) {
    EXPECT_TRUE(is_about_schema(message)) << message;
  }
  for (const std::string_view message : {"malformed JSON", "integer overflow", "a user's no such table: t"}) {
    EXPECT_FALSE(is_about_schema(message)) << message;
  }
}

TEST(Remedies, SayWhatAlterTableNeeds) {
  const std::string renamed = remedy_for("error in view v: no such table: main.t", "ALTER TABLE new_t RENAME TO t");
  EXPECT_TRUE(has(renamed, "drop this one before, and make it again after")) << renamed;
  EXPECT_TRUE(has(renamed, "PRAGMA legacy_alter_table = ON")) << renamed;
  const std::string dropped =
      remedy_for("error in trigger r after drop column: no such column: new.b", "ALTER TABLE t DROP COLUMN b");
  EXPECT_TRUE(has(dropped, "drop this one before")) << dropped;
  EXPECT_FALSE(has(dropped, "legacy_alter_table")) << dropped;
  EXPECT_FALSE(has(dropped, "string")) << dropped;
}

// RENAME COLUMN and DROP COLUMN read all views with it as well.
TEST(Remedies, AdviseTheOldWayOfAlterTableOnlyWhereItHelps) {
  for (const std::string_view sql : {"ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t RENAME a TO b",
                                     "ALTER TABLE t DROP COLUMN a", "ALTER TABLE \"rename to\" DROP COLUMN a"}) {
    const std::string remedy = remedy_for("error in view v: no such table: main.t", sql);
    EXPECT_TRUE(has(remedy, "drop this one before")) << remedy;
    EXPECT_FALSE(has(remedy, "legacy_alter_table")) << sql << remedy;
  }
  for (const std::string_view sql : {"alter table t rename to u", "ALTER TABLE \"t\" RENAME /* all */ TO u"}) {
    const std::string remedy = remedy_for("error in view v: no such table: main.t", sql);
    EXPECT_TRUE(has(remedy, "in a migration that begins with PRAGMA legacy_alter_table = ON")) << sql << remedy;
  }
}

TEST(Remedies, TellASchemaOfANewerEngineFromADamagedOne) {
  EXPECT_TRUE(is_of_unknown_syntax("malformed database schema (v) - near \"ORDER\": syntax error"));
  EXPECT_TRUE(is_of_unknown_syntax("cannot open \"a\": malformed database schema (t) - unknown table option: RANDOM"));
  EXPECT_FALSE(is_of_unknown_syntax("malformed database schema (t) - incomplete input"));
  EXPECT_FALSE(is_of_unknown_syntax("near \"ORDER\": syntax error"));
}

TEST(Remedies, SayWhatAKeyNeedsThatDoesNotMatch) {
  const std::string remedy =
      remedy_for("foreign key mismatch - \"child\" referencing \"parent\"", "DELETE FROM parent");
  EXPECT_TRUE(has(remedy, "UNIQUE index")) << remedy;
  EXPECT_TRUE(has(remedy, "Options::sql.foreign_keys = false")) << remedy;
}

TEST(Remedies, TellWhetherTheSchemaMissesAColumn) {
  EXPECT_TRUE(misses_column_of_schema("no such column: text", "INSERT INTO note VALUES (1)"));
  EXPECT_FALSE(misses_column_of_schema("no such column: text", "UPDATE note SET title = \"text\""));
  EXPECT_FALSE(misses_column_of_schema("no such table: text", "INSERT INTO note VALUES (1)"));
}

}  // namespace
}  // namespace sqlane::detail
