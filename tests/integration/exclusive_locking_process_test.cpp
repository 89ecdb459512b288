#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/exclusive_locking.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_process.hpp"
#include "support/sqlite_shell.hpp"

namespace sqlane {
namespace {

namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::error_of;
using testing::ExclusiveLocking;
using testing::is_locked_out;
using testing::LinePipe;
using testing::mentions;

// Several Databases of this process

TEST_F(ExclusiveLocking, IsSharedByTheDatabasesOfAProcess) {
  Database first = open();
  create(first);
  fs::create_directory_symlink(folder.path(), folder / "linked");
  Database second = Database::open(folder / "linked" / path.filename(), exclusive());
  // main                      writer
  // has the lane of first
  //                           writes through second: waits
  // commits                   has written
  Transaction tx = first.begin();
  tx.execute("INSERT INTO note (id) VALUES (1)");
  std::jthread writer([&] { add(second, 2); });
  while (first.lane_holder()->waiting != 1) std::this_thread::yield();
  EXPECT_EQ(ids(second), std::vector<int>());
  tx.commit();
  writer.join();
  EXPECT_EQ(ids(first), (std::vector{1, 2}));
  EXPECT_EQ(ids(second), (std::vector{1, 2}));
  first.close();
  EXPECT_TRUE(keeps_the_shell_out());
  add(second, 3);
  second.close();
  EXPECT_EQ(ids_in_shell(), whole("1,2,3"));
}

TEST_F(ExclusiveLocking, HasToBeAgreedOnInAProcess) {
  for (const bool is_exclusive : {true, false}) {
    const Options first = is_exclusive ? exclusive() : shared();
    const Options other = is_exclusive ? shared() : exclusive();
    auto db = std::make_unique<Database>(open(first));
    fs::create_directory_symlink(folder.path(), folder / "linked");
    const auto expect_refused = [&] {
      const UsageError error = error_of<UsageError>([&] { static_cast<void>(open(other)); });
      EXPECT_TRUE(mentions(error, is_exclusive ? "open with Locking::exclusive" : "open with Locking::shared"))
          << error.what();
      EXPECT_THROW(static_cast<void>(Database::open(folder / "linked" / path.filename(), other)), UsageError);
    };
    expect_refused();
    db->execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    EXPECT_EQ(is_locked_out(shell("SELECT 1 FROM note")), is_exclusive) << "the attempt has changed nothing";
    auto snapshot = std::unique_ptr<Snapshot>(new Snapshot(db->snapshot()));
    db.reset();
    expect_refused();
    EXPECT_NO_THROW(static_cast<void>(open(first)));
    expect_refused();
    EXPECT_EQ(is_locked_out(shell("SELECT 1 FROM note")), is_exclusive);
    snapshot.reset();
    EXPECT_NO_THROW(static_cast<void>(open(other)));
    fs::remove(folder / "linked");
  }
}

TEST_F(ExclusiveLocking, CanFollowAndPrecedeTheOther) {
  for (int i = 0; i < 4; ++i) {
    Database db = open(i % 2 == 0 ? exclusive() : shared());
    db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY)");
    add(db, i);
    EXPECT_EQ(keeps_the_shell_out(), i % 2 == 0);
    static_cast<void>(shell("DELETE FROM note WHERE id = -1"));
  }
  EXPECT_EQ(ids_in_shell(), whole("0,1,2,3"));
}

TEST_F(ExclusiveLocking, BecomesMoreDurableWithTheSecondOne) {
  Database first = open();
  Options options = exclusive();
  options.durability = Durability::full;
  const Database second = open(options);
  EXPECT_EQ(first.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA synchronous"); }), 2);
}

TEST_F(ExclusiveLocking, MeansNothingToAMemoryDatabase) {
  Database db = Database::in_memory("notes", exclusive());
  create(db);
  add(db, 1);
  EXPECT_EQ(ids(Database::in_memory("notes", shared())), std::vector{1});
}

// Forks

TEST_F(ExclusiveLocking, IsNotLetGoByTheEndOfAForkedChild) {
  auto db = std::make_unique<Database>(open());
  create(*db);
  EXPECT_EQ(ids(*db), std::vector<int>());
  {
    ChildProcess child([&](const LinePipe&, const LinePipe&) {
      EXPECT_THROW(static_cast<void>(open()), UsageError);
      EXPECT_THROW(static_cast<void>(open(shared())), UsageError);
      db.reset();
      if (HasFailure()) throw std::runtime_error("see above");
    });
    EXPECT_EQ(child.join(), 0);
  }
  EXPECT_TRUE(keeps_the_shell_out());
  add(*db, 1);
  EXPECT_EQ(ids(*db), std::vector{1});
  db.reset();
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

TEST_F(ExclusiveLocking, EndsWithTheParentThoughAForkedChildLives) {
  Database db = open();
  create(db);
  {
    ChildProcess child([](const LinePipe& from_parent, const LinePipe& to_parent) {
      to_parent.write("here");
      std::string line;
      static_cast<void>(from_parent.read(line));  // for ever
    });
    ASSERT_EQ(child.hear(), "here");
    EXPECT_TRUE(keeps_the_shell_out());
    add(db, 1);
    db.close();
    EXPECT_EQ(ids_in_shell(), whole("1"));
    EXPECT_NO_THROW(static_cast<void>(open()));
  }
  EXPECT_EQ(ids_in_shell(), whole("1"));
}

}  // namespace
}  // namespace sqlane
