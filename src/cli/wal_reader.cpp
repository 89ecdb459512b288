#include "cli/wal_reader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

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

bool has_right_checksum(std::span<const std::byte> header) {
  const bool is_big = (big_endian_at(header, 0) & 1U) != 0;
  const auto number_at = [&](std::size_t at) {
    return is_big ? big_endian_at(header, at) : little_endian_at(header, at);
  };
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (std::size_t at = 0; at < 24; at += 8) {
    first += number_at(at) + second;
    second += number_at(at + 4) + first;
  }
  return first == big_endian_at(header, 24) && second == big_endian_at(header, 28);
}

bool is_page_size(std::uint32_t size) { return size >= 512 && size <= 65536 && std::has_single_bit(size); }

}  // namespace

std::optional<LogHeader> parse_log_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kLogHeaderBytes) return std::nullopt;
  if ((big_endian_at(bytes, 0) & ~1U) != kMagic || big_endian_at(bytes, 4) != kVersion) return std::nullopt;
  const LogHeader header{
      .page_size = big_endian_at(bytes, 8), .sequence = big_endian_at(bytes, 12), .salt = salt_at(bytes, 16)};
  if (!is_page_size(header.page_size) || !has_right_checksum(bytes)) return std::nullopt;
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
    frames_ = 0;
    commits_ = 0;
    uncommitted_frames_ = 0;
  }
  if (header_) walk(read, header_->salt, advance);
  return advance;
}

LogReader::End LogReader::walk(const ReadLog& read, const Salt& newer, LogAdvance& advance) {
  const std::uint64_t frame_bytes = header_->frame_bytes();
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  std::byte last_byte{};
  std::uint64_t pending = 0;  // frames since the last commit: not ours until one comes
  End end = End::of_log;
  while (true) {
    const std::uint64_t at = kLogHeaderBytes + (frames_ + pending) * frame_bytes;
    if (read(at, bytes) != bytes.size()) break;
    const Salt salt = salt_at(bytes, 8);
    if (salt != header_->salt) {
      if (salt == newer) end = End::overwritten;
      break;
    }
    ++pending;
    if (const std::uint32_t page_count = big_endian_at(bytes, 4); page_count != 0) {
      if (read(at + frame_bytes - 1, std::span(&last_byte, 1)) != 1) break;  // it is not all there yet
      ++commits_;
      ++advance.commits;
      frames_ += pending;
      advance.frames += pending;
      advance.bytes += pending * frame_bytes;
      advance.page_count = page_count;
      pending = 0;
    }
  }
  uncommitted_frames_ = pending;
  return end;
}

}  // namespace sqlane::cli
