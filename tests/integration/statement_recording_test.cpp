#include <cstddef>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sqlane/testing/recording.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using testing::RecordedStatement;
using testing::StatementRecording;
using testing::TemporaryFolder;
using Origin = ExecutedStatement::Origin;
using Target = ExecutedStatement::Target;
using Values = StatementRecording::Values;
using Texts = std::vector<std::string>;

constexpr const char* kCreate = "CREATE TABLE note (title TEXT)";
constexpr const char* kInsert = "INSERT INTO note VALUES (?)";
constexpr const char* kSelect = "SELECT title FROM note";

TEST(RecordingOfStatements, HasThoseOfTheCallerInTheirOrder) {
  const StatementRecording recording;
  Database db = Database::in_memory(recording.into());
  EXPECT_EQ(recording.statements(), std::vector<RecordedStatement>());
  db.execute(runtime_sql(kCreate));
  db.write([](Transaction& tx) {
    for (const char* title : {"first", "second"}) tx.execute(runtime_sql(kInsert), title);
  });
  static_cast<void>(db.query<std::string>(runtime_sql(kSelect)));
  EXPECT_EQ(recording.sql_of_caller(), (Texts{kCreate, kInsert, kInsert, kSelect}));
}

TEST(RecordingOfStatements, TellsTheLibrarysOwnFromThoseOfTheCaller) {
  StatementRecording recording;
  Database db = Database::in_memory(recording.into());
  db.execute(runtime_sql(kCreate));
  recording.clear();
  db.write([](Transaction& tx) { tx.execute(runtime_sql(kInsert), "first"); });
  const std::vector<RecordedStatement> all = recording.statements();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].sql, "BEGIN IMMEDIATE");
  EXPECT_EQ(all[0].origin, Origin::library);
  EXPECT_EQ(all[1].sql, kInsert);
  EXPECT_EQ(all[1].origin, Origin::caller);
  EXPECT_EQ(all[2].sql, "COMMIT");
  EXPECT_EQ(all[2].origin, Origin::library);
  EXPECT_EQ(recording.of_caller(), (std::vector<RecordedStatement>{all[1]}));
}

TEST(RecordingOfStatements, TellsReadersFromTheWriter) {
  const TemporaryFolder folder;
  StatementRecording recording;
  Database db = Database::open(folder / "app.db", recording.into({.readers = 1}));
  db.execute(runtime_sql(kCreate));
  static_cast<void>(db.query<std::string>(runtime_sql(kSelect)));
  EXPECT_EQ(recording.of_caller(), (std::vector<RecordedStatement>{{.sql = kCreate, .target = Target::writer},
                                                                   {.sql = kSelect, .target = Target::reader}}));
}

TEST(RecordingOfStatements, HasTheBoundValuesIfItIsAskedFor) {
  for (const Values values : {Values::left_out, Values::recorded}) {
    StatementRecording recording(values);
    Database db = Database::in_memory(recording.into());
    db.execute(runtime_sql(kCreate));
    recording.clear();
    db.execute(runtime_sql(kInsert), "it's");
    const std::vector<RecordedStatement> all = recording.of_caller();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].sql, kInsert);
    EXPECT_EQ(all[0].with_values, values == Values::recorded ? "INSERT INTO note VALUES ('it''s')" : "");
  }
}

TEST(RecordingOfStatements, HasAlsoThoseThatFail) {
  const StatementRecording recording;
  Database db = Database::in_memory(recording.into());
  db.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)");
  db.execute("INSERT INTO note VALUES (1)");
  EXPECT_THROW(db.execute("INSERT INTO note VALUES (1)"), ConstraintError);
  EXPECT_EQ(recording.count_containing("INSERT INTO note VALUES (1)"), 2U);
}

TEST(RecordingOfStatements, CountsThoseThatContainAText) {
  const StatementRecording recording;
  Database db = Database::in_memory(recording.into());
  db.execute(runtime_sql(kCreate));
  db.execute(runtime_sql(kInsert), "a title");
  db.execute(runtime_sql(kInsert), "SELECT");
  EXPECT_EQ(recording.count_containing("INTO note"), 2U);
  EXPECT_EQ(recording.count_containing("note"), 3U);
  EXPECT_EQ(recording.count_containing("COMMIT"), 3U) << "the library's as well";
  EXPECT_EQ(recording.count_containing("commit"), 0U);
  EXPECT_EQ(recording.count_containing("SELECT"), 0U) << "values are no part of the SQL";
}

TEST(RecordingOfStatements, BeginsAnewWhenItIsCleared) {
  StatementRecording recording;
  Database db = Database::in_memory(recording.into());
  db.execute(runtime_sql(kCreate));
  const std::vector<RecordedStatement> before = recording.statements();
  recording.clear();
  EXPECT_FALSE(before.empty());
  EXPECT_TRUE(recording.statements().empty());
  static_cast<void>(db.query<std::string>(runtime_sql(kSelect)));
  EXPECT_EQ(recording.sql_of_caller(), Texts{kSelect});
}

TEST(RecordingOfStatements, CallsAlsoTheCallbackThatWasThere) {
  StatementRecording recording;
  Texts heard;
  std::size_t recorded = 0;
  Options options{.readers = 3, .on_statement = [&](const ExecutedStatement& statement) {
                    heard.emplace_back(statement.sql());
                    recorded = recording.statements().size();
                  }};
  Database db = Database::in_memory(recording.into(options));
  EXPECT_EQ(db.options().readers, 3U);
  recording.clear();
  heard.clear();
  db.execute(runtime_sql(kCreate));
  EXPECT_EQ(heard, (Texts{"BEGIN IMMEDIATE", kCreate, "COMMIT"}));
  EXPECT_EQ(recorded, 3U) << "what the callback hears of is recorded already";
}

TEST(RecordingOfStatements, MayEndBeforeItsDatabase) {
  int heard = 0;
  std::optional<StatementRecording> recording(std::in_place);
  Database db = Database::in_memory(recording->into({.on_statement = [&](const ExecutedStatement&) { ++heard; }}));
  recording.reset();
  db.execute(runtime_sql(kCreate));
  EXPECT_GE(heard, 3);
}

TEST(RecordingOfStatements, TakesSeveralDatabasesTogether) {
  const StatementRecording recording;
  Database first = Database::in_memory(recording.into());
  Database second = Database::in_memory(recording.into());
  first.execute(runtime_sql(kCreate));
  second.execute(runtime_sql(kCreate));
  first.execute(runtime_sql(kInsert), "first");
  EXPECT_EQ(recording.sql_of_caller(), (Texts{kCreate, kCreate, kInsert}));
}

TEST(RecordingOfStatements, LosesNothingAmongThreads) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kReads = 100;
  const TemporaryFolder folder;
  const StatementRecording recording(Values::recorded);
  const Database db = Database::open(folder / "app.db", recording.into({.readers = kThreads}));
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < kReads; ++i) {
          static_cast<void>(db.query_one<int>("SELECT ?", 7));
          if (i % 10 == 0) static_cast<void>(recording.count_containing("SELECT"));
        }
      });
    }
  }
  EXPECT_EQ(recording.sql_of_caller(), Texts(kThreads * kReads, "SELECT ?"));
}

}  // namespace
}  // namespace sqlane
