#include <chrono>
#include <filesystem>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/forked_child.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::mentions;

using Names = std::vector<std::string>;

class RegistryOfTwo : public ::testing::Test {
 protected:
  RegistryOfTwo() {
    registry->add("notes", options_of("notes"));
    registry->add("cache", options_of("cache"));
  }

  [[nodiscard]] Options options_of(std::string_view name) const {
    return {.path = path_of(name), .readers = 1, .durability = Durability::normal, .acquire_timeout = 0ms};
  }
  [[nodiscard]] std::filesystem::path path_of(std::string_view name) const {
    return folder / (std::string(name) + ".db");
  }
  void use(std::string_view name) { static_cast<void>(registry->get(name)); }

  testing::TemporaryFolder folder;
  std::size_t files_before = testing::count_open_files();
  std::unique_ptr<Registry> registry = std::make_unique<Registry>();
};

TEST_F(RegistryOfTwo, OpensNothingBeforeSomebodyAsks) {
  EXPECT_EQ(registry->names(), (Names{"cache", "notes"}));
  EXPECT_FALSE(registry->is_open("notes"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(RegistryOfTwo, OpensEachOnceWithItsOwnOptions) {
  const auto notes = registry->get("notes");
  EXPECT_EQ(registry->get("notes"), notes);
  EXPECT_EQ(notes->options().path, path_of("notes"));
  EXPECT_EQ(notes->options().readers, 1U);
  EXPECT_TRUE(registry->is_open("notes"));
  EXPECT_FALSE(registry->is_open("cache"));
  EXPECT_FALSE(std::filesystem::exists(path_of("cache")));
}

TEST_F(RegistryOfTwo, KeepsOpenWhatNobodyHas) {
  use("notes");
  EXPECT_TRUE(registry->is_open("notes"));
  EXPECT_GT(testing::count_open_files(), files_before);
}

TEST_F(RegistryOfTwo, RefusesANameThatIsTaken) {
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { registry->add("notes", {}); }), "\"notes\""));
  EXPECT_EQ(registry->get("notes")->options().path, path_of("notes"));
}

TEST_F(RegistryOfTwo, RefusesAnEmptyName) { EXPECT_THROW(registry->add("", {}), UsageError); }

TEST_F(RegistryOfTwo, ListsTheNamesItKnowsForOneThatItDoesNot) {
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { use("nots"); }), "\"nots\"; it has \"cache\", \"notes\""));
  EXPECT_THROW(static_cast<void>(registry->is_open("nots")), UsageError);
  EXPECT_THROW(registry->remove("nots"), UsageError);
  Registry empty;
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(empty.get("a")); }), "it has none"));
}

TEST_F(RegistryOfTwo, TriesAgainAfterAnOpeningFailed) {
  registry->add("missing", options_of("missing/a"));
  EXPECT_THROW(use("missing"), OpenError);
  EXPECT_FALSE(registry->is_open("missing"));
  std::filesystem::create_directory(folder / "missing");
  EXPECT_NO_THROW(use("missing"));
}

TEST_F(RegistryOfTwo, OpensOnceForManyThreads) {
  // Another connection's lock keeps the first of them from opening it, until the others have come.
  constexpr int kThreads = 8;
  testing::ForeignConnection other(path_of("notes"));
  other.run("CREATE TABLE t (a); BEGIN EXCLUSIVE");
  std::latch asks(kThreads);
  std::vector<std::future<std::shared_ptr<Database>>> all;
  for (int i = 0; i < kThreads; ++i) {
    all.push_back(std::async(std::launch::async, [&] {
      asks.count_down();
      return registry->get("notes");
    }));
  }
  asks.wait();
  EXPECT_FALSE(registry->is_open("notes"));  // nobody waits for the opening who does not want it
  EXPECT_NO_THROW(use("cache"));
  EXPECT_EQ(registry->health().at("notes"), std::nullopt);
  other.run("COMMIT");
  const auto first = registry->get("notes");
  for (auto& one : all) EXPECT_EQ(one.get(), first);
}

TEST_F(RegistryOfTwo, CanBeClosedWhileManyAsk) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    registry = std::make_unique<Registry>();
    registry->add("notes", options_of("notes"));
    std::latch start(kThreads + 1);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        EXPECT_THROW(while (true) use("notes"), ClosedError);
      });
    }
    start.arrive_and_wait();
    registry->close();
    threads.clear();
    ASSERT_EQ(testing::count_open_files(), files_before);
  }
}

// Removing

TEST_F(RegistryOfTwo, ClosesAtOnceWhatItForgetsAndNobodyHas) {
  use("notes");
  registry->remove("notes");
  EXPECT_EQ(registry->names(), Names{"cache"});
  EXPECT_THROW(use("notes"), UsageError);
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(RegistryOfTwo, LeavesWhatItForgetsToThoseWhoHaveIt) {
  auto notes = registry->get("notes");
  registry->remove("notes");
  EXPECT_EQ(notes->query_one<int>("SELECT 1"), 1);
  notes.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(RegistryOfTwo, TakesANameAgainAfterForgettingIt) {
  const auto old = registry->get("notes");
  registry->remove("notes");
  registry->add("notes", options_of("other"));
  EXPECT_EQ(registry->get("notes")->options().path, path_of("other"));
  EXPECT_EQ(old->query_one<int>("SELECT 1"), 1);
}

// Closing through a pointer

TEST_F(RegistryOfTwo, OpensAnewWhatWasClosedThroughAPointer) {
  const auto notes = registry->get("notes");
  notes->close();
  EXPECT_FALSE(registry->is_open("notes"));
  EXPECT_EQ(registry->health().at("notes"), std::nullopt);
  const auto again = registry->get("notes");
  EXPECT_NE(again, notes);
  EXPECT_EQ(again->query_one<int>("SELECT 1"), 1);
  EXPECT_EQ(registry->get("notes"), again);
}

TEST_F(RegistryOfTwo, DoesNotOpenAnewWhatIsStillBeingClosed) {
  // main                            other
  //                                 begins a read
  // close(): TimeoutError
  // get(): TimeoutError
  // ---- may end --------------->   ends it
  // get() opens it
  const auto notes = registry->get("notes");
  std::latch reads(1);
  std::latch may_end(1);
  std::jthread other([&] {
    notes->read([&](const Snapshot&) {
      reads.count_down();
      may_end.wait();
    });
  });
  reads.wait();
  EXPECT_THROW(notes->close(), TimeoutError);
  EXPECT_THROW(use("notes"), TimeoutError);
  may_end.count_down();
  other.join();
  EXPECT_NO_THROW(use("notes"));
}

// Health

TEST_F(RegistryOfTwo, TellsTheHealthOfThoseThatAreOpenAndOpensNone) {
  use("notes");
  const auto health = registry->health();
  ASSERT_EQ(health.size(), 2U);
  ASSERT_TRUE(health.at("notes").has_value());
  EXPECT_TRUE(health.at("notes")->is_healthy());
  EXPECT_EQ(health.at("cache"), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(path_of("cache")));
}

// Closing

TEST_F(RegistryOfTwo, ClosesEverythingWhoeverHasIt) {
  const auto notes = registry->get("notes");
  use("cache");
  registry->close();
  EXPECT_EQ(testing::count_open_files(), files_before);
  EXPECT_THROW(notes->execute("CREATE TABLE t (a)"), ClosedError);
  EXPECT_THROW(use("notes"), ClosedError);
  EXPECT_THROW(registry->add("new", {}), ClosedError);
  EXPECT_EQ(registry->names(), (Names{"cache", "notes"}));
  EXPECT_FALSE(registry->is_open("notes"));
  EXPECT_EQ(registry->health().at("notes"), std::nullopt);
  EXPECT_NO_THROW(registry->close());
}

TEST_F(RegistryOfTwo, OpensNothingAfterItsClose) {
  registry->close();
  EXPECT_THROW(use("notes"), ClosedError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(RegistryOfTwo, TriesToCloseEachAndThenThrowsTheFirstError) {
  const auto cache = registry->get("cache");  // before notes
  const auto notes = registry->get("notes");
  {
    const Snapshot snapshot = cache->snapshot();
    EXPECT_THROW(registry->close(), UsageError);
    EXPECT_THROW(notes->execute("CREATE TABLE t (a)"), ClosedError);
    EXPECT_EQ(snapshot.query_one<int>("SELECT 1"), 1);
    EXPECT_TRUE(registry->is_open("cache"));
    EXPECT_THROW(use("cache"), ClosedError);
  }
  EXPECT_NO_THROW(registry->close());
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(RegistryOfTwo, ThrowsTheFirstErrorOfSeveral) {
  // main                            other
  //                                 reads notes
  // has a snapshot of cache
  // close(): UsageError for cache, then TimeoutError for notes
  const auto cache = registry->get("cache");
  const auto notes = registry->get("notes");
  std::latch reads(1);
  std::latch may_end(1);
  std::jthread other([&] {
    notes->read([&](const Snapshot&) {
      reads.count_down();
      may_end.wait();
    });
  });
  reads.wait();
  const Snapshot snapshot = cache->snapshot();
  EXPECT_THROW(registry->close(), UsageError);
  may_end.count_down();
}

TEST_F(RegistryOfTwo, LeavesWhatSomebodyHasAtItsEnd) {
  auto notes = registry->get("notes");
  use("cache");
  registry.reset();
  EXPECT_EQ(notes->query_one<int>("SELECT 1"), 1);
  notes.reset();
  EXPECT_EQ(testing::count_open_files(), files_before);
}

TEST_F(RegistryOfTwo, LeavesAChildOfForkNothingToUse) {
  auto notes = registry->get("notes");
  notes->execute("CREATE TABLE t (a)");
  testing::in_child([&] {
    EXPECT_THROW(use("notes"), UsageError);
    EXPECT_THROW(registry->add("new", {}), UsageError);
    EXPECT_THROW(registry->remove("cache"), UsageError);
    EXPECT_THROW(static_cast<void>(registry->names()), UsageError);
    EXPECT_THROW(static_cast<void>(registry->health()), UsageError);
    EXPECT_THROW(registry->close(), UsageError);
    registry.reset();
    notes.reset();
  });
  EXPECT_NO_THROW(notes->execute("INSERT INTO t VALUES (1)"));
  EXPECT_TRUE(std::filesystem::exists(path_of("notes").string() + "-wal"));
}

}  // namespace
}  // namespace sqlane
