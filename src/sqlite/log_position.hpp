#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

struct sqlite3;

namespace sqlane::detail {

// What the index of a write-ahead log says about it, as of its newest commit.
// https://sqlite.org/walformat.html#the_wal_index_header
struct LogPosition {
  std::array<std::uint32_t, 2> salt{};  // others each time the log starts over
  std::uint32_t frames = 0;             // pages in the log
  std::uint32_t page_size = 0;          // in bytes
  std::array<std::uint32_t, 2> sum{};   // checksum of the newest frame, and so of all
  std::uint32_t copied = 0;             // frames that a checkpoint has brought into the database
  std::uint32_t copying = 0;            // frames that the newest checkpoint has set out to bring there

  static constexpr std::uint64_t kLogHeader = 32;    // bytes
  static constexpr std::uint64_t kFrameHeader = 24;  // bytes, before each page

  // Bytes that the log has at least.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return frames == 0 ? 0 : kLogHeader + frames * (kFrameHeader + page_size);
  }
  // A checkpoint runs, or was killed.
  [[nodiscard]] bool is_copying() const noexcept { return copied < copying; }

  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

// Nothing where the connection has no log open, or while another process changes
// the index. Makes no system call. Requires: the connection is no writer in
// another journal mode; SQLite would make an index then, and never remove it.
[[nodiscard]] std::optional<LogPosition> log_position(sqlite3* connection) noexcept;

// Whether the newest frame of that moment is in the log still: the beginning of the frame, which is never zeros. True
// where there is none, or it cannot be read.
[[nodiscard]] bool has_newest_frame(sqlite3* connection, const LogPosition& position) noexcept;

// Whether a log that no connection has open holds the newest frame of a position; true where that has none.
[[nodiscard]] bool has_frame(const std::filesystem::path& log, const LogPosition& position);

// The size of the log that the connection writes to, wherever its name leads
// now; nothing where there is none.
[[nodiscard]] std::optional<std::uint64_t> size_of_log(sqlite3* connection) noexcept;

}  // namespace sqlane::detail
