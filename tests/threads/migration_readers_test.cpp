#include <atomic>
#include <cstddef>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/five_migrations.hpp"
#include "support/temporary_folder.hpp"

// Those who read while the schema changes: each keeps the view that it has, and
// whoever reads afterwards sees the new schema.

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::expected_state;
using testing::five_migrations;
using testing::MigratedState;
using testing::state_of;
using testing::TemporaryFolder;

class ReadersBesideMigrations : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Database open(Options options) const {
    return GetParam() ? Database::in_memory(options) : Database::open(folder_ / "app.db", options);
  }

  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ReadersBesideMigrations, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Memory" : "File"; });

int version_seen(const Snapshot& snapshot) { return snapshot.query_one<int>("PRAGMA user_version"); }

// The names of a table's columns.
std::string columns_seen(const Snapshot& snapshot, const char* table) {
  return snapshot.query_one<std::string>(
      runtime_sql("SELECT coalesce(group_concat(name), '') FROM pragma_table_info('" + std::string(table) + "')"));
}

// migrating        readers
// version 1
//                  snapshot of 1
// version 2
//                  snapshot of 2
// …                …
// version 5
//                  each is as it was; a new one is of 5
TEST_P(ReadersBesideMigrations, KeepTheViewThatTheyHave) {
  Database db = open({.readers = 8});
  const std::vector<std::string> columns{"id,place,note", "id,place,note,rating", "id,place,note,rating",
                                         "id,place,note,rating", "id,place,note,rating"};
  const std::vector<std::string> of_place{"id,name", "id,name", "id,name,area", "id,name,area", "id,name,area"};
  std::vector<std::unique_ptr<Snapshot>> held;
  for (int version = 1; version <= 5; ++version) {
    std::jthread([&] { db.migrate(five_migrations(), {.target = version}); }).join();
    held.emplace_back(new Snapshot(db.snapshot()));
    EXPECT_EQ(version_seen(*held.back()), version) << "it sees what is there now";
  }
  std::jthread([&] { db.migrate(five_migrations(), {.target = 0}); }).join();
  for (std::size_t i = 0; i < held.size(); ++i) {
    const Snapshot& snapshot = *held[i];
    EXPECT_EQ(version_seen(snapshot), static_cast<int>(i) + 1);
    EXPECT_EQ(columns_seen(snapshot, "visit"), columns[i]);
    EXPECT_EQ(columns_seen(snapshot, "place"), of_place[i]);
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM visit"), 300);
    EXPECT_EQ(snapshot.query_one<int>("SELECT count(*) FROM sqlite_master WHERE type = 'view'"), i >= 3 ? 1 : 0);
  }
  held.clear();
  db.read([](const Snapshot& snapshot) {
    EXPECT_EQ(version_seen(snapshot), 0);
    EXPECT_EQ(columns_seen(snapshot, "visit"), "");
  });
  EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT count(*) FROM visit")), SchemaError);
  db.migrate(five_migrations());
  EXPECT_EQ(state_of(db), expected_state(5));
}

// The snapshot is the migrating thread's own.
TEST_P(ReadersBesideMigrations, MayBeTheThreadThatMigrates) {
  Database db = open({.readers = 2});
  db.migrate(five_migrations(), {.target = 1});
  db.read([&](const Snapshot& snapshot) {
    EXPECT_EQ(version_seen(snapshot), 1);
    db.migrate(five_migrations());
    EXPECT_EQ(version_seen(snapshot), 1);
    EXPECT_EQ(columns_seen(snapshot, "visit"), "id,place,note");
  });
  EXPECT_EQ(state_of(db), expected_state(5));
}

// A row, the schema changes, the next row.
TEST_P(ReadersBesideMigrations, GoOnThroughTheRowsOfATableThatIsDropped) {
  Database db = open({.readers = 2});
  db.migrate(five_migrations());
  int rows = 0;
  db.read([&](const Snapshot& snapshot) {
    for (const int rating : snapshot.query<int>("SELECT rating FROM visit ORDER BY id")) {
      if (++rows == 100) std::jthread([&] { db.migrate(five_migrations(), {.target = 0}); }).join();
      EXPECT_EQ(rating, rows % 5);
    }
  });
  EXPECT_EQ(rows, 300);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM sqlite_master WHERE name = 'visit'"), 0);
}

// Statements that a reader has kept are prepared anew.
TEST_P(ReadersBesideMigrations, SeeTheNewSchemaAfterwards) {
  Database db = open({.readers = 1});
  const auto columns = [&] {
    return db.read([](const Snapshot& snapshot) {
      int columns_of_row = 0;
      for (const Row& row : snapshot.query("SELECT * FROM visit LIMIT 1")) columns_of_row = row.size();
      return columns_of_row;
    });
  };
  for (int round = 0; round < 3; ++round) {
    db.migrate(five_migrations(), {.target = 1});
    EXPECT_EQ(columns(), 3);
    db.migrate(five_migrations(), {.target = 5});
    EXPECT_EQ(columns(), 4);
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM visit WHERE rating = 3"), 60);
  }
}

// Each snapshot is of one whole step.
TEST_P(ReadersBesideMigrations, SeeWholeStepsAlone) {
  constexpr int kReaders = 3;
  constexpr int kRounds = 12;
  Database db = open({.readers = kReaders + 2, .durability = Durability::normal, .checkpoint_pages = 30});
  db.migrate(five_migrations(), {.target = 1});
  std::vector<MigratedState> states;
  for (int version = 0; version <= 5; ++version) states.push_back(expected_state(version));
  std::atomic<bool> has_ended = false;
  std::latch begin(kReaders + 1);
  std::atomic<int> reads = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      begin.arrive_and_wait();
      while (!has_ended) {
        const MigratedState seen = state_of(db);
        EXPECT_EQ(seen, states.at(static_cast<std::size_t>(seen.version)));
        ++reads;
      }
    });
  }
  begin.arrive_and_wait();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const auto atomicity = round % 2 == 0 ? Atomicity::each : Atomicity::all;
    const int read_before = reads;
    db.migrate(five_migrations(), {.target = 5, .atomicity = atomicity});
    EXPECT_EQ(state_of(db), states[5]) << "this thread's own";
    db.migrate(five_migrations(), {.target = 1 + round % 4, .atomicity = atomicity});
    EXPECT_EQ(state_of(db).version, 1 + round % 4);
    while (reads == read_before) std::this_thread::yield();
  }
  has_ended = true;
}

}  // namespace
}  // namespace sqlane
