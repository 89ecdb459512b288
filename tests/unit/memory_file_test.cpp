#include "vfs/memory_file.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/crew.hpp"

namespace sqlane::detail {
namespace {

using testing::Dice;

using Bytes = std::vector<std::byte>;

constexpr std::size_t kChunk = MemoryFile::kChunk;

std::shared_ptr<MemoryBudget> budget_of(std::size_t chunks) { return std::make_shared<MemoryBudget>(chunks * kChunk); }

Bytes filled(std::size_t size, int value) { return Bytes(size, static_cast<std::byte>(value)); }

[[nodiscard]] bool write(MemoryFile& file, const Bytes& bytes, std::uint64_t offset) {
  return file.write(bytes.data(), bytes.size(), offset);
}

struct ReadBytes {
  std::size_t there = 0;
  Bytes bytes;
};

// Into memory that is not zero, so that what is not set shows.
ReadBytes read(MemoryFile::Reader& reader, std::size_t bytes, std::uint64_t offset) {
  ReadBytes result{.bytes = filled(bytes, 0xee)};
  result.there = reader.read(result.bytes.data(), bytes, offset);
  return result;
}

Bytes all_of(MemoryFile& file) {
  MemoryFile::Reader reader(file);
  return read(reader, static_cast<std::size_t>(file.size()), 0).bytes;
}

TEST(MemoryFile, IsEmptyAtFirst) {
  MemoryFile file(budget_of(0));
  MemoryFile::Reader reader(file);
  EXPECT_EQ(file.size(), 0U);
  const auto [there, bytes] = read(reader, 10, 0);
  EXPECT_EQ(there, 0U);
  EXPECT_EQ(bytes, filled(10, 0));
  EXPECT_TRUE(file.truncate(0));
  EXPECT_TRUE(file.truncate(100));
  EXPECT_EQ(file.size(), 0U) << "cutting off made it larger";
}

TEST(MemoryFile, SetsToZeroWhatAReadAsksForBehindTheEnd) {
  MemoryFile file(budget_of(0));
  MemoryFile::Reader reader(file);
  ASSERT_TRUE(write(file, filled(kChunk + 10, 7), 0));
  const auto [there, bytes] = read(reader, 100, kChunk - 20);
  EXPECT_EQ(there, 30U);
  Bytes expected = filled(30, 7);
  expected.resize(100);
  EXPECT_EQ(bytes, expected);
  EXPECT_EQ(read(reader, 8, kChunk + 10).there, 0U);
  EXPECT_EQ(read(reader, 8, std::uint64_t{1} << 40U).there, 0U);
}

TEST(MemoryFile, HasHolesThatReadAsZeroAndTakeNoMemory) {
  const auto budget = budget_of(0);
  MemoryFile file(budget);
  MemoryFile::Reader reader(file);
  ASSERT_TRUE(write(file, filled(10, 1), 0));
  ASSERT_TRUE(write(file, filled(10, 2), 1000 * kChunk));
  EXPECT_EQ(file.size(), 1000 * kChunk + 10);
  EXPECT_EQ(budget->used(), 2 * kChunk);
  EXPECT_EQ(read(reader, 3 * kChunk, 10).bytes, filled(3 * kChunk, 0));
  const auto [there, bytes] = read(reader, kChunk, 1000 * kChunk - 5);
  EXPECT_EQ(there, 15U);
  EXPECT_EQ(bytes[4], std::byte{0});
  EXPECT_EQ(bytes[5], std::byte{2});
}

TEST(MemoryFile, ForgetsWhatWasCutOffAlsoWhereTheChunkStays) {
  MemoryFile file(budget_of(0));
  ASSERT_TRUE(write(file, filled(3 * kChunk, 5), 0));
  ASSERT_TRUE(file.truncate(kChunk + 100));
  EXPECT_EQ(file.size(), kChunk + 100);
  ASSERT_TRUE(write(file, filled(1, 9), 3 * kChunk));
  Bytes expected = filled(kChunk + 100, 5);
  expected.resize(3 * kChunk);
  expected.push_back(std::byte{9});
  EXPECT_EQ(all_of(file), expected);
}

TEST(MemoryFile, KeepsWhatIsThereWhenItGrowsItsTable) {
  MemoryFile file(budget_of(0));
  MemoryFile::Reader reader(file);
  constexpr std::size_t kChunks = 1000;  // several tables
  for (std::size_t i = 0; i < kChunks; ++i) ASSERT_TRUE(write(file, filled(kChunk, static_cast<int>(i)), i * kChunk));
  for (std::size_t i = 0; i < kChunks; ++i) {
    ASSERT_EQ(read(reader, kChunk, i * kChunk).bytes, filled(kChunk, static_cast<int>(i))) << "chunk " << i;
  }
}

// The budget

TEST(MemoryBudget, GivesWhatThereIsAndNoMore) {
  MemoryBudget budget(10);
  EXPECT_TRUE(budget.take(4));
  EXPECT_FALSE(budget.take(7));
  EXPECT_EQ(budget.used(), 4U);
  EXPECT_TRUE(budget.take(6));
  EXPECT_FALSE(budget.take(1));
  EXPECT_FALSE(budget.take(SIZE_MAX)) << "more than can be added up";
  budget.give_back(10);
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_TRUE(budget.take(10));
}

TEST(MemoryFile, TakesExactlyItsLimit) {
  const auto budget = budget_of(3);
  MemoryFile file(budget);
  EXPECT_TRUE(write(file, filled(3 * kChunk, 1), 0));
  EXPECT_EQ(budget->used(), 3 * kChunk);
  EXPECT_FALSE(write(file, filled(1, 1), 3 * kChunk));
  EXPECT_EQ(file.size(), 3 * kChunk);
  EXPECT_TRUE(write(file, filled(3 * kChunk, 2), 0)) << "what it has already costs nothing";
  EXPECT_EQ(all_of(file), filled(3 * kChunk, 2));
}

TEST(MemoryFile, TakesNoMoreThanIsLeftByAnother) {
  const auto budget = budget_of(3);
  MemoryFile one(budget);
  MemoryFile two(budget);
  EXPECT_TRUE(write(one, filled(2 * kChunk, 1), 0));
  EXPECT_FALSE(write(two, filled(kChunk + 1, 2), 0));
  EXPECT_TRUE(write(two, filled(kChunk, 2), 0));
}

TEST(MemoryFile, GivesBackWhatAWriteTookBeforeItFailed) {
  const auto budget = budget_of(4);
  MemoryFile file(budget);
  ASSERT_TRUE(write(file, filled(kChunk + 10, 1), 0));
  EXPECT_FALSE(write(file, filled(5 * kChunk, 2), kChunk + 10));
  EXPECT_EQ(budget->used(), 2 * kChunk);
  EXPECT_EQ(file.size(), kChunk + 10);
  EXPECT_EQ(all_of(file), filled(kChunk + 10, 1));
  ASSERT_TRUE(write(file, filled(1, 3), 2 * kChunk));
  Bytes expected = filled(kChunk + 10, 1);
  expected.resize(2 * kChunk);
  expected.push_back(std::byte{3});
  EXPECT_EQ(all_of(file), expected) << "the failed write shows";
}

TEST(MemoryFile, GivesBackWhatIsCutOff) {
  const auto budget = budget_of(4);
  MemoryFile file(budget);
  ASSERT_TRUE(write(file, filled(4 * kChunk, 1), 0));
  ASSERT_TRUE(file.truncate(kChunk + 1));
  EXPECT_EQ(budget->used(), 2 * kChunk);
  ASSERT_TRUE(file.truncate(kChunk));
  EXPECT_EQ(budget->used(), kChunk);
  ASSERT_TRUE(file.truncate(0));
  EXPECT_EQ(budget->used(), 0U);
  EXPECT_TRUE(write(file, filled(4 * kChunk, 1), 0));
}

TEST(MemoryFile, GivesBackAllWithItsEnd) {
  const auto budget = budget_of(0);
  {
    MemoryFile original(budget);
    ASSERT_TRUE(write(original, filled(10 * kChunk, 1), 0));
    MemoryFile copy(budget);
    ASSERT_TRUE(copy.share(original));
    ASSERT_TRUE(write(copy, filled(2 * kChunk, 2), kChunk));
    EXPECT_EQ(budget->used(), 20 * kChunk);
  }
  EXPECT_EQ(budget->used(), 0U);
}

// Copies

TEST(CopiesOfMemoryFiles, DoNotSeeWhatTheOtherOneWrites) {
  MemoryFile original(budget_of(0));
  ASSERT_TRUE(write(original, filled(3 * kChunk, 1), 0));
  MemoryFile copy(budget_of(0));
  ASSERT_TRUE(copy.share(original));
  EXPECT_EQ(all_of(copy), filled(3 * kChunk, 1));

  ASSERT_TRUE(write(original, filled(kChunk, 2), 0));
  EXPECT_EQ(all_of(copy), filled(3 * kChunk, 1));
  ASSERT_TRUE(write(copy, filled(kChunk, 3), 2 * kChunk));
  Bytes expected = filled(kChunk, 2);
  expected.resize(3 * kChunk, std::byte{1});
  EXPECT_EQ(all_of(original), expected);
}

// A part of a chunk: the rest of the copy has to be what was there.
TEST(CopiesOfMemoryFiles, KeepTheRestOfAChunkOfWhichAPartIsWritten) {
  MemoryFile original(budget_of(0));
  ASSERT_TRUE(write(original, filled(kChunk, 1), 0));
  MemoryFile copy(budget_of(0));
  ASSERT_TRUE(copy.share(original));
  ASSERT_TRUE(write(copy, filled(1, 2), 50));
  Bytes expected = filled(kChunk, 1);
  expected[50] = std::byte{2};
  EXPECT_EQ(all_of(copy), expected);
  EXPECT_EQ(all_of(original), filled(kChunk, 1));
}

TEST(CopiesOfMemoryFiles, DoNotSeeWhatTheOtherOneCutsOffOrAppends) {
  MemoryFile original(budget_of(0));
  ASSERT_TRUE(write(original, filled(2 * kChunk - 100, 1), 0));
  MemoryFile copy(budget_of(0));
  ASSERT_TRUE(copy.share(original));
  ASSERT_TRUE(original.truncate(10));
  EXPECT_EQ(all_of(copy), filled(2 * kChunk - 100, 1));
  ASSERT_TRUE(write(copy, filled(200, 2), 2 * kChunk));  // clears the tail of a chunk
  ASSERT_TRUE(write(original, filled(10, 3), 10));
  Bytes expected = filled(10, 1);
  expected.resize(20, std::byte{3});
  EXPECT_EQ(all_of(original), expected);
  expected = filled(2 * kChunk - 100, 1);
  expected.resize(2 * kChunk);
  expected.resize(2 * kChunk + 200, std::byte{2});
  EXPECT_EQ(all_of(copy), expected);
}

TEST(CopiesOfMemoryFiles, ClearATailThatTheySeeInTheOtherOne) {
  MemoryFile original(budget_of(0));
  ASSERT_TRUE(write(original, filled(kChunk, 1), 0));
  MemoryFile copy(budget_of(0));
  ASSERT_TRUE(copy.share(original));
  ASSERT_TRUE(copy.truncate(10));
  ASSERT_TRUE(write(copy, filled(1, 2), 20));  // 10 to 19 become zero in the copy alone
  EXPECT_EQ(all_of(original), filled(kChunk, 1));
  Bytes expected = filled(10, 1);
  expected.resize(20);
  expected.push_back(std::byte{2});
  EXPECT_EQ(all_of(copy), expected);
}

TEST(CopiesOfMemoryFiles, OutliveTheOriginal) {
  MemoryFile copy(budget_of(0));
  {
    MemoryFile original(budget_of(0));
    ASSERT_TRUE(write(original, filled(5 * kChunk, 1), 0));
    ASSERT_TRUE(copy.share(original));
  }
  EXPECT_EQ(all_of(copy), filled(5 * kChunk, 1));
  EXPECT_TRUE(write(copy, filled(kChunk, 2), 0));
}

TEST(CopiesOfMemoryFiles, CostTheirOwnBudgetAsMuchAsTheOriginal) {
  MemoryFile original(budget_of(0));
  ASSERT_TRUE(write(original, filled(3 * kChunk, 1), 0));
  const auto enough = budget_of(3);
  MemoryFile copy(enough);
  EXPECT_TRUE(copy.share(original));
  EXPECT_EQ(enough->used(), 3 * kChunk);
  EXPECT_TRUE(write(copy, filled(3 * kChunk, 2), 0)) << "what replaces a shared chunk costs nothing more";
  EXPECT_FALSE(write(copy, filled(1, 2), 3 * kChunk));

  const auto too_little = budget_of(2);
  MemoryFile refused(too_little);
  EXPECT_FALSE(refused.share(original));
  EXPECT_EQ(too_little->used(), 0U);
  EXPECT_EQ(refused.size(), 0U);
  ASSERT_TRUE(write(refused, filled(1, 7), kChunk));
  Bytes expected(kChunk);
  expected.push_back(std::byte{7});
  EXPECT_EQ(all_of(refused), expected);
  EXPECT_EQ(all_of(original), filled(3 * kChunk, 1));
}

TEST(CopiesOfMemoryFiles, OfNothingAreEmpty) {
  MemoryFile original(budget_of(0));
  MemoryFile copy(budget_of(1));
  EXPECT_TRUE(copy.share(original));
  EXPECT_EQ(copy.size(), 0U);
  ASSERT_TRUE(write(original, filled(10, 1), 3 * kChunk));
  MemoryFile other(budget_of(1));
  EXPECT_TRUE(other.share(original)) << "holes cost nothing";
  EXPECT_EQ(all_of(other), all_of(original));
}

// Against a vector of bytes

struct Pair {
  std::shared_ptr<MemoryBudget> budget = budget_of(0);
  MemoryFile file{budget};
  MemoryFile::Reader reader{file};
  Bytes oracle;

  [[nodiscard]] std::size_t chunks() const { return (oracle.size() + kChunk - 1) / kChunk; }
};

class RandomUse {
 public:
  explicit RandomUse(unsigned seed) : dice_(seed) { files_.push_back(std::make_unique<Pair>()); }

  void step() {
    Pair& pair = *files_[static_cast<std::size_t>(dice_.below(static_cast<int>(files_.size())))];
    const int what = dice_.below(100);
    if (what < 50) {
      write_somewhere(pair);
    } else if (what < 85) {
      expect_the_same_somewhere(pair);
    } else if (what < 93) {
      cut_off(pair);
    } else if (what < 97) {
      share(pair);
    } else if (files_.size() > 1) {
      std::swap(files_[static_cast<std::size_t>(dice_.below(static_cast<int>(files_.size())))], files_.back());
      files_.pop_back();
    }
  }

  void expect_the_same() const {
    for (const auto& pair : files_) {
      ASSERT_EQ(pair->file.size(), pair->oracle.size());
      ASSERT_EQ(read(pair->reader, pair->oracle.size(), 0).bytes, pair->oracle);
      ASSERT_LE(pair->budget->used(), pair->chunks() * kChunk);
    }
  }

 private:
  static constexpr int kLargest = 300'000;  // bytes; more than the smallest table

  // Often at a border of a chunk, or near the end.
  [[nodiscard]] std::size_t place(const Pair& pair) {
    const int what = dice_.below(4);
    if (what == 0) return static_cast<std::size_t>(dice_.below(kLargest / static_cast<int>(kChunk))) * kChunk;
    if (what == 1) return static_cast<std::size_t>(dice_.below(kLargest));
    const std::size_t end = pair.oracle.size();
    const auto near = static_cast<std::size_t>(dice_.below(2 * static_cast<int>(kChunk)));
    return what == 2 ? end - std::min(near, end) : end + near;
  }

  [[nodiscard]] std::size_t length() {
    constexpr std::array kUsual{std::size_t{24}, kChunk, kChunk + 24, 4 * kChunk};
    const auto which = static_cast<std::size_t>(dice_.below(kUsual.size() + 1));
    return which < kUsual.size() ? kUsual[which] : static_cast<std::size_t>(1 + dice_.below(20'000));
  }

  void write_somewhere(Pair& pair) {
    const std::size_t offset = place(pair);
    Bytes bytes = filled(length(), 0);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(1 + next_ % 255);
    ++next_;
    ASSERT_TRUE(write(pair.file, bytes, offset));
    if (pair.oracle.size() < offset + bytes.size()) pair.oracle.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), pair.oracle.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void expect_the_same_somewhere(Pair& pair) {
    const std::size_t offset = place(pair);
    const auto [there, bytes] = read(pair.reader, length(), offset);
    const std::size_t expected = offset >= pair.oracle.size() ? 0 : std::min(bytes.size(), pair.oracle.size() - offset);
    ASSERT_EQ(there, expected);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      ASSERT_EQ(bytes[i], i < expected ? pair.oracle[offset + i] : std::byte{0}) << "at " << offset + i;
    }
  }

  void cut_off(Pair& pair) {
    const std::size_t size = place(pair);
    ASSERT_TRUE(pair.file.truncate(size));
    if (size < pair.oracle.size()) pair.oracle.resize(size);
  }

  void share(Pair& pair) {
    if (files_.size() == 4) return;
    auto copy = std::make_unique<Pair>();
    ASSERT_TRUE(copy->file.share(pair.file));
    copy->oracle = pair.oracle;
    files_.push_back(std::move(copy));
  }

  Dice dice_;
  int next_ = 0;
  std::vector<std::unique_ptr<Pair>> files_;
};

TEST(MemoryFile, AlwaysHoldsWhatAVectorOfBytesWould) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomUse use(seed);
  for (int i = 0; i < 4000 && !::testing::Test::HasFailure(); ++i) {
    use.step();
    if (i % 100 == 0) use.expect_the_same();
  }
  use.expect_the_same();
}

}  // namespace
}  // namespace sqlane::detail
