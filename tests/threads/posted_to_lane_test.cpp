#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "lane/writer_lane.hpp"
#include "sqlite/connection.hpp"
#include "support/async_writes.hpp"
#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::kHere;
using testing::kThere;

// The lane by itself, with a clock that stands still.
class PostedToLane : public ::testing::Test {
 protected:
  template <class Run>
  std::future<void> post(Run run, WriteOptions options = {}, CallSite site = kHere) {
    auto write = std::make_unique<PostedClosure<Run, void>>(std::move(run));
    std::future<void> future = write->future();
    auto job = std::make_unique<PostedJob>(std::move(write), options);
    job->site = site;
    lane_.post(std::move(job), clock_.now() + options.timeout.value_or(hours(1)));
    return future;
  }
  void hold() {
    Waiter waiter;
    waiter.site = kThere;
    lane_.acquire(waiter, clock_.now(), {});
  }
  void await_sleeping(int count) const {
    while (clock_.sleeping() != count) std::this_thread::yield();
  }

  testing::SteppedClock clock_;
  WriterLane lane_{{.open_writer =
                        [] {
                          return std::make_unique<Connection>(
                              ConnectionSettings{.database = ":memory:", .memory = MemoryStore::make(0)});
                        },
                    .before = [] {},
                    .needs_care = [](Connection&) { return false; },
                    .care = [](Connection&) {},
                    .sampled = [](const WriteTrace&) {}},
                   {.posted = 3},
                   clock_};
};

TEST_F(PostedToLane, IsLetInByPriority) {
  std::vector<char> order;  // of the lane's holder
  hold();
  auto background = post([&](Transaction&) { order.push_back('b'); }, {.priority = Priority::background});
  auto normal = post([&](Transaction&) { order.push_back('n'); });
  auto interactive = post([&](Transaction&) { order.push_back('i'); }, {.priority = Priority::interactive});
  lane_.release();
  for (auto* future : {&background, &normal, &interactive}) future->get();
  EXPECT_EQ(order, (std::vector{'i', 'n', 'b'}));
}

TEST_F(PostedToLane, WaitsForRoomUpToItsTimeout) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);  // the lane's own thread
  bool is_refused = false;
  std::jthread poster([&] {
    EXPECT_THROW(static_cast<void>(post([](Transaction&) {}, {.timeout = milliseconds(30)})), TimeoutError);
    is_refused = true;
  });
  await_sleeping(2);
  clock_.advance(milliseconds(29));
  await_sleeping(2);
  clock_.advance(milliseconds(1));
  poster.join();
  EXPECT_TRUE(is_refused);
  lane_.release();
  for (auto& future : futures) future.get();
}

TEST_F(PostedToLane, GoesOnWhenRoomComes) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);
  std::jthread poster([&] { futures.push_back(post([](Transaction&) {}, {.timeout = milliseconds(30)})); });
  await_sleeping(2);
  lane_.release();
  poster.join();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
  EXPECT_EQ(futures.size(), 4U);
}

TEST_F(PostedToLane, HearsOfShuttingWhileItWaitsForRoom) {
  hold();
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(post([](Transaction&) {}));
  await_sleeping(1);
  std::jthread poster([&] { EXPECT_THROW(static_cast<void>(post([](Transaction&) {})), ClosedError); });
  await_sleeping(2);
  lane_.shut();
  poster.join();
  lane_.release();
  for (auto& future : futures) EXPECT_NO_THROW(future.get());
}

TEST_F(PostedToLane, IsNotMixedUpWithOthersThatWait) {
  // Shutting fails those whose callers wait, and keeps the order of the posted.
  std::vector<int> order;
  hold();
  auto first = post([&](Transaction&) { order.push_back(1); });
  std::jthread waiter([&] {
    Waiter guard;
    EXPECT_THROW(lane_.acquire(guard, clock_.now() + hours(1), {}), ClosedError);
  });
  while (lane_.waiting() != 2) std::this_thread::yield();
  auto second = post([&](Transaction&) { order.push_back(2); });
  lane_.shut();
  waiter.join();
  EXPECT_EQ(lane_.waiting(), 2U);
  lane_.release();
  first.get();
  second.get();
  EXPECT_EQ(order, (std::vector{1, 2}));
}

}  // namespace
}  // namespace sqlane::detail
