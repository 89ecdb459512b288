#include <chrono>
#include <optional>
#include <thread>

#include "pool/pool_core.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::await_asleep;
using testing::ThingPool;

class PoolTurnover : public testing::PoolFixture {
 protected:
  [[nodiscard]] bool has_turned_over(ThingPool& pool, detail::Clock::duration timeout = {}) {
    return pool.base().core().wait_for_turnover(clock_.now() + timeout);
  }
};

TEST_F(PoolTurnover, IsThereWhenNobodyHoldsAnything) {
  ThingPool pool = pool_of({.max = 2});
  EXPECT_TRUE(has_turned_over(pool));
  pool.acquire().give_back();
  EXPECT_TRUE(has_turned_over(pool));
}

TEST_F(PoolTurnover, DoesNotWaitForItsOwnThread) {
  ThingPool pool = pool_of({.max = 2});
  const ThingPool::Lease own = pool.acquire();
  EXPECT_TRUE(has_turned_over(pool));
  std::jthread([&] { EXPECT_FALSE(has_turned_over(pool)); }).join();
}

TEST_F(PoolTurnover, WaitsForWhatBelongsToNoThread) {
  ThingPool pool = pool_of({.max = 2});
  ThingPool::Lease lease = pool.acquire();
  lease.unbind();
  EXPECT_FALSE(has_turned_over(pool));
  lease.give_back();
  EXPECT_TRUE(has_turned_over(pool));
}

TEST_F(PoolTurnover, IsGivenUpAtTheDeadline) {
  ThingPool pool = pool_of({.max = 2});
  const ThingPool::Lease held = pool.acquire();
  std::jthread waiter([&] { EXPECT_FALSE(has_turned_over(pool, milliseconds(20))); });
  await_asleep(clock_, 1);
  // One that was lent later comes back; that changes nothing for the one held before.
  pool.acquire().give_back();
  clock_.advance(milliseconds(20));
}

TEST_F(PoolTurnover, DoesNotWaitForWhatIsLentLater) {
  // holder                  waiter
  // has A
  // ---- held ------------> waits for A
  // acquires B
  // returns A ------------> done, though B is out
  ThingPool pool = pool_of({.max = 2});
  ThingPool::Lease a = pool.acquire();
  std::jthread waiter([&] { EXPECT_TRUE(has_turned_over(pool, hours(1))); });
  await_asleep(clock_, 1);
  const ThingPool::Lease b = pool.acquire();
  a.give_back();
  waiter.join();
}

TEST_F(PoolTurnover, IsThereThoughTheSameIsLentAgain) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease a = pool.acquire();
  std::jthread waiter([&] { EXPECT_TRUE(has_turned_over(pool, hours(1))); });
  await_asleep(clock_, 1);
  a.give_back();
  const ThingPool::Lease again = pool.acquire();
  waiter.join();
}

TEST_F(PoolTurnover, WaitsForAllThatWereHeld) {
  ThingPool pool = pool_of({.max = 3});
  ThingPool::Lease a = pool.acquire();
  ThingPool::Lease b = pool.acquire();
  ThingPool::Lease c = pool.acquire();
  std::jthread waiter([&] { EXPECT_TRUE(has_turned_over(pool, hours(1))); });
  await_asleep(clock_, 1);
  b.give_back();
  a.give_back();
  std::jthread([&] { EXPECT_FALSE(has_turned_over(pool)); }).join();
  c.give_back();
}

TEST_F(PoolTurnover, ComesWithWhatIsClosedWhenItComesBack) {
  ThingPool pool = pool_of({.max = 1});
  ThingPool::Lease a = pool.acquire();
  std::jthread waiter([&] { EXPECT_TRUE(has_turned_over(pool, hours(1))); });
  await_asleep(clock_, 1);
  a.retire();
  a.give_back();
}

TEST_F(PoolTurnover, ComesWithTheEndOfAThread) {
  ThingPool pool = pool_of({.max = 1});
  std::optional<ThingPool::Lease> lost;
  std::jthread waiter;
  std::jthread([&] {
    lost.emplace(pool.acquire());
    waiter = std::jthread([&] { EXPECT_TRUE(has_turned_over(pool, hours(1))); });
    await_asleep(clock_, 1);
  }).join();
}

}  // namespace
}  // namespace sqlane
