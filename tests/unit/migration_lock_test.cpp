#include "migrate/migration_lock.hpp"

#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <unistd.h>
#include <utility>

#include "support/expect_error.hpp"
#include "support/files.hpp"
#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

class MigrationLockTest : public ::testing::Test {
 protected:
  MigrationLockTest() { testing::write_bytes(database_, ""); }

  [[nodiscard]] std::optional<MigrationLock> acquire() const { return MigrationLock::try_acquire(database_); }

  testing::TemporaryFolder folder_;
  const fs::path database_ = folder_ / "app.db";
  const fs::path file_ = folder_ / "app.db-migration";
};

TEST_F(MigrationLockTest, IsHadByOneAtATime) {
  auto first = acquire();
  ASSERT_TRUE(first);
  EXPECT_TRUE(fs::exists(file_));
  EXPECT_FALSE(acquire());
  first.reset();
  EXPECT_TRUE(acquire());
}

TEST_F(MigrationLockTest, LeavesNoFileAndNoDescriptor) {
  const std::size_t before = testing::count_open_files();
  for (int i = 0; i < 3; ++i) {
    const auto lock = acquire();
    EXPECT_FALSE(acquire());
  }
  EXPECT_EQ(testing::count_open_files(), before);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(MigrationLockTest, TakesTheFileThatACrashHasLeft) {
  {
    const int left = ::open(file_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ::close(left);
  }
  EXPECT_TRUE(acquire());
  EXPECT_FALSE(fs::exists(file_));
}

// Somebody has opened the file before it was deleted, and locks it afterwards.
TEST_F(MigrationLockTest, IsNotHadThroughAFileThatNobodyFinds) {
  auto lock = acquire();
  fs::remove(file_);
  const auto other = acquire();
  EXPECT_TRUE(other) << "the file is another one";
  lock.reset();
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(MigrationLockTest, MayBeHadByWhoeverMayWriteToTheDatabase) {
  fs::permissions(database_, fs::perms(0664));
  const auto lock = acquire();
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms(0664));
}

TEST_F(MigrationLockTest, MovesWithItsOwner) {
  auto lock = acquire();
  {
    const MigrationLock moved = *std::move(lock);
    lock.reset();
    EXPECT_FALSE(acquire());
  }
  EXPECT_TRUE(acquire());
}

TEST_F(MigrationLockTest, IsOfNothingInMemory) {
  const auto first = MigrationLock::try_acquire({});
  EXPECT_TRUE(first);
  EXPECT_TRUE(MigrationLock::try_acquire({}));
}

TEST_F(MigrationLockTest, SaysWhyItCannotBeHad) {
  const auto error =
      testing::error_of<IoError>([&] { static_cast<void>(MigrationLock::try_acquire(folder_ / "nowhere/app.db")); });
  EXPECT_TRUE(testing::mentions(error, "No such file or directory")) << error.what();
  fs::create_symlink(folder_ / "elsewhere", file_);
  EXPECT_THROW(static_cast<void>(acquire()), IoError);
}

}  // namespace
}  // namespace sqlane::detail
