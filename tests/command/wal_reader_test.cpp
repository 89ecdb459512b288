#include "cli/wal_reader.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "support/files.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::cli {
namespace {

using sqlane::testing::beside;
using sqlane::testing::bytes_of;
using sqlane::testing::ForeignConnection;
using sqlane::testing::TemporaryFolder;

constexpr std::uint32_t kPage = 1024;
constexpr std::uint64_t kFrame = kFrameHeaderBytes + kPage;

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

ReadLog reader_of(const std::string& log) {
  return [&log](std::uint64_t offset, std::span<std::byte> into) -> std::size_t {
    if (offset >= log.size()) return 0;
    const std::size_t size = std::min<std::size_t>(into.size(), log.size() - offset);
    std::copy_n(as_bytes(log).begin() + static_cast<std::ptrdiff_t>(offset), size, into.begin());
    return size;
  };
}

// A database that SQLite writes, and its log as it is at a moment. (The log's
// file bears no locks.)
class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    writer.run("PRAGMA page_size = 1024");
    writer.run("PRAGMA journal_mode = WAL");
    writer.run("PRAGMA wal_autocheckpoint = 0");
    writer.run("CREATE TABLE t (x)");  // two pages: the schema's and the table's
  }

  void write_rows(int count) {
    for (int i = 0; i < count; ++i) writer.run("INSERT INTO t VALUES (1)");
  }
  void start_over() { writer.run("PRAGMA wal_checkpoint(RESTART)"); }
  [[nodiscard]] std::string log() const { return bytes_of(beside(folder / "test.db", "-wal")); }

  TemporaryFolder folder;
  ForeignConnection writer{folder / "test.db"};
};

TEST_F(LogTest, HasAHeaderThatIsUnderstoodWholeOnly) {
  const std::string bytes = log();
  const auto header = parse_log_header(as_bytes(bytes));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->page_size, kPage);
  for (std::size_t at = 0; at < kLogHeaderBytes; ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_FALSE(parse_log_header(as_bytes(damaged))) << "byte " << at;
  }
  EXPECT_FALSE(parse_log_header(as_bytes(bytes).first(kLogHeaderBytes - 1)));
  EXPECT_FALSE(parse_log_header({}));
}

TEST_F(LogTest, IsReadAsItGrows) {
  LogReader reader;
  const std::string first = log();
  const LogAdvance all = reader.advance(reader_of(first));
  EXPECT_EQ(all.commits, 1U);
  EXPECT_EQ(all.frames, 2U);
  EXPECT_EQ(all.bytes, 2 * kFrame);
  EXPECT_EQ(all.page_count, 2U);

  write_rows(3);
  const std::string second = log();
  const LogAdvance more = reader.advance(reader_of(second));
  EXPECT_EQ(more.commits, 3U);
  EXPECT_EQ(more.frames, 3U);
  EXPECT_EQ(more.restarts, 0U);
  EXPECT_EQ(reader.commits(), 4U);
  EXPECT_EQ(reader.frames(), 5U);

  const LogAdvance none = reader.advance(reader_of(second));
  EXPECT_EQ(none.commits, 0U);
  EXPECT_EQ(none.page_count, 0U);
}

// What came is counted once, wherever the bytes of each look end.
TEST_F(LogTest, IsReadTheSameInPiecesOfAnyLength) {
  write_rows(2);
  writer.run("BEGIN; INSERT INTO t SELECT randomblob(900) FROM (VALUES (1), (2), (3)); COMMIT");
  const std::string whole = log();
  LogReader at_once;
  const LogAdvance expected = at_once.advance(reader_of(whole));
  for (const std::size_t piece : {1U, 7U, 24U, 1048U, 1049U, 3000U}) {
    LogReader reader;
    LogAdvance sum;
    std::string part;
    while (part.size() < whole.size()) {
      part = whole.substr(0, part.size() + piece);
      sum += reader.advance(reader_of(part));
    }
    EXPECT_EQ(sum.commits, expected.commits) << piece;
    EXPECT_EQ(sum.frames, expected.frames) << piece;
    EXPECT_EQ(sum.page_count, expected.page_count) << piece;
    EXPECT_FALSE(sum.is_incomplete) << piece;
    EXPECT_EQ(reader.uncommitted_frames(), 0U) << piece;
  }
}

TEST_F(LogTest, HasFramesThatCountOnlyOnceTheyAreCommitted) {
  write_rows(1);
  const std::string whole = log();
  LogReader reader;
  const std::string without_last = whole.substr(0, kLogHeaderBytes + kFrame);  // of the two of the first commit
  EXPECT_EQ(reader.advance(reader_of(without_last)).commits, 0U);
  EXPECT_EQ(reader.uncommitted_frames(), 1U);
  EXPECT_EQ(reader.frames(), 0U);
  EXPECT_EQ(reader.advance(reader_of(whole)).frames, 3U);
  EXPECT_EQ(reader.uncommitted_frames(), 0U);
}

TEST_F(LogTest, IsFollowedWhenItStartsOver) {
  write_rows(5);
  LogReader reader;
  const std::string before = log();
  reader.advance(reader_of(before));
  start_over();
  write_rows(2);
  const std::string after = log();
  ASSERT_EQ(after.size(), before.size());  // written over from the start
  const LogAdvance advance = reader.advance(reader_of(after));
  EXPECT_EQ(advance.restarts, 1U);
  EXPECT_EQ(advance.commits, 2U);
  EXPECT_FALSE(advance.is_incomplete);
  EXPECT_EQ(reader.frames(), 2U);
}

// reader          writer
// looks at 3 commits
//                 commits 4 more, starts over, commits 1
// sees 5
TEST_F(LogTest, StillHasTheCommitsBeforeItStartedOver) {
  write_rows(2);
  LogReader reader;
  const std::string before = log();
  reader.advance(reader_of(before));
  write_rows(4);
  start_over();
  write_rows(1);
  const std::string after = log();
  const LogAdvance advance = reader.advance(reader_of(after));
  EXPECT_EQ(advance.restarts, 1U);
  EXPECT_EQ(advance.commits, 5U);
  EXPECT_FALSE(advance.is_incomplete);
}

TEST_F(LogTest, SaysWhenCommitsWereOverwrittenUnseen) {
  LogReader reader;
  const std::string before = log();
  reader.advance(reader_of(before));
  write_rows(2);
  start_over();
  write_rows(3);  // as far as the reader had come, and beyond
  const std::string overtaken = log();
  const LogAdvance advance = reader.advance(reader_of(overtaken));
  EXPECT_TRUE(advance.is_incomplete);
  EXPECT_EQ(advance.commits, 3U);

  start_over();
  write_rows(1);
  start_over();
  write_rows(1);
  const std::string twice = log();
  const LogAdvance after_two = reader.advance(reader_of(twice));
  EXPECT_EQ(after_two.restarts, 2U);
  EXPECT_TRUE(after_two.is_incomplete);
}

TEST_F(LogTest, MayBeGoneAndComeAgain) {
  write_rows(1);
  LogReader reader;
  const std::string before = log();
  reader.advance(reader_of(before));
  const std::string nothing;
  EXPECT_EQ(reader.advance(reader_of(nothing)).restarts, 1U);
  EXPECT_FALSE(reader.header());
  const LogAdvance again = reader.advance(reader_of(before));
  EXPECT_EQ(again.commits, 2U);
  EXPECT_EQ(again.restarts, 0U);
}

TEST_F(LogTest, IsLookedAtLaterWhileItsHeaderIsHalfWritten) {
  write_rows(1);
  const std::string whole = log();
  std::string half = whole;
  half[17] = static_cast<char>(half[17] + 1);
  LogReader reader;
  reader.advance(reader_of(whole));
  EXPECT_EQ(reader.advance(reader_of(half)).restarts, 0U);
  EXPECT_EQ(reader.advance(reader_of(whole)).commits, 0U);
  EXPECT_EQ(reader.commits(), 2U);
}

// As SQLite reads it after a crash: as far as the checksums go.
TEST_F(LogTest, CountsAsFarAsTheFrameThatIsDamaged) {
  write_rows(9);  // frames 3 to 11
  const std::string whole = log();
  for (const std::uint64_t in_frame : {std::uint64_t{4}, std::uint64_t{9}, std::uint64_t{17}, kFrameHeaderBytes + 5}) {
    std::string damaged = whole;
    char& byte = damaged[kLogHeaderBytes + 5 * kFrame + in_frame];  // of the sixth frame, the fifth commit
    byte = static_cast<char>(byte ^ 0x01);
    const LogContents contents = read_log_contents(reader_of(damaged));
    EXPECT_EQ(contents.frames, 5U) << in_frame;
    EXPECT_EQ(contents.commits, 4U) << in_frame;
    EXPECT_EQ(contents.commits_beyond, in_frame == 9 ? 5U : 6U) << in_frame << ": one with another salt is not counted";
    EXPECT_EQ(contents.uncommitted_frames, 0U) << in_frame;
  }
  EXPECT_EQ(read_log_contents(reader_of(whole)).commits_beyond, 0U);
}

TEST_F(LogTest, MayEndAnywhereAndHaveOlderFramesAfterItsEnd) {
  write_rows(3);
  const std::string whole = log();
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    const std::string part = whole.substr(0, size);
    EXPECT_EQ(read_log_contents(reader_of(part)).commits_beyond, 0U) << size;
  }
  start_over();
  write_rows(1);
  const std::string over = log();
  ASSERT_EQ(over.size(), whole.size());
  const LogContents contents = read_log_contents(reader_of(over));
  EXPECT_EQ(contents.commits, 1U);
  EXPECT_EQ(contents.commits_beyond, 0U);
}

// Frames that were written before the transaction came to its end stay in the file, after those of the next one.
TEST_F(LogTest, HasNoDamageWhereALargeTransactionWasUndone) {
  writer.run("PRAGMA cache_size = 2");
  writer.run("BEGIN");
  writer.run(
      "INSERT INTO t SELECT randomblob(900) FROM (WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < "
      "60) SELECT i FROM n)");
  writer.run("ROLLBACK");
  write_rows(1);
  const std::string bytes = log();
  ASSERT_GT(bytes.size(), kLogHeaderBytes + 10 * kFrame) << "nothing was spilled";
  const LogContents contents = read_log_contents(reader_of(bytes));
  EXPECT_EQ(contents.commits, 2U);
  EXPECT_EQ(contents.commits_beyond, 0U);
}

TEST_F(LogTest, HasAnIndexThatSaysHowMuchIsCheckpointed) {
  write_rows(3);
  const auto index_now = [&] { return parse_log_index(as_bytes(bytes_of(beside(folder / "test.db", "-shm")))); };
  auto index = index_now();
  ASSERT_TRUE(index);
  EXPECT_EQ(index->frames, 5U);
  EXPECT_EQ(index->checkpointed, 0U);
  EXPECT_EQ(index->salt, parse_log_header(as_bytes(log()))->salt);
  writer.run("PRAGMA wal_checkpoint(PASSIVE)");
  index = index_now();
  ASSERT_TRUE(index);
  EXPECT_EQ(index->checkpointed, 5U);
}

TEST_F(LogTest, HasAnIndexThatIsNotTakenWhileItChanges) {
  std::string bytes = bytes_of(beside(folder / "test.db", "-shm"));
  ASSERT_TRUE(parse_log_index(as_bytes(bytes)));
  EXPECT_FALSE(parse_log_index(as_bytes(bytes).first(kLogIndexHeadBytes - 1)));
  bytes[16] = static_cast<char>(bytes[16] + 1);  // in the first of two copies
  EXPECT_FALSE(parse_log_index(as_bytes(bytes)));
  EXPECT_FALSE(parse_log_index(as_bytes(std::string(32768, '\0'))));
}

}  // namespace
}  // namespace sqlane::cli
