#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "pool/pool_core.hpp"
#include "support/expect_error.hpp"
#include "support/pooled_thing.hpp"

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::kAtOnce;
using testing::PooledThing;
using testing::SteppedClock;
using testing::ThingHooks;
using testing::ThingPool;

// Kinds of resources

using Log = std::vector<std::string>;

struct Door {
  explicit Door(Log& to) : log(to) {}
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() { log.emplace_back("destroyed"); }

  void close() { log.emplace_back("close()"); }

  Log& log;
};

struct Server {
  explicit Server(bool is_up) : answers(is_up) {}
  bool ping() { return answers; }

  bool answers;
};

struct Handle {
  explicit Handle(bool is_open) : is_usable(is_open) {}
  [[nodiscard]] bool is_valid() const { return is_usable; }

  bool is_usable;
};

struct Both : Server, Handle {
  Both(bool is_up, bool is_open) : Server(is_up), Handle(is_open) {}
};

struct MutePing {
  void ping() {}
};

struct MutePingAndIsValid {
  void ping() {}
  [[nodiscard]] bool is_valid() const { return is_usable; }

  bool is_usable = true;
};

struct ValidWhileMutable {
  bool is_valid() { return true; }
};

static_assert(Closeable<Door>);
static_assert(!Closeable<Server>);
static_assert(!Closeable<PooledThing>);
static_assert(Pingable<Server>);
static_assert(Pingable<Handle>);
static_assert(Pingable<Both>);
static_assert(Pingable<MutePingAndIsValid>);
static_assert(!Pingable<MutePing>);
static_assert(!Pingable<ValidWhileMutable>);
static_assert(!Pingable<Door>);
static_assert(!Pingable<PooledThing>);

static_assert(!std::is_copy_constructible_v<ThingPool> && !std::is_move_constructible_v<ThingPool>);
static_assert(!std::is_copy_constructible_v<ThingPool::Lease> && !std::is_copy_assignable_v<ThingPool::Lease>);
static_assert(std::is_nothrow_move_constructible_v<ThingPool::Lease>);
static_assert(std::is_nothrow_move_assignable_v<ThingPool::Lease>);

// Asked before each use.
template <class T, class... Args>
Pool<T> asking_pool(SteppedClock& clock, PoolHooks<T> hooks, Args... args) {
  return {[=] { return std::make_unique<T>(args...); },
          {.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}},
          std::move(hooks),
          &clock};
}

// Whether what had been made before was lent again.
template <class T>
bool is_lent_again(Pool<T>& pool) {
  pool.acquire().give_back();
  pool.acquire().give_back();
  return pool.statistics().created == 1;
}

class PoolHooksTest : public testing::PoolFixture {};

// What resources can do themselves

TEST_F(PoolHooksTest, CloseByTheResourcesOwnClose) {
  Log log;
  {
    Pool<Door> pool([&] { return std::make_unique<Door>(log); }, {}, {}, &clock_);
    pool.acquire().give_back();
    EXPECT_TRUE(log.empty());
  }
  EXPECT_EQ(log, (Log{"close()", "destroyed"}));
}

TEST_F(PoolHooksTest, CloseInsteadOfTheResourcesOwnClose) {
  Log log;
  {
    Pool<Door> pool([&] { return std::make_unique<Door>(log); }, {},
                    {.close = [&](Door&) { log.emplace_back("hook"); }}, &clock_);
    pool.acquire().give_back();
  }
  EXPECT_EQ(log, (Log{"hook", "destroyed"}));
}

TEST_F(PoolHooksTest, AskByPing) {
  Pool<Server> up = asking_pool<Server>(clock_, {}, true);
  EXPECT_TRUE(is_lent_again(up));
  Pool<Server> down = asking_pool<Server>(clock_, {}, false);
  EXPECT_FALSE(is_lent_again(down));
  Pool<MutePing> mute = asking_pool<MutePing>(clock_, {});
  EXPECT_TRUE(is_lent_again(mute));
}

TEST_F(PoolHooksTest, AskByIsValid) {
  Pool<Handle> open = asking_pool<Handle>(clock_, {}, true);
  EXPECT_TRUE(is_lent_again(open));
  Pool<Handle> closed = asking_pool<Handle>(clock_, {}, false);
  EXPECT_FALSE(is_lent_again(closed));
  Pool<MutePingAndIsValid> mute([] { return std::make_unique<MutePingAndIsValid>(MutePingAndIsValid{false}); },
                                {.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}}, {}, &clock_);
  EXPECT_FALSE(is_lent_again(mute));
}

TEST_F(PoolHooksTest, AskByPingRatherThanIsValid) {
  Pool<Both> up = asking_pool<Both>(clock_, {}, true, false);
  EXPECT_TRUE(is_lent_again(up));
  Pool<Both> down = asking_pool<Both>(clock_, {}, false, true);
  EXPECT_FALSE(is_lent_again(down));
}

TEST_F(PoolHooksTest, AskInsteadOfPing) {
  Pool<Server> pool = asking_pool<Server>(clock_, {.is_valid = [](Server&) { return true; }}, false);
  EXPECT_TRUE(is_lent_again(pool));
}

TEST_F(PoolHooksTest, TakeForValidWhatCannotBeAsked) {
  ThingPool pool = pool_of({.max = 1, .upkeep = {.validate_on_acquire = ValidateOnAcquire::always}});
  EXPECT_TRUE(is_lent_again(pool));
  EXPECT_EQ(pool.statistics().validations, 1U);
}

// When they are called

TEST_F(PoolHooksTest, AreCalledInOrder) {
  Log log;
  {
    ThingPool pool =
        pool_of({.max = 1, .upkeep = {.min_idle = 1, .warm_up = WarmUp::at_start, .maintenance = Maintenance::by_hand}},
                {.clean =
                     [&](PooledThing&) {
                       log.emplace_back("clean");
                       return Cleaning::nothing_to_do;
                     },
                 .warm_up = [&](PooledThing&) { log.emplace_back("warm_up"); },
                 .close =
                     [&](PooledThing&) {
                       log.emplace_back("close");
                       EXPECT_EQ(workshop_.alive, 1);
                     },
                 .closed =
                     [&](CloseReason reason) {
                       log.emplace_back("closed");
                       EXPECT_EQ(reason, CloseReason::pool_closed);
                       EXPECT_EQ(workshop_.alive, 0);
                     }});
    pool.acquire().give_back();
  }
  EXPECT_EQ(log, (Log{"warm_up", "clean", "close", "closed"}));
}

TEST_F(PoolHooksTest, TellWhyEachWasClosed) {
  std::vector<CloseReason> reasons;
  ThingPool pool = pool_of({.max = 1, .max_overflow = 1, .upkeep = {.max_uses = 2, .max_errors = 1}},
                           {.closed = [&](CloseReason reason) { reasons.push_back(reason); }});
  {
    const ThingPool::Lease usual = pool.acquire();
    const ThingPool::Lease more = pool.acquire();
  }
  pool.acquire().give_back();
  pool.acquire().count_error();
  pool.acquire().retire();
  pool.acquire().give_back();
  pool.prune();
  EXPECT_EQ(reasons, (std::vector{CloseReason::overflow, CloseReason::uses, CloseReason::errors, CloseReason::broken,
                                  CloseReason::shrinking}));
}

TEST_F(PoolHooksTest, AreCalledWithoutLocksSoThatTheyMayUseThePool) {
  std::optional<ThingPool> pool;
  int calls = 0;
  const auto use = [&] {
    ++calls;
    static_cast<void>(pool->statistics());
    static_cast<void>(pool->resources());
    static_cast<void>(pool->base().core().leases());  // under the pool's lock
  };
  pool.emplace(
      [&] {
        use();
        return workshop_.make()();
      },
      PoolOptions{.max = 3,
                  .upkeep = {.min_idle = 1,
                             .validate_on_acquire = ValidateOnAcquire::always,
                             .validate_on_release = ValidateOnRelease::yes,
                             .maintenance = Maintenance::by_hand}},
      ThingHooks{.is_valid =
                     [&](PooledThing&) {
                       use();
                       return true;
                     },
                 .clean =
                     [&](PooledThing&) {
                       use();
                       return Cleaning::cleaned;
                     },
                 .warm_up = [&](PooledThing&) { use(); },
                 .close = [&](PooledThing&) { use(); },
                 .closed = [&](CloseReason) { use(); }},
      &clock_);
  pool->maintain_now();         // makes, warms up
  pool->acquire().give_back();  // asks, cleans, asks
  pool->acquire().retire();
  pool->close();
  EXPECT_EQ(calls, 2 + 3 + 3 + 2);
  pool.reset();
}

// Exceptions

TEST_F(PoolHooksTest, MayThrowWhileClosing) {
  ThingPool pool = pool_of({.max = 1}, {.close = [](PooledThing&) { throw std::runtime_error("stuck"); },
                                        .closed = [](CloseReason) { throw std::runtime_error("deaf"); }});
  ThingPool::Lease lease = pool.acquire();
  lease.retire();
  EXPECT_NO_THROW(lease.give_back());
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
  pool.acquire().give_back();
  EXPECT_NO_THROW(pool.close());
  EXPECT_EQ(workshop_.alive, 0);
}

TEST_F(PoolHooksTest, MayThrowWhileCleaning) {
  ThingPool pool = pool_of({.max = 1}, {.clean = [](PooledThing&) -> Cleaning { throw std::runtime_error("dirty"); }});
  pool.acquire().give_back();
  EXPECT_EQ(workshop_.alive, 0);
  EXPECT_EQ(pool.statistics().cleaned, 1U);
  EXPECT_EQ(pool.statistics().closed_for(CloseReason::broken), 1U);
}

TEST_F(PoolHooksTest, MayThrowWhereTheyAreAskedWhetherItIsValid) {
  const auto no_answer = [](PooledThing&) -> bool { throw std::runtime_error("gone"); };
  ThingPool by_maintenance =
      pool_of({.upkeep = {.validation_interval = milliseconds(1), .maintenance = Maintenance::by_hand}},
              {.is_valid = no_answer});
  by_maintenance.acquire().give_back();
  clock_.advance(milliseconds(1));
  EXPECT_NO_THROW(by_maintenance.maintain_now());
  EXPECT_EQ(by_maintenance.statistics().closed_for(CloseReason::invalid), 1U);

  ThingPool on_release = pool_of({.upkeep = {.validate_on_release = ValidateOnRelease::yes}}, {.is_valid = no_answer});
  EXPECT_NO_THROW(on_release.acquire().give_back());
  EXPECT_EQ(on_release.statistics().closed_for(CloseReason::invalid), 1U);
}

TEST_F(PoolHooksTest, MayThrowWhereTheyAreAskedForTheActivity) {
  ThingPool pool =
      pool_of({.max = 1}, {.activity = [](PooledThing&) -> std::string { throw std::runtime_error("cannot say"); }});
  std::optional<ThingPool::Lease> lease = pool.acquire(testing::kHere);
  const auto timeout = testing::error_of<TimeoutError>([&] { static_cast<void>(pool.acquire(kAtOnce)); });
  EXPECT_TRUE(testing::mentions(timeout, testing::kHere.to_string())) << timeout.what();
  lease.reset();
  std::jthread([&] { lease = pool.acquire(); }).join();  // recovered
  EXPECT_EQ(pool.statistics().recovered, 1U);
}

}  // namespace
}  // namespace sqlane
