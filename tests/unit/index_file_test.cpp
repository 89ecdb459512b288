#include "sqlite/index_file.hpp"

#include <filesystem>
#include <sys/stat.h>

#include "support/files.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::contents_of;
using testing::TemporaryFolder;
using testing::write_bytes;

class IndexFile : public ::testing::Test {
 protected:
  IndexFile() {
    write_bytes(file_, "content");
    EXPECT_EQ(::chmod(file_.c_str(), 0640), 0);
  }

  TemporaryFolder folder_;
  const fs::path file_ = folder_ / "app.db";
  const fs::path index_ = folder_ / "app.db-shm";
};

TEST_F(IndexFile, IsEmptyAndAsPrivateAsTheDatabase) {
  make_index(file_);
  EXPECT_EQ(contents_of(folder_.path()).size(), 2U);
  struct stat status {};
  ASSERT_EQ(::stat(index_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  EXPECT_EQ(status.st_size, 0);
}

TEST_F(IndexFile, IsLeftAloneWhereItIsThere) {
  write_bytes(index_, "in use");
  make_index(file_);
  EXPECT_EQ(bytes_of(index_), "in use");
  fs::remove(index_);
  fs::create_symlink(folder_ / "missing", index_);
  make_index(file_);
  EXPECT_TRUE(fs::is_symlink(index_));
  EXPECT_FALSE(fs::exists(folder_ / "missing"));
}

TEST_F(IndexFile, IsNotMadeWithoutADatabase) {
  make_index(folder_ / "other.db");
  EXPECT_EQ(contents_of(folder_.path()).size(), 1U);
}

}  // namespace
}  // namespace sqlane::detail
