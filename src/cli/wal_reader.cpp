#include "cli/wal_reader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace sqlane::cli {
namespace {

constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit: checksums take numbers as big-endian
constexpr std::uint32_t kVersion = 3'007'000;

std::uint32_t big_endian_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (const std::byte byte : bytes.subspan(at, 4)) number = number << 8U | std::to_integer<std::uint32_t>(byte);
  return number;
}

std::uint32_t little_endian_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) number = number << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
  return number;
}

std::uint32_t native_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::endian::native == std::endian::big ? big_endian_at(bytes, at) : little_endian_at(bytes, at);
}

Salt salt_at(std::span<const std::byte> bytes, std::size_t at) {
  Salt salt{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), salt.size(), salt.begin());
  return salt;
}

// https://sqlite.org/fileformat2.html#checksum_algorithm
LogSum add_to_sum(LogSum sum, std::span<const std::byte> bytes, bool is_big) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    sum[0] += (is_big ? big_endian_at(bytes, at) : little_endian_at(bytes, at)) + sum[1];
    sum[1] += (is_big ? big_endian_at(bytes, at + 4) : little_endian_at(bytes, at + 4)) + sum[0];
  }
  return sum;
}

LogSum sum_at(std::span<const std::byte> bytes, std::size_t at) {
  return {big_endian_at(bytes, at), big_endian_at(bytes, at + 4)};
}

LogSum sum_of_frame(const LogHeader& header, const LogSum& before, std::span<const std::byte> frame) {
  const LogSum sum = add_to_sum(before, frame.first(8), header.has_big_endian_sums);
  return add_to_sum(sum, frame.subspan(kFrameHeaderBytes), header.has_big_endian_sums);
}

bool is_page_size(std::uint32_t size) { return size >= 512 && size <= 65536 && std::has_single_bit(size); }

}  // namespace

std::optional<LogHeader> parse_log_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kLogHeaderBytes) return std::nullopt;
  if ((big_endian_at(bytes, 0) & ~1U) != kMagic || big_endian_at(bytes, 4) != kVersion) return std::nullopt;
  const LogHeader header{.page_size = big_endian_at(bytes, 8),
                         .sequence = big_endian_at(bytes, 12),
                         .salt = salt_at(bytes, 16),
                         .has_big_endian_sums = (big_endian_at(bytes, 0) & 1U) != 0,
                         .sum = sum_at(bytes, 24)};
  const LogSum sum = add_to_sum({}, bytes.first(24), header.has_big_endian_sums);
  if (!is_page_size(header.page_size) || sum != header.sum) return std::nullopt;
  return header;
}

std::optional<LogIndexHead> parse_log_index(std::span<const std::byte> bytes) {
  constexpr std::size_t kCopy = 48;  // the header is there twice; they differ while it is being written
  if (bytes.size() < kLogIndexHeadBytes) return std::nullopt;
  if (std::memcmp(bytes.data(), bytes.data() + kCopy, kCopy) != 0) return std::nullopt;
  const bool is_made = bytes[12] != std::byte{0};
  if (!is_made || native_at(bytes, 0) != kVersion) return std::nullopt;
  const LogIndexHead head{
      .frames = native_at(bytes, 16), .checkpointed = native_at(bytes, 2 * kCopy), .salt = salt_at(bytes, 32)};
  if (head.checkpointed > head.frames) return std::nullopt;
  return head;
}

LogAdvance& LogAdvance::operator+=(const LogAdvance& later) {
  commits += later.commits;
  frames += later.frames;
  bytes += later.bytes;
  restarts += later.restarts;
  is_incomplete = is_incomplete || later.is_incomplete;
  if (later.page_count != 0) page_count = later.page_count;
  return *this;
}

LogAdvance LogReader::advance(const ReadLog& read) {
  LogAdvance advance;
  std::array<std::byte, kLogHeaderBytes> bytes{};
  const std::size_t size = read(0, bytes);
  const std::optional<LogHeader> now = parse_log_header(std::span(bytes).first(size));
  if (!now && size == bytes.size()) return advance;  // it is being written: look again next time
  if (header_ && now != header_) {
    // What came behind the last look is still there, as far as the new log has not reached it.
    const End end = now ? walk(read, now->salt, advance) : End::overwritten;
    const std::uint32_t restarts = now ? std::max(now->sequence - header_->sequence, 1U) : 1U;
    advance.restarts = restarts;
    advance.is_incomplete = restarts > 1 || end == End::overwritten;
  }
  if (now != header_) {
    header_ = now;
    sum_ = now ? now->sum : LogSum{};
    frames_ = 0;
    commits_ = 0;
    uncommitted_frames_ = 0;
  }
  if (header_) walk(read, header_->salt, advance);
  return advance;
}

LogReader::End LogReader::walk(const ReadLog& read, const Salt& newer, LogAdvance& advance) {
  std::vector<std::byte> frame(header_->frame_bytes());
  std::uint64_t pending = 0;  // frames since the last commit: not ours until one comes
  LogSum sum = sum_;
  End end = End::of_log;
  while (true) {
    const std::uint64_t at = kLogHeaderBytes + (frames_ + pending) * frame.size();
    if (read(at, frame) != frame.size()) break;  // it is not all there yet
    const Salt salt = salt_at(frame, 8);
    sum = sum_of_frame(*header_, sum, frame);
    if (salt != header_->salt || sum != sum_at(frame, 16)) {
      const bool is_of_newer = newer != header_->salt && (salt == newer || salt == header_->salt);
      if (is_of_newer) end = End::overwritten;
      break;
    }
    ++pending;
    if (const std::uint32_t page_count = big_endian_at(frame, 4); page_count != 0) {
      ++commits_;
      ++advance.commits;
      frames_ += pending;
      sum_ = sum;
      advance.frames += pending;
      advance.bytes += pending * frame.size();
      advance.page_count = page_count;
      pending = 0;
    }
  }
  uncommitted_frames_ = pending;
  return end;
}

std::uint64_t LogReader::commits_beyond(const ReadLog& read) const {
  if (!header_) return 0;
  std::uint64_t commits = 0;
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  std::byte last_byte{};
  const std::uint64_t frame_bytes = header_->frame_bytes();
  std::uint64_t at = kLogHeaderBytes + frames_ * frame_bytes;
  for (; read(at, bytes) == bytes.size(); at += frame_bytes) {
    const bool is_commit = salt_at(bytes, 8) == header_->salt && big_endian_at(bytes, 4) != 0;
    if (is_commit && read(at + frame_bytes - 1, std::span(&last_byte, 1)) == 1) ++commits;
  }
  return commits;
}

LogContents read_log_contents(const ReadLog& read) {
  LogReader reader;
  reader.advance(read);
  std::uint64_t beyond = reader.commits_beyond(read);
  while (beyond > 0) {  // unless they have been written since: then all before them is there by now
    const LogAdvance more = reader.advance(read);
    if (more.commits == 0 && more.restarts == 0) break;
    beyond = reader.commits_beyond(read);
  }
  std::byte first{};
  const bool holds_frames = read(kLogHeaderBytes, std::span(&first, 1)) == 1;
  return {.header = reader.header(),
          .commits = reader.commits(),
          .frames = reader.frames(),
          .uncommitted_frames = reader.uncommitted_frames(),
          .commits_beyond = beyond,
          .is_unreadable = holds_frames && !reader.header()};
}

}  // namespace sqlane::cli
