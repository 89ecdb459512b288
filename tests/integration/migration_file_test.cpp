#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/files.hpp"
#include "support/five_migrations.hpp"
#include "support/foreign_connection.hpp"
#include "support/migrating.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::expected_state;
using testing::five_migrations;
using testing::ForeignConnection;
using testing::MigratingFile;
using testing::only;
using testing::state_of;

// Files alone.

TEST_F(MigratingFile, CopiesTheLogBackBetweenSteps) {
  Migrations migrations = only("CREATE TABLE large (filler BLOB)");
  for (int version = 2; version <= 6; ++version) {
    migrations.add({.version = version,
                    .name = "fill",
                    .up = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                          " INSERT INTO large SELECT randomblob(4000) FROM n;"});
  }
  Database db = Database::open(path_, {.checkpoint_pages = 100});
  db.migrate(migrations);
  EXPECT_LT(fs::file_size(testing::beside(path_, "-wal")), 4U << 20U) << "five steps of 2 MB each";
}

TEST_F(MigratingFile, KeepsOtherProcessesOutWithExclusiveLocking) {
  Database db = Database::open(path_, {.locking = Locking::exclusive});
  db.migrate(five_migrations());
  EXPECT_EQ(state_of(db), expected_state(5));
}

TEST_F(MigratingFile, LeavesNoLogBehindWhenItIsClosed) {
  Database db = Database::open(path_);
  db.migrate(five_migrations());
  db.close();
  EXPECT_FALSE(fs::exists(testing::beside(path_, "-wal")));
}

TEST_F(MigratingFile, CopiesTheDatabaseBeforeTheFirstStep) {
  Database db = Database::open(path_);
  EXPECT_TRUE(db.migrate(five_migrations(), {.target = 2}).backup.empty());
  const fs::path copy = folder_ / "app.v2.db";
  testing::write_bytes(copy, "of an attempt before");
  EXPECT_EQ(db.migrate(five_migrations(), {.backup_folder = folder_.path()}).backup, copy);
  const Database kept = Database::open(copy, {.mode = OpenMode::read_only});
  EXPECT_EQ(state_of(kept), expected_state(2));
  EXPECT_EQ(state_of(db), expected_state(5));
  EXPECT_TRUE(db.migrate(five_migrations(), {.backup_folder = folder_.path()}).backup.empty());
  EXPECT_FALSE(fs::exists(folder_ / "app.v5.db"));
}

TEST_F(MigratingFile, DoesNotMigrateWhatItCannotCopy) {
  Database db = Database::open(path_);
  EXPECT_THROW(db.migrate(five_migrations(), {.backup_folder = folder_ / "nowhere"}), OpenError);
  EXPECT_EQ(state_of(db), expected_state(0));
}

TEST_F(MigratingFile, WaitsForAnotherProcessThatMigratesUpToTheTimeout) {
  Database db = Database::open(path_);
  const int other = ::open((path_.string() + "-migration").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_THROW(db.migrate(five_migrations(), {.lock_timeout = 0ms}), TimeoutError);
  EXPECT_EQ(migration_status(db, five_migrations()).version, 0);
  ::close(other);
  EXPECT_EQ(db.migrate(five_migrations(), {.lock_timeout = 0ms}).to, 5);
}

// look: nothing is there
//                            here, past all locks of ours: the first two steps
// lock, look again: three to go
TEST_F(MigratingFile, LooksAgainUnderTheWriteLock) {
  { Database made = Database::open(path_); }
  int begun = 0;
  ForeignConnection other(path_);
  Database source = Database::in_memory();
  source.migrate(five_migrations(), {.target = 2});
  const auto migrate_in_between = [&](const ExecutedStatement& statement) {
    if (statement.sql() != "BEGIN IMMEDIATE" || ++begun != 1) return;
    other.run("BEGIN IMMEDIATE");
    source.read([&](const Snapshot& s) {
      for (const std::string& sql : s.query<std::string>("SELECT sql FROM sqlite_master WHERE sql NOTNULL")) {
        other.run(sql);
      }
      for (const std::string& row :
           s.query<std::string>("SELECT format('INSERT INTO sqlane_migration VALUES (%d, %Q, %Q, %Q, 0, %Q, %Q)', "
                                "version, name, checksum, applied_at, sqlane_version, state) FROM sqlane_migration")) {
        other.run(row);
      }
    });
    other.run("PRAGMA user_version = 2");
    other.run("COMMIT");
  };
  Options options;
  options.on_statement = migrate_in_between;
  Database db = Database::open(path_, options);
  begun = 0;
  const MigrationReport report = db.migrate(five_migrations());
  EXPECT_EQ(report.from, 0);
  EXPECT_EQ(report.to, 5);
  ASSERT_EQ(report.steps.size(), 3U);
  EXPECT_EQ(report.steps[0].version, 3);
}

TEST_F(MigratingFile, DoesNotTakeAReplicaForTheDatabase) {
  const fs::path replica = folder_ / "replica.db";
  Database::open(replica).migrate(five_migrations());
  Database db = Database::open(path_, {.readers = 1, .fallback = replica});
  const Snapshot held = db.snapshot();
  std::jthread([&] { EXPECT_THROW(db.migrate(five_migrations(), {.lock_timeout = 0ms}), TimeoutError); }).join();
}

TEST_F(MigratingFile, LocksWithAFileThatAllMayUseWhoMayUseTheDatabase) {
  Database db = Database::open(path_);
  fs::permissions(path_, fs::perms(0664));
  mode_t mode = 0;
  db.migrate(five_migrations(), {.on_progress = [&](const MigrationProgress&) {
               struct stat found {};
               EXPECT_EQ(::stat((path_.string() + "-migration").c_str(), &found), 0);
               mode = found.st_mode & 0777U;
             }});
  EXPECT_EQ(mode, 0664U);
}

TEST_F(MigratingFile, OnlyReadsWhereItWasOpenedToRead) {
  {
    Database db = Database::open(path_);
    db.migrate(five_migrations(), {.target = 4});
  }
  Database db = Database::open(path_, {.mode = OpenMode::read_only});
  EXPECT_THROW(db.migrate(five_migrations()), ReadOnlyError);
  EXPECT_TRUE(db.migrate(five_migrations(), {.target = 4}).steps.empty());
  EXPECT_EQ(migration_status(db, five_migrations()).pending.size(), 1U);
  EXPECT_FALSE(fs::exists(path_.string() + "-migration"));
}

TEST_F(MigratingFile, OfManyThreadsIsDoneByOne) {
  Database db = Database::open(path_);
  Database another = Database::open(path_);
  std::atomic<std::size_t> steps = 0;
  std::atomic<int> workers = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const MigrationReport report = (i % 2 == 0 ? db : another).migrate(five_migrations());
        steps += report.steps.size();
        if (!report.steps.empty()) ++workers;
      });
    }
  }
  EXPECT_EQ(steps, 5U);
  EXPECT_EQ(workers, 1);
  EXPECT_EQ(state_of(db), expected_state(5));
}

}  // namespace
}  // namespace sqlane
