#include "sqlite/database_file.hpp"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/expect_error.hpp"
#include "support/permissions.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

using testing::OrdinaryUser;
using testing::Umask;

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// The reason that is given for refusing `path`.
std::string refusal(const fs::path& path) {
  return testing::error_of<OpenError>([&] { static_cast<void>(prepare_database_file(path)); }).what();
}

using testing::mentions;

class DatabaseFile : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

TEST_F(DatabaseFile, IsMadeEmptyForItsOwnerAlone) {
  const fs::path path = folder_ / "new.db";
  EXPECT_EQ(prepare_database_file(path), path);
  EXPECT_TRUE(fs::is_regular_file(path));
  EXPECT_EQ(fs::file_size(path), 0U);
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(DatabaseFile, HasItsModeWhateverTheUmask) {
  for (const mode_t mask : {0U, 022U, 077U, 0177U, 0777U}) {
    const Umask umask(mask);
    const fs::path path = folder_ / ("new" + std::to_string(mask));
    EXPECT_EQ(mode_of(prepare_database_file(path)), 0600U) << std::oct << mask;
  }
}

TEST_F(DatabaseFile, IsLeftAsItIsWhenItExists) {
  const fs::path path = folder_ / "old.db";
  std::ofstream(path) << "content";
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(prepare_database_file(path), path);
  EXPECT_EQ(fs::file_size(path), 7U);
  EXPECT_EQ(mode_of(path), 0644U);
  EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(DatabaseFile, IsNamedByAnAbsolutePath) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  EXPECT_EQ(prepare_database_file("a.db"), folder_ / "a.db");
  EXPECT_EQ(prepare_database_file("./b.db"), folder_ / "b.db");
  fs::create_directory("sub");
  EXPECT_EQ(prepare_database_file("sub/../c.db"), folder_ / "c.db");
  fs::current_path(before);
}

TEST_F(DatabaseFile, MayCarryAUriForItsName) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  const fs::path path = prepare_database_file("file:x?vfs=unix-none");
  fs::current_path(before);
  EXPECT_EQ(path, folder_ / "file:x?vfs=unix-none");
  EXPECT_TRUE(fs::exists(folder_ / "file:x?vfs=unix-none"));
  EXPECT_FALSE(fs::exists(folder_ / "x"));
}

TEST_F(DatabaseFile, MayCarryOddCharactersInItsName) {
  for (const char* name : {"a b.db", "ä.db", "'; DROP TABLE t; --", "a%20b", "a#b", "-x", ":memory:"}) {
    EXPECT_EQ(prepare_database_file(folder_ / name), folder_ / name);
    EXPECT_TRUE(fs::exists(folder_ / name)) << name;
  }
}

TEST_F(DatabaseFile, MayCarryTheLongestNameThatSqliteCanUse) {
  // A name ends at 255 characters, and the rollback journal of the switch to WAL adds eight.
  const fs::path path = folder_ / std::string(247, 'a');
  EXPECT_NO_THROW(static_cast<void>(prepare_database_file(path)));
}

TEST_F(DatabaseFile, WorksInASymlinkedFolder) {
  fs::create_directory(folder_ / "real");
  fs::create_directory_symlink(folder_ / "real", folder_ / "link");
  EXPECT_EQ(prepare_database_file(folder_ / "link" / "a.db"), folder_ / "real" / "a.db");
  EXPECT_EQ(prepare_database_file(folder_ / "link" / "a.db"), folder_ / "real" / "a.db");
}

TEST_F(DatabaseFile, IsRefusedAsASymlink) {
  std::ofstream(folder_ / "real.db") << "content";
  fs::create_symlink(folder_ / "real.db", folder_ / "link.db");
  fs::create_symlink(folder_ / "nowhere.db", folder_ / "dangling.db");
  EXPECT_TRUE(mentions(refusal(folder_ / "link.db"), "symbolic link", (folder_ / "real.db").string()));
  fs::create_symlink("../real.db", folder_ / "relative.db");
  EXPECT_TRUE(mentions(refusal(folder_ / "relative.db"), (folder_.path().parent_path() / "real.db").string()));
  EXPECT_TRUE(mentions(refusal(folder_ / "dangling.db"), "symbolic link"));
  EXPECT_FALSE(fs::exists(folder_ / "nowhere.db"));
}

TEST_F(DatabaseFile, IsRefusedWithoutAName) {
  EXPECT_TRUE(mentions(refusal(""), "empty"));
  EXPECT_TRUE(mentions(refusal(folder_.path().string() + "/"), "directory"));
}

TEST_F(DatabaseFile, IsRefusedWithANulByte) {
  const std::string path = folder_.path().string() + "/a" + std::string(1, '\0') + "b";
  const std::string message = refusal(path);
  EXPECT_TRUE(mentions(message, "NUL")) << message;
  EXPECT_TRUE(mentions(message, "/a?b")) << message;
  EXPECT_EQ(files_in(folder_.path()), 0U);
}

TEST_F(DatabaseFile, IsRefusedWithoutItsFolder) {
  EXPECT_TRUE(mentions(refusal(folder_ / "no" / "a.db"), "folder cannot be reached"));
  std::ofstream(folder_ / "file") << "";
  EXPECT_TRUE(mentions(refusal(folder_ / "file" / "a.db"), ": "));
  EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(DatabaseFile, IsRefusedAsAnythingButAFile) {
  fs::create_directory(folder_ / "sub");
  EXPECT_TRUE(mentions(refusal(folder_ / "sub"), "directory"));
  EXPECT_TRUE(mentions(refusal(folder_ / "."), "directory"));
  EXPECT_TRUE(mentions(refusal(folder_ / ".."), "directory"));
  EXPECT_TRUE(mentions(refusal("/dev/null"), "not a regular file"));

  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(mentions(refusal(folder_ / "pipe"), "not a regular file"));

  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = folder_ / "socket";
  ASSERT_LT(name.size(), sizeof(address.sun_path));
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(mentions(refusal(folder_ / "socket"), "not a regular file"));
  ::close(socket);
}

TEST_F(DatabaseFile, IsRefusedWithoutPermission) {
  const fs::path open = folder_ / "open";
  fs::create_directory(open);
  for (const auto& [name, mode] : {std::pair("read_only.db", 0444), std::pair("write_only.db", 0222)}) {
    std::ofstream(open / name) << "content";
    ASSERT_EQ(::chmod((open / name).c_str(), static_cast<mode_t>(mode)), 0);
  }
  fs::create_directory(folder_ / "locked");
  std::ofstream(folder_ / "locked" / "old.db") << "content";
  fs::create_directory(folder_ / "fixed");
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
  ASSERT_EQ(::chmod((folder_ / "locked").c_str(), 0), 0);
  ASSERT_EQ(::chmod((folder_ / "fixed").c_str(), 0555), 0);
  {
    const OrdinaryUser user;
    EXPECT_TRUE(mentions(refusal(open / "read_only.db"), "cannot be written: Permission denied"));
    EXPECT_TRUE(mentions(refusal(open / "write_only.db"), "cannot be read: Permission denied"));
    EXPECT_TRUE(mentions(refusal(folder_ / "locked" / "old.db"), "Permission denied"));
    EXPECT_TRUE(mentions(refusal(folder_ / "locked" / "new.db"), "Permission denied"));
    EXPECT_TRUE(mentions(refusal(folder_ / "fixed" / "new.db"), "cannot be created: Permission denied"));
    EXPECT_EQ(mode_of(prepare_database_file(open / "new.db")), 0600U);
  }
  ASSERT_EQ(::chmod((folder_ / "locked").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((folder_ / "fixed").c_str(), 0700), 0);
}

// SQLite would delete the log.
TEST_F(DatabaseFile, ThatIsEmptyOrGoneBesideALogIsRefused) {
  const fs::path path = folder_ / "lost.db";
  std::ofstream(path.string() + "-wal") << "what is left";
  const auto expect_refused = [&](std::string_view reason) {
    for (const OpenMode mode : {OpenMode::create, OpenMode::existing, OpenMode::read_only}) {
      const auto error = testing::error_of<OpenError>([&] { static_cast<void>(prepare_database_file(path, mode)); });
      EXPECT_TRUE(mentions(error, reason, "lost.db-wal", "move that away")) << error.what();
    }
    const auto error = testing::error_of<OpenError>([&] { static_cast<void>(find_database_file(path)); });
    EXPECT_TRUE(mentions(error, reason, "lost.db-wal", "move that away")) << error.what();
  };
  expect_refused("it is not there");
  EXPECT_FALSE(fs::exists(path));
  std::ofstream(path) << "";
  expect_refused("it is empty");
  std::ofstream(path) << "content";
  EXPECT_EQ(prepare_database_file(path), path);
  EXPECT_EQ(prepare_database_file(path, OpenMode::read_only), path);
}

TEST_F(DatabaseFile, IsRefusedWithTwoNames) {
  std::ofstream(folder_ / "a.db") << "content";
  fs::create_hard_link(folder_ / "a.db", folder_ / "b.db");
  for (const char* name : {"a.db", "b.db"}) {
    EXPECT_TRUE(mentions(refusal(folder_ / name), "2 names (hard links)", "copy it")) << refusal(folder_ / name);
    const auto error = testing::error_of<OpenError>([&] { static_cast<void>(find_database_file(folder_ / name)); });
    EXPECT_TRUE(mentions(error, "hard links")) << error.what();
  }
  fs::remove(folder_ / "b.db");
  EXPECT_NO_THROW(static_cast<void>(prepare_database_file(folder_ / "a.db")));
}

// Where files can only be named by links, one that is being made has two names for a moment.
TEST_F(DatabaseFile, MayHaveTwoNamesWhileItIsEmpty) {
  std::ofstream(folder_ / "a.db") << "";
  fs::create_hard_link(folder_ / "a.db", folder_ / "a.db.Xy4f9Q");
  EXPECT_EQ(prepare_database_file(folder_ / "a.db"), folder_ / "a.db");
}

TEST_F(DatabaseFile, IsRefusedByTheNameOfAnothersLog) {
  for (const char* side : {"-wal", "-shm", "-journal"}) {
    const fs::path path = (folder_ / "app.db").string() + side;
    EXPECT_EQ(place_for_database(path, Existing::refuse), path);
    EXPECT_EQ(prepare_database_file(path), path) << "there is nothing of which it is a part";
    fs::remove(path);
    std::ofstream(folder_ / "app.db") << "content";
    EXPECT_TRUE(mentions(refusal(path), "cannot open", "a part of", "app.db\"", "another name")) << refusal(path);
    for (const Existing existing : {Existing::refuse, Existing::replace}) {
      const auto error = testing::error_of<OpenError>([&] { static_cast<void>(place_for_database(path, existing)); });
      EXPECT_TRUE(mentions(error, "cannot make", "a part of", "another name")) << error.what();
    }
    EXPECT_FALSE(fs::exists(path));
    fs::remove(folder_ / "app.db");
  }
}

TEST_F(DatabaseFile, SaysWhichPathWasRefused) {
  const fs::path path = folder_ / "no" / "a.db";
  const auto error = testing::error_of<OpenError>([&] { static_cast<void>(prepare_database_file(path)); });
  EXPECT_EQ(error.database(), path.string());
  EXPECT_TRUE(mentions(error, path.string())) << error.what();
}

}  // namespace
}  // namespace sqlane::detail
