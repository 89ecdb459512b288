#include <chrono>
#include <map>
#include <string>

#include "support/lane_queue.hpp"
#include "support/titled_writes.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::LaneQueue;
using testing::TitledWrites;

// Which writes share a commit: those that may,

class GroupingOfWrites : public TitledWrites {};

TEST_F(GroupingOfWrites, RunsASharedOneThatWaitedOnTheThreadOfTheFirst) {
  LaneQueue queue(db);
  add(queue, "first");
  add(queue, "second");
  queue.run();
  EXPECT_EQ(order(), (Titles{"first", "second"}));
  EXPECT_TRUE(ran[0].on_own_thread);
  EXPECT_FALSE(ran[1].on_own_thread);
  EXPECT_EQ(ran[1].thread, ran[0].thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"first", 2}, {"second", 2}}));
}

TEST_F(GroupingOfWrites, RunsOneThatWaitedOnItsOwnThreadWhenAskedTo) {
  LaneQueue queue(db);
  add(queue, "before");
  add(queue, "own", {.grouping = Grouping::own_thread});
  queue.run();
  EXPECT_EQ(order(), (Titles{"before", "own"}));
  EXPECT_TRUE(ran[1].on_own_thread);
}

TEST_F(GroupingOfWrites, LetsThoseBehindShareTheCommitOfOneOnItsOwnThread) {
  LaneQueue queue(db);
  add(queue, "own", {.grouping = Grouping::own_thread});
  add(queue, "behind");
  add(queue, "last");
  queue.run();
  EXPECT_TRUE(ran[0].on_own_thread);
  EXPECT_FALSE(ran[1].on_own_thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"own", 3}, {"behind", 3}, {"last", 3}}));
}

TEST_F(GroupingOfWrites, GivesACommitOfItsOwnToOneThatWantsToBeAlone) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title);
  add(queue, "alone", {.grouping = Grouping::alone});
  for (const char* title : {"c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(order(), (Titles{"a", "b", "alone", "c", "d"}));
  EXPECT_TRUE(ran[2].on_own_thread);
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"a", 2}, {"b", 2}, {"alone", 1}, {"c", 2}, {"d", 2}}));
}

TEST_F(GroupingOfWrites, KeepsTwoApartThatWantToBeAlone) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b"}) add(queue, title, {.grouping = Grouping::alone});
  queue.run();
  EXPECT_EQ(jobs_of, (std::map<std::string, std::size_t>{{"a", 1}, {"b", 1}}));
}

// before     guard      behind
// waits      waits      waits
// commits
//            begins: sees "before"
//            commits
//                       sees both
TEST_F(GroupingOfWrites, CommitsThoseBeforeAGuardBeforeItAndThoseBehindAfterIt) {
  LaneQueue queue(db);
  Titles when_guard_began;
  Titles when_behind_began;
  add(queue, "before");
  queue.add([&] {
    Transaction tx = db.begin();
    when_guard_began = titles();  // of a reader, so what is committed
    insert(tx, "guard");
    EXPECT_EQ(order(), Titles{"before"});
    tx.commit();
  });
  queue.add([&] { db.write([&](Transaction&) { when_behind_began = titles(); }); });
  queue.run();
  EXPECT_EQ(when_guard_began, Titles{"before"});
  EXPECT_EQ(when_behind_began, (Titles{"before", "guard"}));
}

// and as many as the limits of a batch allow.

class BatchOfTwo : public TitledWrites {
 protected:
  BatchOfTwo() : TitledWrites({.jobs = 2, .run_time = 1h}) {}
};

TEST_F(BatchOfTwo, IsCommittedWhenItIsFull) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d", "e", "f"}) add(queue, title);
  queue.run();
  EXPECT_EQ(order(), (Titles{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(batches(), 3U);
  for (const char* title : {"a", "b", "c", "d", "e", "f"}) EXPECT_EQ(jobs_of[title], 2U) << title;
}

class BatchOfNoTime : public TitledWrites {
 protected:
  BatchOfNoTime() : TitledWrites({.run_time = 0us}) {}
};

TEST_F(BatchOfNoTime, HoldsOneJob) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(batches(), 4U);
}

class BatchOfNoBytes : public TitledWrites {
 protected:
  BatchOfNoBytes() : TitledWrites({.run_time = 1h, .bytes = 1}) {}
};

TEST_F(BatchOfNoBytes, HoldsOneJobThatChangesPages) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title + std::string(20'000, '.'));
  queue.run();
  EXPECT_EQ(batches(), 4U);
}

class BatchOfAnyTime : public TitledWrites {
 protected:
  BatchOfAnyTime() : TitledWrites({.run_time = std::chrono::microseconds::max()}) {}
};

TEST_F(BatchOfAnyTime, TakesAllWhoWait) {
  LaneQueue queue(db);
  for (const char* title : {"a", "b", "c", "d"}) add(queue, title);
  queue.run();
  EXPECT_EQ(batches(), 1U);
}

}  // namespace
}  // namespace sqlane
