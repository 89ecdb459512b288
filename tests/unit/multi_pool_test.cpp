#include "sqlane/multi_pool.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/expect_error.hpp"
#include "support/manual_clock.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::error_of;
using testing::mentions;

struct Replica {
  std::string name;
};

class MultiPoolTest : public ::testing::Test {
 protected:
  using Replicas = MultiPool<Replica>;

  Replicas::Member member(const std::string& name, std::size_t max = 2) {
    return {name,
            std::make_unique<Pool<Replica>>(
                [this, name] {
                  if (name == broken_) throw std::runtime_error(name + " is down");
                  return std::make_unique<Replica>(Replica{name});
                },
                PoolOptions{.max = max, .upkeep = {.breaker = Breaker{.failures = 1}}}, PoolHooks<Replica>{}, &clock_)};
  }

  template <class... Names>
  Replicas make(Choice choice, const Names&... names) {
    std::vector<Replicas::Member> members;
    (members.push_back(member(names)), ...);
    return {choice, std::move(members)};
  }

  testing::SteppedClock clock_;
  std::string broken_;
};

TEST_F(MultiPoolTest, GoesRoundAllOfThem) {
  Replicas replicas = make(Choice::round_robin, "a", "b", "c");
  std::string seen;
  for (int i = 0; i < 6; ++i) seen += replicas.acquire()->name;
  EXPECT_EQ(seen, "abcabc");
}

TEST_F(MultiPoolTest, TakesFromTheLeastBusy) {
  Replicas replicas = make(Choice::least_busy, "a", "b");
  const auto first = replicas.acquire_from("a");
  EXPECT_EQ(replicas.acquire()->name, "b");
  EXPECT_EQ(replicas.acquire()->name, "b");
  const auto second = replicas.acquire_from("b");
  const auto third = replicas.acquire_from("b");
  EXPECT_EQ(replicas.acquire()->name, "a");
}

TEST_F(MultiPoolTest, TakesFromTheOneThatIsNamed) {
  Replicas replicas = make(Choice::round_robin, "a", "b");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(replicas.acquire_from("b")->name, "b");
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { static_cast<void>(replicas.acquire_from("c")); }), "\"c\""));
}

TEST_F(MultiPoolTest, TakesFromTheNextWhenTheChosenOneHasNothingAtOnce) {
  Replicas replicas = make(Choice::round_robin, "a", "b");
  const auto first = replicas.acquire_from("a");
  const auto second = replicas.acquire_from("a");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(replicas.acquire()->name, "b");
}

TEST_F(MultiPoolTest, WaitsForTheChosenOneWhenNoneHasAnything) {
  std::vector<Replicas::Member> members;
  members.push_back(member("a", 1));
  members.push_back(member("b", 1));
  Replicas replicas(Choice::round_robin, std::move(members));
  const auto a = replicas.acquire_from("a");
  auto b = replicas.acquire_from("b");
  EXPECT_THROW(static_cast<void>(replicas.acquire({.timeout = milliseconds(0)})), TimeoutError);  // a
  std::thread waiter([&] { EXPECT_EQ(replicas.acquire({.timeout = std::chrono::hours(1)})->name, "b"); });
  while (replicas.pool("b").statistics().waiting == 0) std::this_thread::yield();
  b.give_back();
  waiter.join();
}

TEST_F(MultiPoolTest, PassesOverOneWhoseBreakerIsOpen) {
  Replicas replicas = make(Choice::round_robin, "a", "b");
  broken_ = "a";
  EXPECT_EQ(replicas.acquire()->name, "b") << "a fails";
  EXPECT_FALSE(replicas.pool("a").is_healthy());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(replicas.acquire()->name, "b");
  EXPECT_EQ(replicas.pool("a").statistics().failed_creations, 1U);
  EXPECT_EQ(replicas.pool("a").statistics().refused_creations, 0U) << "it was not even asked";

  broken_.clear();
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(replicas.pool("a").is_healthy());
  std::string seen;
  for (int i = 0; i < 2; ++i) seen += replicas.acquire()->name;
  EXPECT_NE(seen.find('a'), std::string::npos);
}

TEST_F(MultiPoolTest, PassesOverOneThatIsClosed) {
  Replicas replicas = make(Choice::least_busy, "a", "b");
  replicas.pool("a").close();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(replicas.acquire()->name, "b");
}

TEST_F(MultiPoolTest, SaysWhatIsWrongWhenAllAreUnhealthy) {
  Replicas replicas = make(Choice::round_robin, "a", "b");
  replicas.pool("a").close();
  replicas.pool("b").close();
  EXPECT_THROW(static_cast<void>(replicas.acquire()), ClosedError);
}

TEST_F(MultiPoolTest, RefusesMembersThatCannotBeTold) {
  EXPECT_THROW(make(Choice::round_robin), UsageError);
  EXPECT_THROW(make(Choice::round_robin, "a", "a"), UsageError);
  std::vector<Replicas::Member> none(1);
  none[0].name = "nothing";
  EXPECT_TRUE(mentions(error_of<UsageError>([&] { Replicas(Choice::round_robin, std::move(none)); }), "nothing"));
}

}  // namespace
}  // namespace sqlane
