#include "lane/writer_lane.hpp"

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <set>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
constexpr CallSite kThere{"index.cpp", 7, "rebuild"};
constexpr CallSite kElsewhere{"report.cpp", 3, "print"};

using testing::error_of;
using testing::mentions;

class WriterLaneTest : public ::testing::Test {
 protected:
  [[nodiscard]] Clock::time_point soon() { return clock_.now() + hours(1); }

  Connection& acquire_until(Clock::time_point deadline, CallSite site) {
    Waiter waiter;
    waiter.site = site;
    return lane_.acquire(waiter, deadline, {});
  }
  Connection& acquire(CallSite site = kHere) { return acquire_until(soon(), site); }

  void await_waiting(std::size_t count) {
    while (lane_.waiting() != count) std::this_thread::yield();
  }

  testing::SteppedClock clock_;
  std::atomic<int> opened_ = 0;
  std::atomic<int> released_ = 0;
  std::atomic<bool> opener_fails_ = false;
  std::latch* opener_waits_for_ = nullptr;
  WriterLane lane_{{.open_writer =
                        [this] {
                          ++opened_;
                          if (opener_waits_for_ != nullptr) opener_waits_for_->wait();
                          if (opener_fails_) throw OpenError("the opener fails");
                          return std::make_unique<Connection>(
                              ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0)});
                        },
                    .before = [] {},
                    .needs_care = [](Connection&) { return true; },
                    .care = [this](Connection&) { ++released_; }},
                   {},
                   clock_};
};

TEST_F(WriterLaneTest, OpensTheWriterForTheFirstHolderOnly) {
  EXPECT_EQ(opened_, 0);
  Connection& first = acquire();
  lane_.release();
  Connection& second = acquire();
  lane_.release();
  EXPECT_EQ(&first, &second);
  EXPECT_EQ(opened_, 1);
  EXPECT_EQ(released_, 2);
}

TEST_F(WriterLaneTest, AdmitsInTheOrderOfAsking) {
  constexpr int kWaiters = 8;
  acquire();
  std::vector<int> order;  // of the lane's holder
  std::vector<std::jthread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      acquire(kThere);
      order.push_back(i);
      lane_.release();
    });
    await_waiting(static_cast<std::size_t>(i) + 1);
  }
  lane_.release();
  waiters.clear();  // joins
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(lane_.waiting(), 0U);
}

// BatchLimits::run_time is for running: those who waited longer than that are no less welcome.
TEST_F(WriterLaneTest, RunsTogetherThoseWhoHaveWaitedForLong) {
  constexpr std::size_t kWaiters = 3;
  acquire();
  std::vector<std::thread::id> runners;  // of the lane's holder
  std::vector<std::jthread> waiters;
  for (std::size_t i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&] {
      auto run = [&](Transaction&) { runners.push_back(std::this_thread::get_id()); };
      const WriteOptions how;
      Job job(WriteJob(run), how);
      job.site = kThere;
      EXPECT_NO_THROW(lane_.run(job, soon()));
    });
    await_waiting(i + 1);
  }
  const std::thread::id first = waiters.front().get_id();
  clock_.advance(milliseconds(11));  // a little more than it may run
  lane_.release();
  waiters.clear();
  EXPECT_EQ(runners, std::vector(kWaiters, first));
}

TEST_F(WriterLaneTest, LetsNobodyComeBeforeThoseWhoWait) {
  // main                       waiter
  // holds the lane             waits
  // releases ----------------> has the lane from here on, awake or not
  // finds it taken
  acquire();
  std::latch is_asked_again(1);
  std::jthread waiter([&] {
    acquire(kThere);
    is_asked_again.wait();
    lane_.release();
  });
  await_waiting(1);
  lane_.release();
  EXPECT_THROW(acquire_until(clock_.now(), kHere), TimeoutError);
  is_asked_again.count_down();
}

TEST_F(WriterLaneTest, GivesUpAtTheDeadlineAndNamesTheHolder) {
  acquire(kHere);
  std::string message;
  std::jthread waiter([&] {
    message = error_of<TimeoutError>([&] { acquire_until(clock_.now() + milliseconds(30), kThere); }).what();
  });
  await_waiting(1);
  clock_.advance(milliseconds(29));
  EXPECT_EQ(lane_.waiting(), 1U);
  clock_.advance(milliseconds(1));
  waiter.join();
  EXPECT_TRUE(mentions(message, "for index.cpp:7 (rebuild)")) << message;
  EXPECT_TRUE(mentions(message, "held by notes.cpp:12 (save_note) for 30 ms")) << message;
  EXPECT_EQ(lane_.waiting(), 0U);
  lane_.release();
  EXPECT_NO_THROW(acquire());
  lane_.release();
}

TEST_F(WriterLaneTest, KeepsTheOrderWhenOneInTheMiddleGivesUp) {
  acquire();
  std::vector<int> order;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&, i] {
      if (i == 1) {
        EXPECT_THROW(acquire_until(clock_.now() + milliseconds(10), kThere), TimeoutError);
        return;
      }
      acquire(kThere);
      order.push_back(i);
      lane_.release();
    });
    await_waiting(static_cast<std::size_t>(i) + 1);
  }
  clock_.advance(milliseconds(10));
  await_waiting(2);
  lane_.release();
  waiters.clear();
  EXPECT_EQ(order, (std::vector{0, 2}));
}

TEST_F(WriterLaneTest, NamesTheHolderOfNow) {
  acquire(kHere);
  std::latch is_seen(1);
  std::jthread waiter([&] {
    acquire(kThere);
    is_seen.wait();
    lane_.release();
  });
  await_waiting(1);
  clock_.advance(milliseconds(50));
  lane_.release();
  const std::string message = error_of<TimeoutError>([&] { acquire_until(clock_.now(), kElsewhere); }).what();
  is_seen.count_down();
  EXPECT_TRUE(mentions(message, "held by index.cpp:7 (rebuild) for 0 ms")) << message;
}

TEST_F(WriterLaneTest, RefusesItsOwnHolderAndNamesBothPlaces) {
  acquire(kHere);
  const std::string message = error_of<UsageError>([&] { acquire(kThere); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
  lane_.release();
  EXPECT_NO_THROW(acquire());
  lane_.release();
}

TEST_F(WriterLaneTest, MayBeReleasedByAnotherThread) {
  acquire();
  std::jthread([&] { lane_.release(); }).join();
  EXPECT_NO_THROW(acquire());
  lane_.release();
}

TEST_F(WriterLaneTest, TellsEachWaiterThatItIsClosed) {
  constexpr std::size_t kWaiters = 5;
  acquire();
  std::atomic<std::size_t> told = 0;
  std::vector<std::jthread> waiters;
  for (std::size_t i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&] {
      EXPECT_THROW(acquire(kThere), ClosedError);
      ++told;
    });
  }
  await_waiting(kWaiters);
  lane_.shut();
  waiters.clear();
  EXPECT_EQ(told, kWaiters);
  EXPECT_EQ(lane_.waiting(), 0U);
  lane_.release();
  EXPECT_NO_THROW(lane_.drain(clock_.now()));
}

TEST_F(WriterLaneTest, WaitsForItsHolderWhenItCloses) {
  acquire(kHere);
  std::atomic<bool> is_released = false;
  std::jthread closer([&] {
    lane_.drain(soon());
    EXPECT_TRUE(is_released);
  });
  while (clock_.sleeping() == 0) std::this_thread::yield();
  is_released = true;
  lane_.release();
  closer.join();
  EXPECT_THROW(acquire(), ClosedError);
}

TEST_F(WriterLaneTest, NamesTheHolderWhenClosingTakesTooLong) {
  acquire(kHere);
  clock_.advance(milliseconds(40));
  std::string message;
  std::jthread([&] { message = error_of<TimeoutError>([&] { lane_.drain(clock_.now()); }).what(); }).join();
  EXPECT_TRUE(mentions(message, "held by notes.cpp:12 (save_note) for 40 ms")) << message;
  lane_.release();
  EXPECT_NO_THROW(lane_.drain(clock_.now()));
}

TEST_F(WriterLaneTest, KnowsWhoWouldWaitForItself) {
  EXPECT_NO_THROW(lane_.expect_foreign_holder(kThere));
  acquire(kHere);
  const std::string message = error_of<UsageError>([&] { lane_.expect_foreign_holder(kThere); }).what();
  EXPECT_TRUE(mentions(message, "notes.cpp:12 (save_note)")) << message;
  EXPECT_TRUE(mentions(message, "index.cpp:7 (rebuild)")) << message;
  std::jthread([&] { EXPECT_NO_THROW(lane_.expect_foreign_holder(kThere)); }).join();
  lane_.release();
  EXPECT_NO_THROW(lane_.expect_foreign_holder(kThere));
}

TEST_F(WriterLaneTest, PassesTheLaneOnWhenTheWriterCannotBeOpened) {
  // first                      second
  // acquire: the opener runs
  // ---- opening ------------> waits
  // the opener throws
  //                            opens its own
  std::latch both_ask(1);
  opener_waits_for_ = &both_ask;
  opener_fails_ = true;
  std::jthread first([&] { EXPECT_THROW(acquire(kHere), OpenError); });
  while (opened_ == 0) std::this_thread::yield();
  std::atomic<int> failures = 0;
  std::vector<std::jthread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      try {
        acquire(kThere);
        lane_.release();
      } catch (const OpenError&) {
        ++failures;
      }
    });
  }
  await_waiting(3);
  both_ask.count_down();
  others.clear();
  first.join();
  EXPECT_EQ(failures, 3);
  opener_fails_ = false;
  EXPECT_NO_THROW(acquire());
  lane_.release();
}

TEST_F(WriterLaneTest, KeepsTheConnectionThatItTidied) {
  Connection& writer = acquire();
  writer.begin(Behavior::immediate);
  lane_.release();
  EXPECT_EQ(&acquire(), &writer);
  EXPECT_FALSE(writer.in_transaction());
  EXPECT_EQ(opened_, 1);
  lane_.release();
}

// Expires with the connection: SQLite destroys what a function carries.
std::weak_ptr<int> watch(Connection& connection) {
  auto owner = std::make_unique<std::shared_ptr<int>>(std::make_shared<int>());
  std::weak_ptr<int> alive = *owner;
  sqlite3_create_function_v2(
      connection.handle(), "alive", 0, SQLITE_UTF8, owner.release(), [](sqlite3_context*, int, sqlite3_value**) {},
      nullptr, nullptr, [](void* held) { delete static_cast<std::shared_ptr<int>*>(held); });
  return alive;
}

TEST_F(WriterLaneTest, ReplacesAConnectionThatCannotBeTidied) {
  Connection& writer = acquire();
  const std::weak_ptr<int> alive = watch(writer);
  writer.begin(Behavior::immediate);
  // From here on SQLite refuses to prepare anything, so ROLLBACK fails.
  sqlite3_set_authorizer(
      writer.handle(), [](void*, int, const char*, const char*, const char*, const char*) { return SQLITE_DENY; },
      nullptr);
  lane_.release();
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(released_, 0);

  Connection& successor = acquire();
  EXPECT_EQ(opened_, 2);
  EXPECT_FALSE(successor.in_transaction());
  lane_.release();
  EXPECT_EQ(released_, 1);
}

TEST_F(WriterLaneTest, KeepsTheIdleWriterUntilItIsClosed) {
  const std::weak_ptr<int> alive = watch(acquire());
  lane_.release();
  lane_.drain(clock_.now());
  EXPECT_FALSE(alive.expired());
  lane_.close();
  EXPECT_TRUE(alive.expired());
}

// Readers may still be open then, and the last one to close has to be the writer.
TEST_F(WriterLaneTest, KeepsTheWriterWhenItIsReleasedAfterClosingTimedOut) {
  const std::weak_ptr<int> alive = watch(acquire());
  std::jthread([&] { EXPECT_THROW(lane_.drain(clock_.now()), TimeoutError); }).join();
  lane_.release();
  EXPECT_FALSE(alive.expired());
  EXPECT_NO_THROW(lane_.drain(clock_.now()));
  lane_.close();
  EXPECT_TRUE(alive.expired());
}

// Jobs

class WriterLaneJobs : public WriterLaneTest {
 protected:
  // Queues a job on a thread of its own.
  void add_job(WriteOptions options = {}) {
    threads_.emplace_back([this, options = std::move(options)] {
      auto run = [this](Transaction&) { ran_on_.push_back(std::this_thread::get_id()); };
      Job job(WriteJob(run), options);
      job.site = kThere;
      lane_.run(job, soon());
    });
    await_waiting(threads_.size());
  }

  // Each batch is led by the thread of its first waiter.
  [[nodiscard]] std::size_t batches() const { return std::set<std::thread::id>(ran_on_.begin(), ran_on_.end()).size(); }

  std::vector<std::thread::id> ran_on_;  // by the lane's holder
  std::vector<std::jthread> threads_;
};

TEST_F(WriterLaneJobs, ShareABatchHoweverLongTheyHadToWaitForIt) {
  acquire();
  for (int i = 0; i < 4; ++i) add_job();
  clock_.advance(hours(1) - milliseconds(1));
  lane_.release();
  threads_.clear();
  EXPECT_EQ(ran_on_.size(), 4U);
  EXPECT_EQ(batches(), 1U);
}

// 292 years hence a steady clock ends; "for ever" must not come out as "not at all".
TEST(WaitingForTheLane, IsPossibleForAsLongAsATimeoutCanSay) {
  Database db = Database::in_memory();
  std::atomic<bool> asks = false;
  Transaction tx = db.begin();
  std::jthread waiter([&] {
    asks = true;
    EXPECT_NO_THROW(db.write({.timeout = milliseconds::max()}, [](Transaction&) {}));
  });
  while (!asks) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  tx.commit();
}

}  // namespace
}  // namespace sqlane::detail
