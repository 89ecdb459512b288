#include "sqlite/side_files.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;
using testing::beside;
using testing::mentions;
using testing::write_bytes;

constexpr std::string_view kSides[] = {"-wal", "-shm", "-journal"};

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xffU);
  return bytes;
}

// The header of a journal that is to be rolled back into a database that had so many pages.
std::string journal_for(std::uint32_t pages, std::string_view magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7") {
  std::string bytes = std::string(magic) + big_endian(1) + big_endian(0x1234) + big_endian(pages) + big_endian(512);
  bytes.resize(512);
  return bytes;
}

std::string log_of_version(std::uint32_t version) { return big_endian(0x377f0682) + big_endian(version); }

class SideFiles : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  const fs::path database_ = folder_ / "app.db";
};

TEST_F(SideFiles, ThatAreSqlitesOwnAreNoFault) {
  EXPECT_EQ(fault_beside(database_), "") << "nothing is there at all";
  write_bytes(database_, "content");
  EXPECT_EQ(fault_beside(database_), "");
  write_bytes(beside(database_, "-wal"), log_of_version(3'007'000));
  write_bytes(beside(database_, "-shm"), std::string(32768, '\0'));
  write_bytes(beside(database_, "-journal"), journal_for(3));
  EXPECT_EQ(fault_beside(database_), "");
}

TEST_F(SideFiles, OfAnotherKindAreAFault) {
  write_bytes(database_, "content");
  write_bytes(folder_ / "elsewhere", "");
  for (const std::string_view side : kSides) {
    const fs::path file = beside(database_, side);
    const auto expect_fault = [&](std::string_view reason) {
      const std::string fault = fault_beside(database_);
      EXPECT_TRUE(mentions(fault, file.string(), reason, "move it away")) << side << ": " << fault;
      EXPECT_TRUE(mentions(leftovers_beside(database_), file.string(), "move it away")) << side;
      fs::remove(file);
    };
    fs::create_symlink("elsewhere", file);
    expect_fault("symbolic link");
    fs::create_symlink("nowhere", file);
    expect_fault("symbolic link");
    fs::create_directory(file);
    expect_fault("not a regular file");
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    expect_fault("not a regular file");
    fs::create_hard_link(folder_ / "elsewhere", file);
    expect_fault("second name");
  }
}

TEST_F(SideFiles, OfALaterFormatAreAFault) {
  write_bytes(database_, "content");
  write_bytes(beside(database_, "-wal"), log_of_version(3'007'001));
  EXPECT_TRUE(mentions(fault_beside(database_), "does not know"));
}

TEST_F(SideFiles, ThatAreDatabasesAreAFault) {
  write_bytes(database_, "content");
  write_bytes(beside(database_, "-wal"), std::string("SQLite format 3\0and so on", 25));
  EXPECT_TRUE(mentions(fault_beside(database_), "is a database"));
}

// SQLite fills the database before its log.
TEST_F(SideFiles, AreOrphansWithoutTheirDatabase) {
  for (const bool is_there : {false, true}) {
    if (is_there) write_bytes(database_, "");
    const std::string_view reason = is_there ? "it is empty" : "it is not there";
    write_bytes(beside(database_, "-wal"), "what is left");
    EXPECT_TRUE(mentions(fault_beside(database_), reason, "app.db-wal", "move that away"));
    write_bytes(beside(database_, "-wal"), "");
    EXPECT_EQ(fault_beside(database_), "") << "another process has just opened it";
    fs::remove(beside(database_, "-wal"));

    write_bytes(beside(database_, "-journal"), journal_for(3));
    EXPECT_TRUE(mentions(fault_beside(database_), reason, "app.db-journal", "move that away"));
    fs::remove(beside(database_, "-journal"));
    write_bytes(beside(database_, "-shm"), std::string(32768, '\0'));
    EXPECT_EQ(fault_beside(database_), "") << "an index holds no data";
    fs::remove(beside(database_, "-shm"));
  }
}

TEST_F(SideFiles, OfAFirstTransactionThatWasKilledAreNoOrphans) {
  constexpr std::string_view kNotSynced("\0\0\0\0\0\0\0\0", 8);
  for (const std::string& journal : {journal_for(0), journal_for(3, kNotSynced), std::string(), std::string(3, 'x')}) {
    write_bytes(database_, "");
    write_bytes(beside(database_, "-journal"), journal);
    EXPECT_EQ(fault_beside(database_), "");
  }
}

TEST_F(SideFiles, ThatHoldSomethingAreLeftovers) {
  EXPECT_EQ(leftovers_beside(database_), "");
  write_bytes(beside(database_, "-shm"), "an index");
  write_bytes(beside(database_, "-wal"), "");
  EXPECT_EQ(leftovers_beside(database_), "");
  for (const std::string_view side : {"-wal", "-journal"}) {
    write_bytes(beside(database_, side), "something");
    EXPECT_TRUE(mentions(leftovers_beside(database_), beside(database_, side).string(), "another database")) << side;
    fs::remove(beside(database_, side));
  }
}

TEST_F(SideFiles, BelongToAnotherByTheirName) {
  for (const std::string_view side : kSides) EXPECT_EQ(owner_by_name(beside(database_, side)), "") << side;
  write_bytes(database_, "");
  for (const std::string_view side : kSides) EXPECT_EQ(owner_by_name(beside(database_, side)), database_) << side;
  EXPECT_EQ(owner_by_name(database_), "");
  EXPECT_EQ(owner_by_name(folder_ / "-wal"), "") << "no name is left";
  EXPECT_EQ(owner_by_name(folder_ / "app.db-walk"), "");
}

}  // namespace
}  // namespace sqlane::detail
