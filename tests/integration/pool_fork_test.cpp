#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sqlane/error.hpp"
#include "sqlane/pool.hpp"
#include "support/forked_child.hpp"
#include "support/sanitizers.hpp"
#include "support/workshop.hpp"

// A child of fork leaves alone what its parent's pools have lent, and can have pools of its own.

namespace sqlane {
namespace {

using std::chrono::milliseconds;
using testing::end_child;
using testing::expect_good_end;
using testing::fork_with_deadline;
using testing::in_child;
using testing::Tool;
using testing::Workshop;

using ToolPool = Pool<Tool>;
using Lease = ToolPool::Lease;

void use(const Lease& lease) { const Tool::Use use(*lease); }

// Has pools that are looked after in the background, and have lent something.
class PoolFork : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<ToolPool> make_pool(Workshop& workshop) {
    return std::make_unique<ToolPool>(workshop.factory(),
                                      PoolOptions{.name = "a tool",
                                                  .max = 4,
                                                  .upkeep = {.min_idle = 2,
                                                             .max_uses = 3,
                                                             .on_leak = [this](const LeaseReport&) { ++leaks_; },
                                                             .maintenance_interval = milliseconds(1)}});
  }

  static void await_idle(const ToolPool& pool, std::size_t count) {
    while (pool.statistics().idle < count) std::this_thread::yield();
  }

  // It lends, is refilled by a thread, and recovers from those that end.
  void expect_own_pool_works() {
    const int leaks_before = leaks_;
    Workshop workshop(4);
    {
      const std::unique_ptr<ToolPool> own = make_pool(workshop);
      await_idle(*own, 2);
      std::vector<std::jthread> threads;
      for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
          for (int n = 0; n < 20; ++n) use(own->acquire());
        });
      }
      threads.clear();
      std::optional<Lease> lease;
      std::jthread([&] { lease = own->acquire(); }).join();
      EXPECT_THROW(static_cast<void>(lease->get()), UsageError);
      EXPECT_EQ(own->statistics().recovered, 1U);
      EXPECT_EQ(leaks_, leaks_before + 1);
      await_idle(*own, 2);
    }
    EXPECT_EQ(workshop.alive, 0);
    workshop.expect_no_harm();
  }

  void expect_nothing_of_the_parent_is_recovered() const {
    EXPECT_EQ(pool_->statistics().recovered, 0U);
    EXPECT_EQ(pool_->statistics().in_use, 2U);
  }

  std::atomic<int> leaks_ = 0;
  Workshop workshop_{4};
  const std::unique_ptr<ToolPool> pool_ = make_pool(workshop_);
};

TEST_F(PoolFork, LeavesTheParentsLeasesToTheParentWhenThreadsOfTheChildEnd) {
  const Lease lease = pool_->acquire();
  std::latch is_held(1);
  std::latch is_over(1);
  std::jthread other([&] {
    const Lease own = pool_->acquire();
    is_held.count_down();
    is_over.wait();
    use(own);
  });
  is_held.wait();
  await_idle(*pool_, 2);  // nothing is being made
  in_child([&] {
    // Many, so that one of them has the id of the other.
    for (int n = 0; n < 20; ++n) {
      std::jthread([&] {
        Workshop workshop;
        ToolPool own(workshop.factory());
        use(own.acquire());
      }).join();
    }
    expect_nothing_of_the_parent_is_recovered();
    EXPECT_EQ(leaks_, 0);
  });
  is_over.count_down();
  other.join();
  EXPECT_NO_THROW(use(lease));
  EXPECT_EQ(pool_->statistics().recovered, 0U);
}

TEST_F(PoolFork, LeavesTheParentsLeasesToTheParentWhenTheForkingThreadEnds) {
  // Made before its thread acquires anything, and so destroyed after all was recovered from that.
  struct AtTheEnd {
    std::function<void()> work{};
    ~AtTheEnd() {
      if (work) work();
    }
  };
  const Lease other = pool_->acquire();
  std::optional<Lease> lease;
  std::jthread([&] {
    thread_local AtTheEnd end;
    end.work = {};
    lease = pool_->acquire();
    await_idle(*pool_, 2);
    const pid_t child = fork_with_deadline();
    if (child > 0) return expect_good_end(child);
    end.work = [&] {
      expect_nothing_of_the_parent_is_recovered();
      EXPECT_EQ(leaks_, 0);
      end_child();
    };
  }).join();
  EXPECT_EQ(pool_->statistics().recovered, 1U);  // here it has ended as well
  EXPECT_EQ(leaks_, 1);
  EXPECT_NO_THROW(use(other));
}

TEST_F(PoolFork, LetsTheChildHaveAPoolOfItsOwn) {
  await_idle(*pool_, 2);
  const Lease lease = pool_->acquire();
  in_child([&] {
    expect_own_pool_works();
    in_child([&] { expect_own_pool_works(); });
    expect_own_pool_works();
  });
  EXPECT_NO_THROW(use(lease));
  expect_own_pool_works();
}

TEST_F(PoolFork, KeepsTheChildFromUsingTheParentsPool) {
  await_idle(*pool_, 2);
  in_child([&] {
    EXPECT_THROW(static_cast<void>(pool_->acquire()), UsageError);
    EXPECT_THROW(static_cast<void>(pool_->try_acquire()), UsageError);
    EXPECT_THROW(pool_->maintain_now(), UsageError);
    EXPECT_THROW(static_cast<void>(pool_->prune()), UsageError);
    EXPECT_THROW(static_cast<void>(pool_->drain(milliseconds(0))), UsageError);
    EXPECT_THROW(pool_->close(milliseconds(0)), UsageError);
    EXPECT_THROW(pool_->with([](Tool&) {}), UsageError);
  });
  EXPECT_NO_THROW(use(pool_->acquire()));
}

TEST_F(PoolFork, DestroysThePoolAndItsLeasesInTheChildWithoutTouchingTheTools) {
  Workshop workshop(4);
  std::unique_ptr<ToolPool> pool = make_pool(workshop);
  await_idle(*pool, 2);
  std::optional<Lease> first = pool->acquire();
  std::optional<Lease> second = pool->acquire();
  second->retire();
  in_child([&] {
    const auto alive = workshop.alive.load();
    first.reset();
    pool.reset();
    second.reset();
    EXPECT_EQ(workshop.alive, alive);
  });
  EXPECT_NO_THROW(use(*first));
  first.reset();
  second.reset();
  EXPECT_EQ(pool->statistics().closed_for(CloseReason::broken), 1U);
}

// A child that hangs is ended by its alarm, which fails the test.
TEST_F(PoolFork, AmongThreadsThatAcquireLetsEachChildWork) {
  if (testing::kForksAmongThreadsHang) GTEST_SKIP() << "the sanitizer's allocator would hang";
  constexpr int kForks = 40;
  std::atomic<bool> is_over = false;
  std::latch at_work(3);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        use(pool_->acquire());
        at_work.count_down();
        while (!is_over) use(pool_->acquire());
      });
    }
    threads.emplace_back([&] {
      at_work.count_down();
      while (!is_over) {
        Workshop workshop;
        const std::unique_ptr<ToolPool> pool = make_pool(workshop);
        use(pool->acquire());
      }
    });
    at_work.wait();
    for (int i = 0; i < kForks && !HasFailure(); ++i) {
      SCOPED_TRACE("fork " + std::to_string(i));
      in_child([&] {
        EXPECT_THROW(static_cast<void>(pool_->acquire()), UsageError);
        expect_own_pool_works();
      });
    }
    is_over = true;
  }
  EXPECT_EQ(leaks_, 0);
  workshop_.expect_no_harm();
}

}  // namespace
}  // namespace sqlane
