#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/generated_range.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;
using testing::TemporaryFolder;

struct Note {
  std::int64_t id;
  std::string title;
  std::optional<std::string> body;

  bool operator==(const Note&) const = default;
};

class Queries : public ::testing::Test {
 protected:
  Queries() { db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL UNIQUE, body TEXT)"); }

  void fill(int count) {
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO note (id, title) SELECT i, 'note ' || i FROM n",
        count);
  }
  std::int64_t count() { return db.query_one<std::int64_t>("SELECT count(*) FROM note"); }

  TemporaryFolder folder;
  Database db = Database::open(folder / "app.db", {.readers = 3, .acquire_timeout = std::chrono::milliseconds(0)});
};

// What execute() tells

TEST_F(Queries, TellHowManyRowsAStatementChanged) {
  fill(10);
  EXPECT_EQ(db.execute("UPDATE note SET body = 'x' WHERE id <= ?", 4).changes, 4);
  EXPECT_EQ(db.execute("UPDATE note SET body = 'x' WHERE id > 100").changes, 0);
  EXPECT_EQ(db.execute("DELETE FROM note WHERE id = 1").changes, 1);
  EXPECT_EQ(db.execute("DELETE FROM note").changes, 9);
  EXPECT_EQ(db.execute("INSERT INTO note (title) VALUES ('a'), ('b')").changes, 2);
  EXPECT_EQ(db.execute("SELECT 1").changes, 0);
}

TEST_F(Queries, TellNoChangesOfASchemaStatement) {
  fill(10);
  EXPECT_EQ(db.execute("CREATE TABLE other (id INTEGER)").changes, 0);
  EXPECT_EQ(db.execute("ALTER TABLE note ADD COLUMN lang TEXT").changes, 0);
  EXPECT_EQ(db.execute("CREATE INDEX by_lang ON note (lang)").changes, 0);
  EXPECT_EQ(db.execute("DROP TABLE other").changes, 0);
  EXPECT_EQ(db.execute("PRAGMA user_version=7").changes, 0);
}

TEST_F(Queries, TellTheRowThatAnInsertMade) {
  EXPECT_EQ(db.execute("INSERT INTO note (id, title) VALUES (41, 'a')").last_insert_rowid, 41);
  EXPECT_EQ(db.execute("INSERT INTO note (title) VALUES ('b'), ('c')").last_insert_rowid, 43);
  EXPECT_EQ(db.execute("REPLACE INTO note (id, title) VALUES (50, 'b')").last_insert_rowid, 50);
  EXPECT_EQ(
      db.execute("WITH n AS (SELECT 'd' AS title) INSERT INTO note (title) SELECT title FROM n").last_insert_rowid, 51);
  EXPECT_EQ(db.execute("INSERT INTO note (title) VALUES ('e') RETURNING id").last_insert_rowid, 52);
}

TEST_F(Queries, TellNoRowWhenNoneWasInserted) {
  EXPECT_EQ(db.execute("INSERT INTO note (id, title) VALUES (41, 'a')").last_insert_rowid, 41);
  EXPECT_EQ(db.execute("UPDATE note SET body = 'x'").last_insert_rowid, 0);
  EXPECT_EQ(db.execute("INSERT OR IGNORE INTO note (title) VALUES ('a')").last_insert_rowid, 0);
  EXPECT_EQ(db.execute("INSERT INTO note (title) SELECT 'x' WHERE 0").last_insert_rowid, 0);
  EXPECT_EQ(db.execute("CREATE TABLE other (id INTEGER)").last_insert_rowid, 0);
  EXPECT_EQ(db.execute("DELETE FROM note").last_insert_rowid, 0);
}

TEST_F(Queries, TellNoRowWhenAnUpsertUpdatedAnExistingOne) {
  db.execute("INSERT INTO note (id, title) VALUES (7, 'a')");
  db.execute("INSERT INTO note (id, title) VALUES (41, 'unrelated')");
  const ExecuteResult result = db.execute(
      "INSERT INTO note (title, body) VALUES ('a', 'new') ON CONFLICT (title) DO UPDATE SET body = excluded.body");
  EXPECT_EQ(result.changes, 1);
  EXPECT_EQ(result.last_insert_rowid, 0);
}

TEST_F(Queries, TellNoRowOfATableWithoutRowids) {
  db.execute("CREATE TABLE word (text TEXT PRIMARY KEY) WITHOUT ROWID");
  db.execute("INSERT INTO note (id, title) VALUES (41, 'unrelated')");
  EXPECT_EQ(db.execute("INSERT INTO word VALUES ('a')").last_insert_rowid, 0);
}

// Reading

TEST_F(Queries, GiveOneRowOrSayThatThereIsNone) {
  db.execute("INSERT INTO note (id, title) VALUES (1, 'a')");
  EXPECT_EQ(db.query_one<Note>("SELECT id, title, body FROM note"), (Note{1, "a", std::nullopt}));
  const NoRowError error = error_of<NoRowError>(
      [&] { static_cast<void>(db.query_one<Note>("SELECT id, title, body FROM note WHERE id = ?", 2)); });
  EXPECT_TRUE(mentions(error, "WHERE id = ?")) << error.what();
  EXPECT_EQ(error.sql(), "SELECT id, title, body FROM note WHERE id = ?");
  EXPECT_EQ(error.database(), (folder / "app.db").string());
  db.read([](const Snapshot& s) {
    EXPECT_THROW(s.query_one<int>("SELECT 1 WHERE 0"), NoRowError);
    EXPECT_EQ(s.query_one<int>("SELECT 1"), 1);
  });
}

TEST_F(Queries, GiveAnOptionalRow) {
  db.execute("INSERT INTO note (id, title) VALUES (1, 'a')");
  EXPECT_EQ(db.query_optional<std::string>("SELECT title FROM note WHERE id = ?", 1), "a");
  EXPECT_EQ(db.query_optional<std::string>("SELECT title FROM note WHERE id = ?", 2), std::nullopt);
  // A row that holds NULL is a row all the same.
  const auto body = db.query_optional<std::optional<std::string>>("SELECT body FROM note");
  ASSERT_TRUE(body.has_value());
  EXPECT_FALSE(body->has_value());
}

TEST_F(Queries, GiveAllRowsInOrder) {
  fill(1000);
  const std::vector<Note> notes = db.query<Note>("SELECT id, title, body FROM note ORDER BY id");
  ASSERT_EQ(notes.size(), 1000U);
  EXPECT_EQ(notes[999], (Note{1000, "note 1000", std::nullopt}));
  EXPECT_TRUE(db.query<int>("SELECT id FROM note WHERE id < 0").empty());
}

TEST_F(Queries, StreamRowsOnceOnly) {
  fill(100);
  db.read([](const Snapshot& s) {
    auto rows = s.query<std::tuple<std::int64_t, std::string_view>>("SELECT id, title FROM note ORDER BY id");
    std::int64_t sum = 0;
    for (const auto& [id, title] : rows) {
      EXPECT_EQ(title, "note " + std::to_string(id));
      sum += id;
    }
    EXPECT_EQ(sum, 5050);
    EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(rows.begin()); }), "once"));
  });
}

TEST_F(Queries, RefuseToGoOnBehindTheLastRow) {
  db.write([](Transaction& tx) {
    auto rows = tx.query<int>("INSERT INTO note (title) VALUES ('a') RETURNING id");
    auto row = rows.begin();
    ++row;
    EXPECT_THROW(++row, UsageError);
  });
  EXPECT_EQ(count(), 1);
}

TEST_F(Queries, RefuseToGoOnBehindAnError) {
  db.read([](const Snapshot& s) {
    auto rows = s.query<std::int64_t>("SELECT 1 UNION ALL SELECT abs(-9223372036854775808) UNION ALL SELECT 3");
    auto row = rows.begin();
    EXPECT_THROW(++row, Error);
    EXPECT_THROW(++row, UsageError);
  });
}

TEST_F(Queries, RunAStatementThatWritesWhetherOrNotItsRowsAreRead) {
  fill(3);
  db.write([](Transaction& tx) { auto rows = tx.query("DELETE FROM note WHERE id = 1"); });
  EXPECT_EQ(count(), 2);
}

TEST_F(Queries, StandInNobodysWayOnceTheRowsAreRead) {
  fill(2);
  Transaction tx = db.begin();
  auto rows = tx.query<std::int64_t>("SELECT id FROM note");
  for ([[maybe_unused]] const std::int64_t id : rows) {
  }
  EXPECT_NO_THROW(tx.commit());
}

TEST_F(Queries, KeepATemporaryThatWasBoundByName) {
  const auto title = bind(":title", std::string("a title that is too long to be kept inside the string itself"));
  EXPECT_EQ(db.query_one<std::string>("SELECT :title", title).size(), 60U);
}

TEST_F(Queries, CountEveryKindOfPlaceholder) {
  EXPECT_THROW(db.execute(runtime_sql("INSERT INTO note (title) VALUES (#a)")), UsageError);
  EXPECT_THROW(db.execute(runtime_sql("INSERT INTO note (title) VALUES (@a)")), UsageError);
}

TEST_F(Queries, AreRefusedWhenTheSourceOfManyEndsTheTransactionAndGivesABadValue) {
  Transaction tx = db.begin();
  const auto value = [&](int i) {
    if (i == 1) tx.rollback();
    return i == 1 ? ~std::uint64_t{0} : std::uint64_t{1};
  };
  EXPECT_THROW(tx.execute_many("INSERT INTO note (title) VALUES (?)", testing::GeneratedRange(0, 3, value)),
               UsageError);
}

TEST_F(Queries, ReadRowsByNameAndPosition) {
  fill(2);
  db.read([](const Snapshot& s) {
    int seen = 0;
    for (const Row& row : s.query("SELECT id, title, body FROM note ORDER BY id")) {
      ++seen;
      EXPECT_EQ(row.size(), 3);
      EXPECT_EQ(row.name(1), "title");
      EXPECT_EQ(row.get<int>(0), seen);
      EXPECT_EQ(row.get<std::string_view>("title"), "note " + std::to_string(seen));
      EXPECT_TRUE(row.is_null(2));
      EXPECT_EQ(row.get<std::optional<std::string>>("body"), std::nullopt);
      EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(row.get<int>("nowhere")); }), "nowhere"));
      for (const int column : {-1, 3, 1000}) {
        EXPECT_THROW(static_cast<void>(row.get<int>(column)), UsageError);
        EXPECT_THROW(static_cast<void>(row.get<std::optional<int>>(column)), UsageError);
        EXPECT_THROW(static_cast<void>(row.name(column)), UsageError);
        EXPECT_THROW(static_cast<void>(row.is_null(column)), UsageError);
      }
    }
    EXPECT_EQ(seen, 2);
  });
}

TEST_F(Queries, KeepTemporaryValuesForAsLongAsTheLoopRuns) {
  fill(3);
  const auto prefix = [] { return std::string("note ") + std::string(40, '%').substr(39); };
  db.read([&](const Snapshot& s) {
    int seen = 0;
    for (const std::string& title :
         s.query<std::string>("SELECT title FROM note WHERE title LIKE ? AND body IS ? ORDER BY id", prefix(),
                              std::optional<std::string>())) {
      EXPECT_EQ(title, "note " + std::to_string(++seen));
    }
    EXPECT_EQ(seen, 3);
    for (const int size : s.query<int>("SELECT length(:text)", bind(":text", std::string(1000, 'x')))) {
      EXPECT_EQ(size, 1000);
    }
  });
}

TEST_F(Queries, KeepValuesApartThatAreBoundToTheSameTextAtOnce) {
  fill(3);
  db.read([](const Snapshot& s) {
    std::vector<std::pair<int, int>> pairs;
    const auto below = [&](int bound) { return s.query<int>("SELECT id FROM note WHERE id <= ? ORDER BY id", bound); };
    for (const int outer : below(3)) {
      for (const int inner : below(outer)) pairs.emplace_back(outer, inner);
    }
    EXPECT_EQ(pairs, (std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {2, 2}, {3, 1}, {3, 2}, {3, 3}}));
  });
}

TEST_F(Queries, CountTheColumnsOfARow) {
  fill(1);
  using Two = std::tuple<int, std::string>;
  EXPECT_TRUE(
      mentions(error_of<UsageError>([&] { static_cast<void>(db.query_one<Two>("SELECT id FROM note")); }), "column"));
  EXPECT_THROW(static_cast<void>(db.query_one<Note>("SELECT id, title FROM note")), UsageError);
  EXPECT_THROW(static_cast<void>(db.query_optional<int>("SELECT id, title FROM note")), UsageError);
  EXPECT_THROW(static_cast<void>(db.query<int>("SELECT id, title FROM note")), UsageError);
  db.write([](Transaction& tx) {
    EXPECT_THROW(static_cast<void>(tx.query<Two>("SELECT 1, 'x', 2").begin()), UsageError);
    tx.execute("DELETE FROM note");
  });
  EXPECT_EQ(count(), 0);
}

TEST_F(Queries, CountTheColumnsAlsoWhenThereIsNoRow) {
  using Two = std::tuple<int, std::string>;
  EXPECT_THROW(static_cast<void>(db.query_optional<Two>("SELECT id FROM note")), UsageError);
  EXPECT_THROW(static_cast<void>(db.query<Two>("SELECT id FROM note")), UsageError);
}

TEST_F(Queries, GiveRowsOfAStatementThatWrites) {
  db.write([](Transaction& tx) {
    std::vector<Note> notes;
    for (const Note& note : tx.query<Note>(
             "INSERT INTO note (title, body) VALUES (?, 'x'), (?, NULL) RETURNING id, title, body", "a", "b")) {
      notes.push_back(note);
    }
    EXPECT_EQ(notes, (std::vector<Note>{{1, "a", "x"}, {2, "b", std::nullopt}}));
    EXPECT_EQ(tx.query_optional<std::int64_t>("DELETE FROM note WHERE id = 1 RETURNING id"), 1);
    EXPECT_EQ(tx.query_optional<std::int64_t>("DELETE FROM note WHERE id = 1 RETURNING id"), std::nullopt);
  });
  EXPECT_EQ(count(), 1);
}

TEST_F(Queries, ShowOneStateThroughoutASnapshotAndTheNewestInTheNext) {
  fill(2);
  db.read([&](const Snapshot& s) {
    EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 2);
    db.execute("DELETE FROM note");
    EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 2);
    EXPECT_EQ(count(), 0);
  });
  const Snapshot held = db.snapshot();
  db.execute("INSERT INTO note (title) VALUES ('later')");
  EXPECT_EQ(held.query_one<int>("SELECT count(*) FROM note"), 0) << "a snapshot is fixed when it is made";
}

// Many at once

TEST_F(Queries, InsertManyFromTuplesStructsAndSingleValues) {
  db.write([](Transaction& tx) {
    const std::vector<std::tuple<int, std::string>> tuples{{1, "a"}, {2, "b"}};
    EXPECT_EQ(tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)", tuples).changes, 2);
    const std::list<Note> structs{{3, "c", "x"}, {4, "d", std::nullopt}};
    const ExecuteResult result = tx.execute_many("INSERT INTO note VALUES (?, ?, ?)", structs);
    EXPECT_EQ(result.changes, 2);
    EXPECT_EQ(result.last_insert_rowid, 4);
    const std::string values[] = {"e", "f"};
    EXPECT_EQ(tx.execute_many("INSERT INTO note (title) VALUES (?)", values).changes, 2);
    EXPECT_EQ(tx.execute_many("INSERT INTO note (title) VALUES (?)", std::vector<std::string>()).changes, 0);
    EXPECT_EQ(tx.execute_many("DELETE FROM note WHERE title = ?", std::vector<const char*>{"e", "nobody", "f"}).changes,
              2);
  });
  const std::vector<Note> expected{
      {1, "a", std::nullopt}, {2, "b", std::nullopt}, {3, "c", "x"}, {4, "d", std::nullopt}};
  EXPECT_EQ(db.query<Note>("SELECT id, title, body FROM note ORDER BY id"), expected);
}

TEST_F(Queries, InsertManyFromRangesThatMakeTheirValuesAsTheyGo) {
  db.write([](Transaction& tx) {
    const testing::GeneratedRange made(1, 501,
                                       [](int i) { return std::pair(i, std::string(60, 'x') + std::to_string(i)); });
    EXPECT_EQ(tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)", made).changes, 500);
    // A statement of the source's own between two rows.
    const testing::GeneratedRange asking(501, 504, [&](int i) {
      return std::pair(i, "after " + std::to_string(tx.query_one<int>("SELECT max(id) FROM note")));
    });
    EXPECT_EQ(tx.execute_many("INSERT INTO note (id, title) VALUES (?, ?)", asking).changes, 3);
  });
  EXPECT_EQ(count(), 503);
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note WHERE id = 500"), std::string(60, 'x') + "500");
  EXPECT_EQ(db.query_one<std::string>("SELECT title FROM note WHERE id = 503"), "after 502");
}

TEST_F(Queries, RefuseManyOfTheWrongWidthAtRunTime) {
  db.write([](Transaction& tx) {
    const std::vector<std::tuple<int, int>> rows{{1, 2}};
    EXPECT_THROW(tx.execute_many(runtime_sql("INSERT INTO note (title) VALUES (?)"), rows), UsageError);
  });
}

// Text that is not known at compile time

TEST_F(Queries, TakeTextBuiltAtRunTime) {
  const std::string table = "note";
  EXPECT_EQ(db.execute(runtime_sql("INSERT INTO " + table + " (title) VALUES (?)"), "a").last_insert_rowid, 1);
  EXPECT_EQ(db.query_one<std::string>(runtime_sql("SELECT title FROM " + table + " -- and that is all")), "a");
  EXPECT_EQ(db.query_one<std::string>(runtime_sql("SELECT title FROM note; /* nothing */ ; ")), "a");
  EXPECT_EQ(db.query_one<std::string>(runtime_sql(" ;SELECT title FROM note WHERE id = @id"), bind("@id", 1)), "a");
  EXPECT_EQ(
      db.query_one<std::string>(runtime_sql("SELECT title FROM note WHERE id = $id AND id = $id"), bind("$id", 1)),
      "a");
  EXPECT_EQ(db.query_one<int>(runtime_sql("SELECT ?2 - ?1"), 1, 3), 2);
}

TEST_F(Queries, RefuseMistakenTextBuiltAtRunTime) {
  const auto refused = [&](std::string_view text, std::string_view reason, const auto&... values) {
    const UsageError error =
        error_of<UsageError>([&] { static_cast<void>(db.query<int>(runtime_sql(text), values...)); });
    EXPECT_TRUE(mentions(error, reason)) << error.what();
    EXPECT_TRUE(mentions(error, "queries_test.cpp")) << error.what();
    EXPECT_EQ(error_of<UsageError>([&] { db.execute(runtime_sql(text), values...); }).what() != nullptr, true);
  };
  refused("", "no statement");
  refused("  ;; ", "no statement");
  refused("-- only a comment", "no statement");
  refused("/* never closed", "no statement");
  refused("SELECT 1; SELECT 2", "more than one");
  refused("SELECT 1; garbage", "more than one");
  refused("SELECT 'open", "open");
  refused("SELECT ?", "more placeholders");
  refused("SELECT ?, ?", "more placeholders", 1);
  refused("SELECT 1", "fewer placeholders", 1);
  refused("SELECT :a", "bind()", 1);
  refused("SELECT ?", "question marks", bind(":a", 1));
  refused("SELECT ?, :a", "mix", 1, 2);
  EXPECT_EQ(count(), 0);
}

TEST_F(Queries, RefuseANameThatIsNotInTheText) {
  const auto ask = [&](const auto&... values) {
    static_cast<void>(db.query_one<int>(runtime_sql("SELECT :a + :b"), values...));
  };
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { ask(bind(":a", 1), bind(":c", 2)); }), ":c"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { ask(bind(":a", 1), bind("b", 2)); }), "b"));
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { ask(bind(":a", 1), bind(":a", 2)); }), "twice"));
  EXPECT_EQ(db.query_one<int>("SELECT :a - :b", bind(":b", 1), bind(":a", 3)), 2);
}

TEST_F(Queries, RefuseANulByteInTheText) {
  using std::string_view_literals::operator""sv;
  const auto text = "SELECT 1\0; DROP TABLE note"sv;
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql(text))), UsageError);
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("SELECT 1\0"sv))), UsageError);
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("SELECT '\0'"sv))), UsageError);
  EXPECT_EQ(count(), 0);
}

TEST_F(Queries, SayWhatIsWrongWithTheStatement) {
  const SchemaError error = error_of<SchemaError>([&] { db.execute(runtime_sql("INSERT INTO nowhere VALUES (1)")); });
  EXPECT_TRUE(mentions(error, "nowhere")) << error.what();
  EXPECT_EQ(error.sql(), "INSERT INTO nowhere VALUES (1)");
  EXPECT_EQ(error.database(), (folder / "app.db").string());
  EXPECT_FALSE(error.is_retryable());
  EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql("SELEC 1"))), SchemaError);
  EXPECT_THROW(static_cast<void>(db.query<int>("SELECT nothing FROM note")), SchemaError);
}

TEST_F(Queries, NeverShowBoundValuesInAnError) {
  const std::string secret = "correct horse battery staple";
  db.execute("INSERT INTO note (title) VALUES (?)", secret);
  const ConstraintError error =
      error_of<ConstraintError>([&] { db.execute("INSERT INTO note (title) VALUES (?)", secret); });
  EXPECT_FALSE(mentions(error, secret)) << error.what();
  EXPECT_FALSE(mentions(error.sql(), secret));
}

// Reads do not write

TEST_F(Queries, RefuseToWriteThroughASnapshot) {
  fill(1);
  const auto refused = [&](std::string_view text) {
    EXPECT_THROW(static_cast<void>(db.query<int>(runtime_sql(text))), ReadOnlyError) << text;
    EXPECT_THROW(static_cast<void>(db.query_optional<int>(runtime_sql(text))), ReadOnlyError) << text;
    db.read([&](const Snapshot& s) {
      EXPECT_THROW(static_cast<void>(s.query_one<int>(runtime_sql(text))), ReadOnlyError) << text;
      EXPECT_EQ(s.query_one<int>("SELECT count(*) FROM note"), 1);
    });
  };
  refused("DELETE FROM note RETURNING id");
  refused("WITH n AS (SELECT 1) DELETE FROM note RETURNING id");
  refused("INSERT INTO note (title) VALUES ('x') RETURNING id");
  refused("CREATE TEMP TABLE t (x)");
  refused("PRAGMA user_version=1");
  EXPECT_EQ(count(), 1);
}

TEST_F(Queries, LetAReaderAskWhatIsSet) {
  EXPECT_EQ(db.query_one<std::string>("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(db.query_one<int>("PRAGMA user_version"), 0);
  EXPECT_EQ(db.query_one<int>("PRAGMA foreign_keys"), 1);
  EXPECT_EQ(db.query_one<std::string>("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(db.query<std::string>("SELECT name FROM pragma_table_info('note')").size(), 3U);
}

// Rows that outlive what they belong to

TEST_F(Queries, RefuseRowsWhoseSnapshotHasEnded) {
  fill(3);
  auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db.snapshot()));
  auto rows = snapshot->query("SELECT id, body FROM note");
  auto fresh = snapshot->query<int>("SELECT id FROM note");
  auto it = rows.begin();
  const Row row = *it;
  snapshot.reset();
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(row.get<int>(0)); }), "over"));
  EXPECT_THROW(static_cast<void>(row.get<int>("id")), UsageError);
  EXPECT_THROW(static_cast<void>(row.get<std::optional<int>>(1)), UsageError);
  EXPECT_THROW(static_cast<void>(row.is_null(0)), UsageError);
  EXPECT_THROW(static_cast<void>(row.name(0)), UsageError);
  EXPECT_THROW(++it, UsageError);
  EXPECT_THROW(static_cast<void>(fresh.begin()), UsageError);
  EXPECT_EQ(count(), 3);
}

TEST_F(Queries, RefuseRowsThatEscapedFromTheirClosure) {
  fill(3);
  std::unique_ptr<Rows<int>> rows;
  db.read([&](const Snapshot& s) {
    rows.reset(new Rows<int>(s.query<int>("SELECT id FROM note")));
    EXPECT_EQ(*rows->begin(), 1);
  });
  EXPECT_THROW(++Rows<int>::Iterator(*rows), UsageError);
  const auto escape = [&](Transaction& tx) {
    rows.reset(new Rows<int>(tx.query<int>("SELECT id FROM note")));
    EXPECT_EQ(*rows->begin(), 1);
    tx.execute("DELETE FROM note WHERE id = 3");
  };
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { db.write(escape); }), "rows"));
  EXPECT_THROW(++Rows<int>::Iterator(*rows), UsageError);
  rows.reset();
  EXPECT_EQ(count(), 3);
}

TEST_F(Queries, GiveTheReaderBackWhenTheCallerThrows) {
  struct Mine {};
  for (int i = 0; i < 10; ++i) {  // more often than there are readers
    EXPECT_THROW(db.read([](const Snapshot& s) {
      for ([[maybe_unused]] const int id : s.query<int>("SELECT 1 UNION SELECT 2")) throw Mine();
    }),
                 Mine);
  }
}

TEST_F(Queries, AreRefusedOnADatabaseThatWasMovedFrom) {
  const auto use_it = [&] {
    Database target = std::move(db);
    try {
      db.execute("DELETE FROM note");  // NOLINT(bugprone-use-after-move)
    } catch (const ClosedError&) {
      db.close();
      ::_exit(0);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(use_it(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sqlane
