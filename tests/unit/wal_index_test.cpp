#include "vfs/wal_index.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "support/crew.hpp"

namespace sqlane::detail {
namespace {

using testing::Dice;
using Leaving = WalIndex::Leaving;
using Missing = WalIndex::Missing;

bool is_zero(const void* region) {
  const auto* const bytes = static_cast<const std::byte*>(region);
  return std::all_of(bytes, bytes + WalIndex::kRegion, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(RegionsOfAWalIndex, AreMadeOnlyWhenAskedForAndZeroThen) {
  WalIndex index;
  EXPECT_EQ(index.region(0, Missing::left_out), nullptr);
  void* const third = index.region(2, Missing::made);
  ASSERT_NE(third, nullptr);
  EXPECT_TRUE(is_zero(third));
  void* const first = index.region(0, Missing::left_out);
  ASSERT_NE(first, nullptr) << "one is made with those before it";
  EXPECT_TRUE(is_zero(first));
  EXPECT_NE(first, third);
  EXPECT_EQ(index.region(3, Missing::left_out), nullptr);
}

TEST(RegionsOfAWalIndex, KeepAddressAndContents) {
  WalIndex index;
  index.attach();
  index.attach();
  std::vector<void*> regions;
  for (std::size_t i = 0; i < 100; ++i) {
    regions.push_back(index.region(i, Missing::made));
    std::memset(regions.back(), static_cast<int>(i) + 1, WalIndex::kRegion);
  }
  index.detach(Leaving::nothing);  // somebody else still has them
  for (std::size_t i = 0; i < 100; ++i) {
    ASSERT_EQ(index.region(i, Missing::made), regions[i]);
    ASSERT_EQ(index.region(i, Missing::left_out), regions[i]);
    const auto* const bytes = static_cast<const std::byte*>(regions[i]);
    ASSERT_EQ(bytes[0], static_cast<std::byte>(i + 1));
    ASSERT_EQ(bytes[WalIndex::kRegion - 1], static_cast<std::byte>(i + 1));
  }
}

TEST(RegionsOfAWalIndex, GoWithTheLogAndStayWithIt) {
  WalIndex index;
  index.attach();
  std::memset(index.region(0, Missing::made), 1, WalIndex::kRegion);
  index.detach(Leaving::regions);
  index.attach();
  ASSERT_NE(index.region(0, Missing::left_out), nullptr);
  EXPECT_FALSE(is_zero(index.region(0, Missing::left_out)));
  index.detach(Leaving::nothing);
  index.attach();
  EXPECT_EQ(index.region(0, Missing::left_out), nullptr);
  EXPECT_TRUE(is_zero(index.region(0, Missing::made)));
  index.detach(Leaving::regions);
}

TEST(LocksOfAWalIndex, AreSharedByManyOrHadByOne) {
  WalIndex index;
  for (unsigned i = 0; i < 20; ++i) EXPECT_TRUE(index.try_share(3, 1, i));  // more than there are counters
  EXPECT_FALSE(index.try_lock(3, 1));
  for (unsigned i = 0; i < 19; ++i) index.release_shared(3, 1, i);
  EXPECT_FALSE(index.try_lock(3, 1));
  index.release_shared(3, 1, 19);
  EXPECT_TRUE(index.try_lock(3, 1));
  EXPECT_FALSE(index.try_lock(3, 1));
  for (unsigned i = 0; i < 20; ++i) EXPECT_FALSE(index.try_share(3, 1, i));
  index.unlock(3, 1);
  EXPECT_TRUE(index.try_lock(3, 1));
}

TEST(LocksOfAWalIndex, AreIndependentOfEachOther) {
  for (int i = 0; i < WalIndex::kLocks; ++i) {
    WalIndex index;
    ASSERT_TRUE(index.try_lock(i, 1));
    for (int other = 0; other < WalIndex::kLocks; ++other) {
      EXPECT_EQ(index.try_share(other, 1, 0), other != i) << i << ", " << other;
    }
  }
}

// Whoever may not have all, leaves none behind.
TEST(LocksOfAWalIndex, AreGivenAllOrNone) {
  for (int taken = 2; taken < 6; ++taken) {
    SCOPED_TRACE(taken);
    WalIndex index;
    ASSERT_TRUE(index.try_share(taken, 1, 0));
    EXPECT_FALSE(index.try_lock(2, 4));
    for (int i = 0; i < WalIndex::kLocks; ++i) EXPECT_EQ(index.try_lock(i, 1), i != taken) << i;
  }
  for (int taken = 2; taken < 6; ++taken) {
    SCOPED_TRACE(taken);
    WalIndex index;
    ASSERT_TRUE(index.try_lock(taken, 1));
    EXPECT_FALSE(index.try_share(2, 4, 1));
    EXPECT_FALSE(index.try_lock(2, 4));
    for (int i = 0; i < WalIndex::kLocks; ++i) EXPECT_EQ(index.try_lock(i, 1), i != taken) << i;
  }
}

// What each connection has, kept in the simplest way.
class Oracle {
 public:
  static constexpr int kConnections = 11;

  [[nodiscard]] bool may_share(int first, int count) const {
    return all_of(first, count, [this](int lock) { return owner_[at(lock)] == kNobody; });
  }
  [[nodiscard]] bool may_lock(int first, int count) const {
    return may_share(first, count) &&
           all_of(first, count, [this](int lock) { return std::ranges::count(shared_[at(lock)], true) == 0; });
  }
  [[nodiscard]] bool shares(int first, int count, int connection) const {
    return all_of(first, count, [&](int lock) { return shared_[at(lock)][at(connection)]; });
  }
  [[nodiscard]] bool shares_any(int first, int count, int connection) const {
    return !all_of(first, count, [&](int lock) { return !shared_[at(lock)][at(connection)]; });
  }
  [[nodiscard]] bool has(int first, int count, int connection) const {
    return all_of(first, count, [&](int lock) { return owner_[at(lock)] == connection; });
  }
  void share(int first, int count, int connection, bool value) {
    for (int i = first; i < first + count; ++i) shared_[at(i)][at(connection)] = value;
  }
  void lock(int first, int count, int connection) {
    for (int i = first; i < first + count; ++i) owner_[at(i)] = connection;
  }
  void unlock(int first, int count) { lock(first, count, kNobody); }

 private:
  static constexpr int kNobody = -1;

  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  template <class Predicate>
  [[nodiscard]] static bool all_of(int first, int count, Predicate predicate) {
    for (int i = first; i < first + count; ++i) {
      if (!predicate(i)) return false;
    }
    return true;
  }

  std::array<std::array<bool, kConnections>, WalIndex::kLocks> shared_{};
  std::array<int, WalIndex::kLocks> owner_{kNobody, kNobody, kNobody, kNobody, kNobody, kNobody, kNobody, kNobody};
};

TEST(LocksOfAWalIndex, AreGivenAsATableOfHoldersSays) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Dice dice(seed);
  WalIndex index;
  Oracle oracle;
  int granted = 0;
  int refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    const int first = dice.below(WalIndex::kLocks);
    const int count = dice.is_one_in(3) ? 1 + dice.below(WalIndex::kLocks - first) : 1;
    const int connection = dice.below(Oracle::kConnections);
    const auto number = static_cast<unsigned>(connection);
    bool expected = false;
    bool is_given = false;
    switch (dice.below(4)) {
      case 0:
        if (oracle.shares_any(first, count, connection)) continue;
        expected = oracle.may_share(first, count);
        is_given = index.try_share(first, count, number);
        if (is_given) oracle.share(first, count, connection, true);
        break;
      case 1:
        if (oracle.shares_any(first, count, connection)) continue;
        expected = oracle.may_lock(first, count);
        is_given = index.try_lock(first, count);
        if (is_given) oracle.lock(first, count, connection);
        break;
      case 2:
        if (!oracle.shares(first, count, connection)) continue;
        index.release_shared(first, count, number);
        oracle.share(first, count, connection, false);
        continue;
      default:
        if (!oracle.has(first, count, connection)) continue;
        index.unlock(first, count);
        oracle.unlock(first, count);
        continue;
    }
    ASSERT_EQ(is_given, expected) << "step " << i;
    ++(is_given ? granted : refused);
  }
  EXPECT_GT(granted, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace sqlane::detail
