#include "vfs/database_lock.hpp"

#include <array>
#include <string>
#include <vector>

namespace sqlane::detail {
namespace {

using Level = DatabaseLock::Level;

// One who has the database open.
struct Holder {
  Level level = Level::none;

  [[nodiscard]] bool raise(DatabaseLock& lock, Level wanted) { return lock.raise(this, level, wanted); }
  void lower(DatabaseLock& lock, Level wanted) { lock.lower(this, level, wanted); }
};

// On the way that SQLite takes: https://sqlite.org/lockingv3.html
void climb(DatabaseLock& lock, Holder& holder, Level to) {
  for (const Level level : {Level::shared, Level::reserved, Level::pending, Level::exclusive}) {
    if (level > to) break;
    ASSERT_TRUE(holder.raise(lock, level));
  }
  ASSERT_EQ(holder.level, to);
}

std::string name_of(Level level) {
  constexpr std::array kNames{"None", "Shared", "Reserved", "Pending", "Exclusive"};
  return kNames[static_cast<std::size_t>(level)];
}

// What the second one can have beside the first one, and how far it comes.
struct Meeting {
  Level first;
  Level second;
  Level wanted;
  bool is_granted;
  Level reached;
};

std::ostream& operator<<(std::ostream& out, const Meeting& meeting) {
  return out << name_of(meeting.first) << " against " << name_of(meeting.second) << " to " << name_of(meeting.wanted);
}

class MeetingsAtADatabaseLock : public ::testing::TestWithParam<Meeting> {};

TEST_P(MeetingsAtADatabaseLock, EndAsTheTableSays) {
  const Meeting& meeting = GetParam();
  DatabaseLock lock;
  Holder first;
  Holder second;
  climb(lock, second, meeting.second);
  climb(lock, first, meeting.first);
  EXPECT_EQ(second.raise(lock, meeting.wanted), meeting.is_granted);
  EXPECT_EQ(second.level, meeting.reached);
  EXPECT_EQ(first.level, meeting.first);
  // What it did not get leaves no trace once it gives up.
  second.lower(lock, Level::none);
  Holder third;
  EXPECT_EQ(third.raise(lock, Level::shared), meeting.first < Level::pending);
  EXPECT_EQ(lock.is_reserved(), meeting.first >= Level::reserved);
}

constexpr Level kNoLevel = Level::none;
constexpr Level kShared = Level::shared;
constexpr Level kReserved = Level::reserved;
constexpr Level kPending = Level::pending;
constexpr Level kExclusive = Level::exclusive;

INSTANTIATE_TEST_SUITE_P(
    All, MeetingsAtADatabaseLock,
    ::testing::Values(
        Meeting{kNoLevel, kNoLevel, kShared, true, kShared}, Meeting{kShared, kNoLevel, kShared, true, kShared},
        Meeting{kReserved, kNoLevel, kShared, true, kShared}, Meeting{kPending, kNoLevel, kShared, false, kNoLevel},
        Meeting{kExclusive, kNoLevel, kShared, false, kNoLevel},
        //
        Meeting{kNoLevel, kShared, kReserved, true, kReserved}, Meeting{kShared, kShared, kReserved, true, kReserved},
        Meeting{kReserved, kShared, kReserved, false, kShared}, Meeting{kPending, kShared, kReserved, false, kShared},
        //
        Meeting{kNoLevel, kShared, kExclusive, true, kExclusive}, Meeting{kShared, kShared, kExclusive, false, kShared},
        Meeting{kReserved, kShared, kExclusive, false, kShared}, Meeting{kPending, kShared, kExclusive, false, kShared},
        //
        Meeting{kNoLevel, kReserved, kExclusive, true, kExclusive},
        Meeting{kShared, kReserved, kExclusive, false, kPending},
        Meeting{kShared, kReserved, kPending, true, kPending}),
    [](const ::testing::TestParamInfo<Meeting>& tested) {
      const Meeting& meeting = tested.param;
      return name_of(meeting.first) + "Meets" + name_of(meeting.second) + "That" + "Wants" + name_of(meeting.wanted);
    });

TEST(DatabaseLock, KeepsNewReadersOutWhileAWriterWaitsForTheOldOnes) {
  DatabaseLock lock;
  Holder reader;
  Holder writer;
  Holder late;
  climb(lock, reader, Level::shared);
  climb(lock, writer, Level::reserved);
  EXPECT_FALSE(writer.raise(lock, Level::exclusive));
  EXPECT_EQ(writer.level, Level::pending);
  EXPECT_FALSE(late.raise(lock, Level::shared));
  EXPECT_TRUE(reader.raise(lock, Level::shared)) << "who has it already keeps it";
  reader.lower(lock, Level::none);
  EXPECT_TRUE(writer.raise(lock, Level::exclusive));
  writer.lower(lock, Level::shared);
  EXPECT_TRUE(late.raise(lock, Level::shared));
}

// As the last one who closes the log does; others may open the database meanwhile.
TEST(DatabaseLock, KeepsNobodyOutWhenAReaderFailsToBeAlone) {
  DatabaseLock lock;
  Holder closing;
  Holder other;
  Holder late;
  climb(lock, closing, Level::shared);
  climb(lock, other, Level::shared);
  EXPECT_FALSE(closing.raise(lock, Level::exclusive));
  EXPECT_FALSE(lock.is_reserved());
  EXPECT_TRUE(late.raise(lock, Level::shared));
  EXPECT_TRUE(late.raise(lock, Level::reserved));
}

TEST(DatabaseLock, IsWithoutAWriterOnceHeIsBackAtShared) {
  for (const Level level : {Level::reserved, Level::pending, Level::exclusive}) {
    DatabaseLock lock;
    Holder one;
    Holder two;
    climb(lock, one, level);
    EXPECT_TRUE(lock.is_reserved());
    one.lower(lock, Level::shared);
    EXPECT_EQ(one.level, Level::shared);
    EXPECT_FALSE(lock.is_reserved());
    climb(lock, two, Level::pending);
    EXPECT_FALSE(two.raise(lock, Level::exclusive)) << "the first one still shares it";
    one.lower(lock, Level::none);
    EXPECT_TRUE(two.raise(lock, Level::exclusive));
  }
}

TEST(DatabaseLock, HasNothingToLowerBelowWhatIsHeld) {
  DatabaseLock lock;
  Holder one;
  one.lower(lock, Level::none);
  one.lower(lock, Level::shared);
  EXPECT_EQ(one.level, Level::none);
  climb(lock, one, Level::shared);
  one.lower(lock, Level::shared);
  EXPECT_EQ(one.level, Level::shared);
  Holder two;
  climb(lock, two, Level::pending);
  EXPECT_FALSE(two.raise(lock, Level::exclusive)) << "the first one was not counted";
  one.lower(lock, Level::none);
  one.lower(lock, Level::none);
  EXPECT_TRUE(two.raise(lock, Level::exclusive));
}

TEST(DatabaseLock, DoesNotTakeTheWriterFromWhoeverHasIt) {
  DatabaseLock lock;
  Holder reader;
  Holder writer;
  climb(lock, reader, Level::shared);
  climb(lock, writer, Level::pending);
  reader.lower(lock, Level::none);
  EXPECT_TRUE(lock.is_reserved());
  EXPECT_FALSE(reader.raise(lock, Level::shared));
  EXPECT_TRUE(writer.raise(lock, Level::exclusive));
}

TEST(DatabaseLock, GivesAgainWhatIsHeldAlready) {
  DatabaseLock lock;
  Holder one;
  climb(lock, one, Level::exclusive);
  for (const Level level : {Level::shared, Level::reserved, Level::pending, Level::exclusive}) {
    EXPECT_TRUE(one.raise(lock, level));
    EXPECT_EQ(one.level, Level::exclusive);
  }
  one.lower(lock, Level::none);
  Holder two;
  climb(lock, two, Level::exclusive);
}

}  // namespace
}  // namespace sqlane::detail
