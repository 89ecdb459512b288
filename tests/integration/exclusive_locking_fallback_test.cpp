#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <vector>

#include "support/exclusive_locking.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_process.hpp"
#include "support/sqlite_shell.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ChildProcess;
using testing::error_of;
using testing::ExclusiveLocking;
using testing::LinePipe;
using testing::mentions;
using testing::success;

TEST_F(ExclusiveLocking, LeavesTheFallbackToOthersAsWell) {
  const fs::path replica = folder / "replica.db";
  ASSERT_EQ(
      testing::run_in_shell(replica, "PRAGMA journal_mode=WAL; CREATE TABLE note (id); INSERT INTO note VALUES (100)"),
      success("wal"));
  Options options = exclusive();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = replica;
  Database db = open(options);
  create(db);
  {
    const Snapshot held = db.snapshot();
    EXPECT_EQ(ids(db), std::vector{100});
    EXPECT_EQ(testing::run_in_shell(replica, "INSERT INTO note VALUES (101)"), success());
    EXPECT_EQ(ids(db), (std::vector{100, 101}));
    EXPECT_TRUE(keeps_the_shell_out());
  }
  EXPECT_EQ(db.stats().fallback_reads, 2U);
  EXPECT_EQ(ids(db), std::vector<int>());
}

// Its readers of the file hold it shared for as long as they are kept.
TEST_F(ExclusiveLocking, IsRefusedForAFileThatIsReadAsAFallbackHere) {
  create(*std::make_unique<Database>(open(shared())));
  Options options = shared();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = path;
  auto other = std::make_unique<Database>(Database::open(folder / "other.db", options));
  EXPECT_NO_THROW(static_cast<void>(open())) << "nobody has needed it yet";
  {
    const Snapshot held = other->snapshot();
    EXPECT_EQ(ids(*other), std::vector<int>());
  }
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(open()); }), "open with Locking::shared"));
  EXPECT_NO_THROW(static_cast<void>(open(shared())));
  {
    ChildProcess child([&](const LinePipe&, const LinePipe&) {
      EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
      if (HasFailure()) throw std::runtime_error("see above");
    });
    EXPECT_EQ(child.join(), 0);
  }
  other.reset();
  const Database db = open();
  EXPECT_TRUE(keeps_the_shell_out());
}

TEST_F(ExclusiveLocking, LetsTheFileBeAFallbackOfTheSameProcess) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  add(*db, 1);
  Options options = shared();
  options.readers = 1;
  options.acquire_timeout = 0ms;
  options.fallback = path;
  auto other = std::make_unique<Database>(Database::open(folder / "other.db", options));
  {
    const Snapshot held = other->snapshot();
    EXPECT_EQ(ids(*other), std::vector{1});
    add(*db, 2);
    EXPECT_EQ(ids(*other), (std::vector{1, 2}));
  }
  EXPECT_FALSE(has_index_file());
  db.reset();
  EXPECT_TRUE(keeps_the_shell_out()) << "the fallback's reader has it open";
  EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
  EXPECT_EQ(ids(open()), (std::vector{1, 2}));
  other.reset();
  EXPECT_EQ(ids_in_shell(), whole("1,2"));
}

}  // namespace
}  // namespace sqlane
