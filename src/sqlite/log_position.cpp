#include "sqlite/log_position.hpp"

#include <atomic>
#include <cstring>
#include <fstream>
#include <sqlite3.h>

namespace sqlane::detail {
namespace {

constexpr int kRegionBytes = 32768;
constexpr std::size_t kHeaderWords = 12;  // of one of two copies that are equal unless a commit is changing them
constexpr std::size_t kPageSizeWord = 3;
constexpr std::size_t kFramesWord = 4;
constexpr std::size_t kSumWord = 6;
constexpr std::size_t kSaltWord = 8;
constexpr std::size_t kCopiedWord = 24;   // nBackfill
constexpr std::size_t kCopyingWord = 32;  // nBackfillAttempted
constexpr int kTries = 3;

// A frame begins with the number of its page, the size of the database, the salts as they are in memory, and the sums
// as big-endian numbers. https://sqlite.org/fileformat2.html#walformat
constexpr std::size_t kSalts = 8;
constexpr std::size_t kSums = 16;

using FrameHead = std::array<unsigned char, LogPosition::kFrameHeader>;

// Where the head of the newest frame is. Requires: there is a frame.
std::uint64_t newest_frame_at(const LogPosition& position) noexcept {
  return position.bytes() - position.page_size - LogPosition::kFrameHeader;
}

bool has_salts_of(const FrameHead& frame, const LogPosition& position) noexcept {
  return std::memcmp(frame.data() + kSalts, position.salt.data(), sizeof position.salt) == 0;
}

sqlite3_file* file_of(sqlite3* connection, int which) noexcept {
  sqlite3_file* file = nullptr;
  // No name stands for "main" as well, and is found in a tenth of the time.
  if (sqlite3_file_control(connection, nullptr, which, &file) != SQLITE_OK) return nullptr;
  return file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

// Other threads and processes write to the index meanwhile.
std::uint32_t word_at(std::uint32_t* words, std::size_t at) noexcept {
  return std::atomic_ref(words[at]).load(std::memory_order_acquire);
}

bool has_equal_copies(std::uint32_t* words) noexcept {
  for (std::size_t i = 0; i < kHeaderWords; ++i) {
    if (word_at(words, i) != word_at(words, kHeaderWords + i)) return false;
  }
  return true;
}

// The upper half of a word that begins with two bytes of flags; 1 stands for 65536.
std::uint32_t page_size_of(std::uint32_t word) noexcept {
  std::array<unsigned char, sizeof word> bytes{};
  __builtin_memcpy(bytes.data(), &word, sizeof word);
  std::uint16_t half = 0;
  __builtin_memcpy(&half, bytes.data() + 2, sizeof half);
  return (half & 0xfe00U) + ((half & 1U) << 16U);
}

}  // namespace

std::optional<LogPosition> log_position(sqlite3* connection) noexcept {
  if (file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER) == nullptr) return std::nullopt;
  sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_FILE_POINTER);
  if (file == nullptr || file->pMethods->iVersion < 2 || file->pMethods->xShmMap == nullptr) return std::nullopt;
  void volatile* region = nullptr;
  if (file->pMethods->xShmMap(file, 0, kRegionBytes, 0, &region) != SQLITE_OK || region == nullptr) return std::nullopt;
  auto* const words = static_cast<std::uint32_t*>(const_cast<void*>(region));
  for (int i = 0; i < kTries; ++i) {
    const LogPosition position{.salt = {word_at(words, kSaltWord), word_at(words, kSaltWord + 1)},
                               .frames = word_at(words, kFramesWord),
                               .page_size = page_size_of(word_at(words, kPageSizeWord)),
                               .sum = {word_at(words, kSumWord), word_at(words, kSumWord + 1)},
                               .copied = word_at(words, kCopiedWord),
                               .copying = word_at(words, kCopyingWord)};
    if (has_equal_copies(words) && word_at(words, kFramesWord) == position.frames) return position;
  }
  return std::nullopt;
}

bool has_newest_frame(sqlite3* connection, const LogPosition& position) noexcept {
  sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER);
  if (file == nullptr || position.frames == 0) return true;
  FrameHead frame{};
  const auto at = static_cast<sqlite3_int64>(newest_frame_at(position));
  if (file->pMethods->xRead(file, frame.data(), static_cast<int>(frame.size()), at) != SQLITE_OK) return true;
  const auto big_endian = [&](std::size_t i) {
    return std::uint32_t{frame[i]} << 24U | std::uint32_t{frame[i + 1]} << 16U | std::uint32_t{frame[i + 2]} << 8U |
           std::uint32_t{frame[i + 3]};
  };
  return has_salts_of(frame, position) && big_endian(kSums) == position.sum[0] &&
         big_endian(kSums + 4) == position.sum[1];
}

bool has_frame(const std::filesystem::path& log, const LogPosition& position) {
  if (position.frames == 0) return true;
  FrameHead frame{};
  std::ifstream in(log, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(newest_frame_at(position)));
  in.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
  return in.good() && has_salts_of(frame, position);
}

std::optional<std::uint64_t> size_of_log(sqlite3* connection) noexcept {
  sqlite3_file* const file = file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER);
  sqlite3_int64 size = 0;
  if (file == nullptr || file->pMethods->xFileSize(file, &size) != SQLITE_OK) return std::nullopt;
  return static_cast<std::uint64_t>(size);
}

}  // namespace sqlane::detail
