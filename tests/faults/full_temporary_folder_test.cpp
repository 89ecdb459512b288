#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

#include "sqlite/system_cause.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

// A file system without blocks has no room.
TEST(FullTemporaryFolder, IsNamedWithTheVariableThatMovesIt) {
  if (::access("/proc", W_OK | X_OK) != 0) GTEST_SKIP() << "SQLite takes a folder that it can write to";
  const testing::TemporaryFolder folder;
  ASSERT_EQ(::setenv("SQLITE_TMPDIR", "/proc", 1), 0);
  const std::string said = detail::name_full_folder((folder / "app.db").string());
  ASSERT_EQ(::unsetenv("SQLITE_TMPDIR"), 0);
  EXPECT_EQ(said,
            "; there is no room left in the folder for temporary files, \"/proc\": "
            "set the environment variable SQLITE_TMPDIR to another one");
}

}  // namespace
}  // namespace sqlane
