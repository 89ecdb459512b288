#include "vfs/wal_index.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "support/crew.hpp"
#include "vfs/database_lock.hpp"

namespace sqlane::detail {
namespace {

using testing::Crew;
using testing::Dice;

// Two numbers that are the same whenever nobody changes them. Not atomic: the
// lock alone makes this right, and the thread sanitizer sees whether it does.
struct Guarded {
  long one = 0;
  long two = 0;
};

// Each thread tries for a lock so many times, and does without where it is refused.
class LocksAmongThreads : public ::testing::Test {
 protected:
  static constexpr std::size_t kThreads = 4;
  static constexpr int kTries = 15'000;

  void change(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      Guarded& guarded = guarded_[static_cast<std::size_t>(i)];
      if (guarded.one != guarded.two) ++wrong_;
      ++guarded.one;
      std::atomic_signal_fence(std::memory_order_seq_cst);  // both are written, one after the other
      ++guarded.two;
      ++changes_[static_cast<std::size_t>(i)];
    }
  }
  void look(int lock) {
    const Guarded& guarded = guarded_[static_cast<std::size_t>(lock)];
    if (guarded.one != guarded.two) ++wrong_;
  }

  // Whatever was granted is there.
  void expect_all_changes() const {
    EXPECT_EQ(wrong_, 0);
    for (std::size_t i = 0; i < guarded_.size(); ++i) {
      EXPECT_EQ(guarded_[i].one, changes_[i]) << "lock " << i;
      EXPECT_EQ(guarded_[i].two, changes_[i]) << "lock " << i;
    }
  }

  WalIndex index_;
  std::array<Guarded, WalIndex::kLocks> guarded_;
  std::array<std::atomic<long>, WalIndex::kLocks> changes_{};
  std::atomic<int> wrong_ = 0;
};

TEST_F(LocksAmongThreads, HaveOneOwnerOrManyWhoShare) {
  constexpr int kLock = 3;
  std::atomic<int> shared = 0;
  std::vector<std::function<void()>> jobs;
  for (unsigned i = 0; i < kThreads; ++i) {
    jobs.emplace_back([&, i] {
      Dice dice(i);
      for (int n = 0; n < kTries; ++n) {
        if (dice.is_one_in(3)) {
          if (!index_.try_lock(kLock, 1)) continue;
          change(kLock, 1);
          index_.unlock(kLock, 1);
        } else if (index_.try_share(kLock, 1, i)) {
          look(kLock);
          ++shared;
          index_.release_shared(kLock, 1, i);
        }
      }
    });
  }
  Crew(kThreads).run(jobs);
  expect_all_changes();
  EXPECT_GT(changes_[kLock], 0);
  EXPECT_GT(shared, 0);
  EXPECT_TRUE(index_.try_lock(kLock, 1)) << "somebody left it locked";
}

TEST_F(LocksAmongThreads, OfARangeAreHadTogether) {
  std::vector<std::function<void()>> jobs;
  for (unsigned i = 0; i < kThreads; ++i) {
    jobs.emplace_back([&, i] {
      Dice dice(100 + i);
      for (int n = 0; n < kTries; ++n) {
        const int first = dice.below(WalIndex::kLocks);
        const int count = 1 + dice.below(WalIndex::kLocks - first);
        if (dice.is_one_in(2)) {
          if (!index_.try_lock(first, count)) continue;
          change(first, count);
          index_.unlock(first, count);
        } else if (index_.try_share(first, count, i)) {
          for (int lock = first; lock < first + count; ++lock) look(lock);
          index_.release_shared(first, count, i);
        }
      }
    });
  }
  Crew(kThreads).run(jobs);
  expect_all_changes();
  EXPECT_TRUE(index_.try_lock(0, WalIndex::kLocks)) << "somebody left one locked";
}

// As SQLite's readers and writers go about it: each thread keeps at it until it
// has had its share, so that nobody waits for ever.
TEST_F(LocksAmongThreads, AreHadByEverybodyInTheEnd) {
  constexpr int kTimes = 2000;
  std::vector<std::function<void()>> jobs;
  for (unsigned i = 0; i < kThreads; ++i) {
    jobs.emplace_back([&, i] {
      const bool is_writer = i == 0;
      for (int n = 0; n < kTimes;) {
        const bool is_mine = is_writer ? index_.try_lock(0, 2) : index_.try_share(1, 1, i);
        if (is_mine && is_writer) {
          change(0, 2);
          index_.unlock(0, 2);
        } else if (is_mine) {
          look(1);
          index_.release_shared(1, 1, i);
        }
        n += is_mine ? 1 : 0;
        std::this_thread::yield();
      }
    });
  }
  Crew(kThreads).run(jobs);
  expect_all_changes();
  EXPECT_EQ(changes_[0], kTimes);
}

// writer                                        readers
// fills a page, barrier, number of pages ------> number of pages, barrier, the page is filled
//
// The page is not atomic; the number is, with no order of its own.
TEST(BarrierOfAWalIndex, OrdersWhatIsPublishedBeforeWhatTellsOfIt) {
  constexpr std::size_t kReaders = 3;
  constexpr std::size_t kPages = 20'000;
  WalIndex index;
  std::vector<std::size_t> pages(kPages);
  std::atomic<std::size_t> filled = 0;
  std::atomic<std::size_t> wrong = 0;
  std::vector<std::function<void()>> jobs(kReaders, [&] {
    for (std::size_t seen = 0; seen < kPages;) {
      seen = filled.load(std::memory_order_relaxed);
      index.barrier();
      if (seen != 0 && pages[seen - 1] != seen) ++wrong;
      if (seen != 0 && pages[seen / 2] != seen / 2 + 1) ++wrong;
    }
  });
  jobs.emplace_back([&] {
    for (std::size_t i = 0; i < kPages; ++i) {
      pages[i] = i + 1;
      index.barrier();
      filled.store(i + 1, std::memory_order_relaxed);
    }
  });
  Crew(kReaders + 1).run(jobs);
  EXPECT_EQ(wrong, 0U);
}

TEST(RegionsAmongThreads, AreTheSameForAll) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kRegions = 200;
  for (int round = 0; round < 5; ++round) {
    WalIndex index;
    std::array<std::array<void*, kRegions>, kThreads> seen{};
    std::vector<std::function<void()>> jobs;
    for (std::size_t i = 0; i < kThreads; ++i) {
      jobs.emplace_back([&, i] {
        index.attach();
        for (std::size_t n = 0; n < kRegions; ++n) seen[i][n] = index.region(n, WalIndex::Missing::made);
        index.detach(WalIndex::Leaving::regions);
      });
    }
    Crew(kThreads).run(jobs);
    for (std::size_t i = 1; i < kThreads; ++i) ASSERT_EQ(seen[i], seen[0]);
  }
}

TEST(DatabaseLockAmongThreads, HasOneWhoIsAlone) {
  using Level = DatabaseLock::Level;
  constexpr std::size_t kThreads = 4;
  constexpr int kTries = 10'000;
  DatabaseLock lock;
  Guarded guarded;
  std::atomic<long> changes = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::function<void()>> jobs;
  for (unsigned i = 0; i < kThreads; ++i) {
    jobs.emplace_back([&, i] {
      Dice dice(i);
      for (int n = 0; n < kTries; ++n) {
        Level level = Level::none;
        if (lock.raise(&level, level, Level::shared)) {
          if (guarded.one != guarded.two) ++wrong;
          if (dice.is_one_in(2) && lock.raise(&level, level, Level::reserved) &&
              lock.raise(&level, level, Level::exclusive)) {
            ++guarded.one;
            ++guarded.two;
            ++changes;
          }
        }
        lock.lower(&level, level, Level::none);
      }
    });
  }
  Crew(kThreads).run(jobs);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(guarded.one, changes);
  EXPECT_GT(changes, 0);
}

}  // namespace
}  // namespace sqlane::detail
