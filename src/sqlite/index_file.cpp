#include "sqlite/index_file.hpp"

#include <exception>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#endif

#include "sqlite/free_name.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

bool is_on_btrfs([[maybe_unused]] const fs::path& database) noexcept {
#if defined(__linux__)
  constexpr long kBtrfs = 0x9123683e;
  struct statfs info {};
  return ::statfs(database.c_str(), &info) == 0 && static_cast<long>(info.f_type) == kBtrfs;
#else
  return false;
#endif
}

void keep_in_place([[maybe_unused]] int file) noexcept {
#if defined(__linux__)
  int flags = 0;
  if (::ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_NOCOW_FL;
  ::ioctl(file, FS_IOC_SETFLAGS, &flags);
#endif
}

// As SQLite gives them to what it makes.
bool take_permissions(int file, const struct stat& database) noexcept {
  if (::geteuid() == 0 && ::fchown(file, database.st_uid, database.st_gid) != 0) return false;
  return ::fchmod(file, database.st_mode & 0777U) == 0;
}

}  // namespace

// It gets its name when it is complete: another process may use it from then on.
void make_index(const fs::path& database) noexcept try {
  const std::string name = database.string() + "-shm";
  struct stat status {};
  if (::lstat(name.c_str(), &status) == 0 || ::stat(database.c_str(), &status) != 0) return;
  std::string beside = (database.parent_path() / ".sqlane-index-XXXXXX").string();
  const int file = ::mkostemp(beside.data(), O_CLOEXEC);
  if (file < 0) return;
  keep_in_place(file);
  const bool is_ready = take_permissions(file, status);
  ::close(file);
  if (!is_ready || take_free_name(beside, name) != 0) ::unlink(beside.c_str());
} catch (const std::exception&) {  // no memory: SQLite makes one
}

void prepare_index(const fs::path& database) noexcept {
  if (is_on_btrfs(database)) make_index(database);
}

}  // namespace sqlane::detail
