#include "vfs/memory_file.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/crew.hpp"

namespace sqlane::detail {
namespace {

using testing::Crew;
using testing::Dice;

constexpr std::size_t kChunk = MemoryFile::kChunk;
constexpr std::size_t kHalf = kChunk / 2;

using Half = std::array<std::byte, kHalf>;

// Of one value throughout, so that a torn one shows.
Half half_of(std::size_t value) {
  Half half;
  half.fill(static_cast<std::byte>(1 + value % 255));
  return half;
}

[[nodiscard]] bool write_half(MemoryFile& file, std::size_t value, std::uint64_t offset) {
  const Half half = half_of(value);
  return file.write(half.data(), kHalf, offset);
}

[[nodiscard]] bool reads_half(MemoryFile::Reader& reader, std::size_t value, std::uint64_t offset) {
  Half half{};
  return reader.read(half.data(), kHalf, offset) == kHalf && half == half_of(value);
}

std::unique_ptr<MemoryFile> make_file() { return std::make_unique<MemoryFile>(std::make_shared<MemoryBudget>(0)); }

// writer                              readers
// appends chunk 0
//         ---- size is one chunk ---> chunk 0 is whole
// appends chunk 1, a larger table, …
TEST(GrowingMemoryFile, HasWhateverItsSizeCovers) {
  constexpr std::size_t kChunks = 3000;
  constexpr std::size_t kReaders = 3;
  const auto file = make_file();
  std::atomic<std::size_t> wrong = 0;
  const auto read_to_the_end = [&](unsigned seed) {
    MemoryFile::Reader reader(*file);
    Dice dice(seed);
    for (std::size_t size = 0; size < kChunks * kChunk;) {
      size = static_cast<std::size_t>(file->size());
      if (size < kChunk) {
        std::this_thread::yield();
        continue;
      }
      const std::size_t last = size / kChunk - 1;
      const auto any = static_cast<std::size_t>(dice.below(static_cast<int>(last) + 1));
      for (const std::size_t chunk : {last, any}) {
        if (!reads_half(reader, chunk, chunk * kChunk) || !reads_half(reader, chunk + 7, chunk * kChunk + kHalf))
          ++wrong;
      }
    }
  };
  Crew crew(kReaders + 1);
  std::vector<std::function<void()>> jobs;
  for (unsigned i = 0; i < kReaders; ++i) jobs.emplace_back([&, i] { read_to_the_end(i); });
  jobs.emplace_back([&] {
    for (std::size_t chunk = 0; chunk < kChunks; ++chunk) {
      std::array<std::byte, kChunk> bytes;
      std::ranges::copy(half_of(chunk), bytes.begin());
      std::ranges::copy(half_of(chunk + 7), bytes.begin() + kHalf);
      ASSERT_TRUE(file->write(bytes.data(), kChunk, chunk * kChunk));
    }
  });
  crew.run(jobs);
  EXPECT_EQ(wrong, 0U);
}

// The first half of each chunk never changes, and is what readers look at. The
// second halves are written all the time; since a copy has the same chunks, each
// such write replaces a chunk that may be read at that moment.
class SharedMemoryFile : public ::testing::Test {
 protected:
  static constexpr std::size_t kChunks = 16;
  static constexpr std::size_t kReaders = 3;
  static constexpr int kRounds = 150;
  static constexpr int kReads = 20;  // of all chunks, a round and reader

  SharedMemoryFile() {
    for (std::size_t i = 0; i < kChunks; ++i) {
      EXPECT_TRUE(write_half(*file_, i, i * kChunk));
      EXPECT_TRUE(write_half(*file_, 0, i * kChunk + kHalf));
    }
    for (std::size_t i = 0; i < kReaders; ++i) readers_.push_back(std::make_unique<MemoryFile::Reader>(*file_));
  }

  void expect_first_halves(MemoryFile::Reader& reader) {
    for (std::size_t i = 0; i < kChunks; ++i) {
      if (!reads_half(reader, i, i * kChunk)) ++wrong_;
    }
  }
  void expect_second_halves(MemoryFile& file, std::size_t value) {
    MemoryFile::Reader reader(file);
    for (std::size_t i = 0; i < kChunks; ++i) {
      if (!reads_half(reader, value, i * kChunk + kHalf)) ++wrong_;
    }
  }
  void write_second_halves(MemoryFile& file, std::size_t value) {
    for (std::size_t i = 0; i < kChunks; ++i) {
      if (!write_half(file, value, i * kChunk + kHalf)) ++wrong_;
    }
  }
  // Behind what is read: a table that grows, chunks that come and go.
  void grow_and_cut_off(MemoryFile& file, std::size_t round) {
    const std::size_t more = kChunks + 1 + 10 * (round % 20);
    for (std::size_t i = kChunks; i < more; ++i) {
      if (!write_half(file, i, i * kChunk + 100)) ++wrong_;
    }
    if (!file.truncate(kChunks * kChunk)) ++wrong_;
  }

  std::unique_ptr<MemoryFile> file_ = make_file();
  std::vector<std::unique_ptr<MemoryFile::Reader>> readers_;
  std::atomic<std::size_t> wrong_ = 0;
};

TEST_F(SharedMemoryFile, IsReadWholeWhileItsChunksAreReplaced) {
  Crew crew(kReaders + 1);
  for (int round = 0; round < kRounds; ++round) {
    const auto value = static_cast<std::size_t>(round) + 1;
    const auto copy = make_file();
    ASSERT_TRUE(copy->share(*file_));
    std::vector<std::function<void()>> jobs;
    for (const auto& reader : readers_) {
      jobs.emplace_back([&] {
        for (int i = 0; i < kReads; ++i) expect_first_halves(*reader);
      });
    }
    jobs.emplace_back([&] {
      write_second_halves(*file_, value);
      grow_and_cut_off(*file_, value);
    });
    crew.run(std::move(jobs));
    expect_second_halves(*file_, value);
    expect_second_halves(*copy, value - 1);
    ASSERT_EQ(wrong_, 0U) << "round " << round;
  }
}

// Both sides write at once, and either may be the last one that has a chunk.
TEST_F(SharedMemoryFile, AndItsCopyGoSeparateWays) {
  Crew crew(4);
  for (int round = 0; round < kRounds; ++round) {
    const auto value = static_cast<std::size_t>(round) + 1;
    auto copy = make_file();
    ASSERT_TRUE(copy->share(*file_));
    MemoryFile::Reader copys_reader(*copy);
    crew.run({[&] {
                for (int i = 0; i < kReads; ++i) expect_first_halves(*readers_[0]);
              },
              [&] {
                for (int i = 0; i < kReads; ++i) expect_first_halves(copys_reader);
              },
              [&] { write_second_halves(*file_, value); },
              [&] {
                write_second_halves(*copy, value + 100);
                grow_and_cut_off(*copy, value);
              }});
    expect_second_halves(*file_, value);
    expect_second_halves(*copy, value + 100);
    ASSERT_EQ(wrong_, 0U) << "round " << round;
  }
}

// A copy is made while the original is written: it has each write whole, or not at all.
TEST_F(SharedMemoryFile, IsCopiedBetweenTwoWrites) {
  constexpr std::size_t kWrites = 60;
  constexpr int kCopies = 60;
  Crew crew(3);
  std::vector<std::unique_ptr<MemoryFile>> copies;
  crew.run({[&] {
              std::vector<std::byte> bytes(kChunks * kChunk);
              for (std::size_t i = 0; i < kWrites; ++i) {
                std::ranges::fill(bytes, half_of(i)[0]);
                // Half a chunk further each time, so that it spans two chunks at its ends, too.
                if (!file_->write(bytes.data(), bytes.size(), kChunks * kChunk + kHalf)) ++wrong_;
              }
            },
            [&] {
              for (int i = 0; i < kCopies; ++i) {
                copies.push_back(make_file());
                if (!copies.back()->share(*file_)) ++wrong_;
                std::this_thread::yield();
              }
            },
            [&] {
              for (int i = 0; i < kReads; ++i) expect_first_halves(*readers_[0]);
            }});
  for (const auto& copy : copies) {
    const auto size = static_cast<std::size_t>(copy->size());
    ASSERT_TRUE(size == kChunks * kChunk || size == 2 * kChunks * kChunk + kHalf) << size;
    MemoryFile::Reader reader(*copy);
    expect_first_halves(reader);
    if (size == kChunks * kChunk) continue;
    std::vector<std::byte> bytes(kChunks * kChunk);
    ASSERT_EQ(reader.read(bytes.data(), bytes.size(), kChunks * kChunk + kHalf), bytes.size());
    EXPECT_EQ(std::ranges::count(bytes, bytes[0]), static_cast<std::ptrdiff_t>(bytes.size())) << "half a write";
  }
  EXPECT_EQ(wrong_, 0U);
}

// Handles come and go while chunks are replaced: whoever begins to read late is
// waited for as well.
TEST_F(SharedMemoryFile, IsReadByHandlesThatComeAndGo) {
  Crew crew(kReaders + 1);
  for (int round = 0; round < kRounds / 3; ++round) {
    const auto value = static_cast<std::size_t>(round) + 1;
    auto copy = make_file();
    ASSERT_TRUE(copy->share(*file_));
    std::vector<std::function<void()>> jobs(kReaders, [&] {
      for (int i = 0; i < kReads; ++i) {
        MemoryFile::Reader reader(*file_);
        expect_first_halves(reader);
      }
    });
    jobs.emplace_back([&] {
      copy.reset();  // from here on its chunks belong to the file alone, or are freed
      write_second_halves(*file_, value);
    });
    crew.run(std::move(jobs));
    ASSERT_EQ(wrong_, 0U) << "round " << round;
  }
}

// The chunks come and go all the time, and only their second halves are ever
// written. So the first ones are zero, whether a reader meets a chunk, none, or
// one that has been cut off since.
TEST(ShrinkingMemoryFile, FreesNothingThatIsBeingRead) {
  constexpr std::size_t kChunks = 8;
  constexpr std::size_t kReaders = 2;
  constexpr int kRounds = 10'000;
  const auto file = make_file();
  std::atomic<std::size_t> wrong = 0;
  std::vector<std::function<void()>> jobs(kReaders, [&] {
    MemoryFile::Reader reader(*file);
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < kChunks; ++i) {
        Half half = half_of(1);
        reader.read(half.data(), kHalf, i * kChunk);
        if (half != Half{}) ++wrong;
      }
    }
  });
  jobs.emplace_back([&] {
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < kChunks; ++i) {
        if (!write_half(*file, i, i * kChunk + kHalf)) ++wrong;
      }
      if (!file->truncate(0)) ++wrong;
    }
  });
  Crew(kReaders + 1).run(jobs);
  EXPECT_EQ(wrong, 0U);
}

TEST(SharedBudget, IsNeverExceededNorGivenTwice) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kLimit = 10;
  constexpr int kTries = 200'000;
  MemoryBudget budget(kLimit);
  std::atomic<std::size_t> wrong = 0;
  std::atomic<std::size_t> taken = 0;
  Crew crew(kThreads);
  std::vector<std::function<void()>> jobs(kThreads, [&] {
    for (int i = 0; i < kTries; ++i) {
      const std::size_t bytes = 1 + static_cast<std::size_t>(i) % kLimit;
      if (!budget.take(bytes)) continue;
      if (taken.fetch_add(bytes) + bytes > kLimit || budget.used() > kLimit) ++wrong;
      taken.fetch_sub(bytes);
      budget.give_back(bytes);
    }
  });
  crew.run(jobs);
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace sqlane::detail
