#include "sqlite/shared_mapping.hpp"

#include <cerrno>
#include <filesystem>

#include "support/open_files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

TEST(SharedMapping, IsImpossibleForWhatTheFileSystemSaysAlone) {
  for (const int error : {ENODEV, EINVAL, EACCES, EPERM, EIO, ENOSYS, EOPNOTSUPP}) {
    EXPECT_TRUE(proves_unmappable(error)) << error;
  }
  for (const int passing : {0, ENOMEM, EAGAIN, ENFILE, EMFILE, EINTR}) {
    EXPECT_FALSE(proves_unmappable(passing)) << passing;
  }
}

TEST(SharedMapping, IsTriedWithoutATrace) {
  const testing::TemporaryFolder folder;
  const std::size_t open = testing::count_open_files();
  EXPECT_TRUE(can_map_shared(folder.path()));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(testing::count_open_files(), open);
}

TEST(SharedMapping, IsNotDeniedWhereItCannotBeTried) {
  const testing::TemporaryFolder folder;
  EXPECT_TRUE(can_map_shared(folder / "missing"));
  EXPECT_TRUE(can_map_shared("/proc"));
}

}  // namespace
}  // namespace sqlane::detail
