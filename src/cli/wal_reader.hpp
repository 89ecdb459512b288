#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace sqlane::cli {

// What SQLite keeps beside a database in WAL mode, read without SQLite: the log
// (-wal) and the head of its index (-shm). A frame counts as it does for SQLite: when
// it has the salt of its log and the right checksum, and a commit's frame follows.
// https://sqlite.org/fileformat2.html#the_write_ahead_log

using Salt = std::array<std::byte, 8>;
using LogSum = std::array<std::uint32_t, 2>;

inline constexpr std::uint64_t kLogHeaderBytes = 32;
inline constexpr std::uint64_t kFrameHeaderBytes = 24;
inline constexpr std::size_t kLogIndexHeadBytes = 136;

struct LogHeader {
  std::uint32_t page_size = 0;
  std::uint32_t sequence = 0;  // by one more each time the log starts over
  Salt salt{};
  bool has_big_endian_sums = false;
  LogSum sum{};  // of the header; that of each frame goes on from the one before

  [[nodiscard]] std::uint64_t frame_bytes() const { return kFrameHeaderBytes + page_size; }
  friend bool operator==(const LogHeader&, const LogHeader&) = default;
};

// Nothing where the bytes do not begin with the header of a log, or with half of a new one.
[[nodiscard]] std::optional<LogHeader> parse_log_header(std::span<const std::byte> bytes);

struct LogIndexHead {
  std::uint32_t frames = 0;        // in the log, committed
  std::uint32_t checkpointed = 0;  // of these
  Salt salt{};                     // of the log that it is the index of
};

// Of this machine's byte order, as SQLite writes it. https://sqlite.org/walformat.html#the_wal_index_file_format
[[nodiscard]] std::optional<LogIndexHead> parse_log_index(std::span<const std::byte> bytes);

// Copies what the log has from `offset` on; returns how many bytes there were.
using ReadLog = std::function<std::size_t(std::uint64_t offset, std::span<std::byte> into)>;

// What was committed to the log since the last look.
struct LogAdvance {
  std::uint64_t commits = 0;
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;       // of these frames, with their headers
  std::uint32_t restarts = 0;    // how often the log has started over
  bool is_incomplete = false;    // it started over, and some frames were overwritten before anybody looked
  std::uint32_t page_count = 0;  // of the database after the newest of these commits; 0 without one

  LogAdvance& operator+=(const LogAdvance& later);
};

// Goes over a log that somebody else writes, as it grows and starts over.
// Use from one thread at a time.
class LogReader {
 public:
  // The first one goes over all that is there.
  LogAdvance advance(const ReadLog& read);

  // Commits that stand in the log after the last one that counts: a frame between them is damaged, and SQLite stops at
  // it. One alone is what a power failure leaves of a commit that did not come to its end.
  [[nodiscard]] std::uint64_t commits_beyond(const ReadLog& read) const;

  // The log as of the last advance(); nothing while there is none.
  [[nodiscard]] const std::optional<LogHeader>& header() const { return header_; }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }  // committed
  [[nodiscard]] std::uint64_t commits() const { return commits_; }
  [[nodiscard]] std::uint64_t uncommitted_frames() const { return uncommitted_frames_; }

 private:
  enum class End : unsigned char { of_log, overwritten };

  End walk(const ReadLog& read, const Salt& newer, LogAdvance& advance);

  std::optional<LogHeader> header_;
  LogSum sum_{};  // of the last frame that counts, or of the header
  std::uint64_t frames_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t uncommitted_frames_ = 0;
};

struct LogContents {
  std::optional<LogHeader> header{};
  std::uint64_t commits = 0;  // that SQLite takes in
  std::uint64_t frames = 0;   // of these
  std::uint64_t uncommitted_frames = 0;
  std::uint64_t commits_beyond = 0;  // as of LogReader::commits_beyond()
  bool is_unreadable = false;        // its header is damaged: SQLite passes over all that it holds
};
// All of a log, which another process may write meanwhile.
[[nodiscard]] LogContents read_log_contents(const ReadLog& read);

}  // namespace sqlane::cli
