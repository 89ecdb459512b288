#include "migrate/migration_lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

constexpr mode_t kOwnerOnly = 0600;
constexpr mode_t kReadAndWrite = 0666;

[[noreturn]] void fail(const std::filesystem::path& file, int error) {
  throw IoError(
      "the lock of a migration, \"" + file.string() + "\", cannot be had: " + std::generic_category().message(error),
      {.database = file.string()});
}

// One that a crash leaves behind must not keep out another user who may write to
// the database. Where this is not allowed, the file is somebody else's, who did it.
void share_like(const struct stat& database, int descriptor) {
  struct stat made {};
  const mode_t mode = database.st_mode & kReadAndWrite;
  if (::fstat(descriptor, &made) != 0 || (made.st_mode & kReadAndWrite) == mode) return;
  if (::geteuid() == 0) static_cast<void>(!::fchown(descriptor, database.st_uid, database.st_gid));
  static_cast<void>(!::fchmod(descriptor, mode));
}

// Whoever gives a lock back deletes its file first; so what was locked may be a
// file that nobody finds any more.
bool is_still_at(const std::filesystem::path& file, int descriptor) {
  struct stat locked {};
  struct stat found {};
  return ::fstat(descriptor, &locked) == 0 && ::stat(file.c_str(), &found) == 0 && locked.st_ino == found.st_ino &&
         locked.st_dev == found.st_dev;
}

}  // namespace

std::optional<MigrationLock> MigrationLock::try_acquire(const std::filesystem::path& database) {
  if (database.empty()) return MigrationLock({}, -1);
  std::filesystem::path file = database;
  file += "-migration";
  struct stat found {};
  if (::stat(database.c_str(), &found) != 0) fail(file, errno);
  while (true) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly);
    if (descriptor < 0) fail(file, errno);
    share_like(found, descriptor);
    const int error = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (error == 0 && is_still_at(file, descriptor)) return MigrationLock(std::move(file), descriptor);
    ::close(descriptor);
    if (error == EWOULDBLOCK) return std::nullopt;
    if (error != 0 && error != EINTR) fail(file, error);
  }
}

MigrationLock::MigrationLock(std::filesystem::path file, int descriptor) noexcept
    : file_(std::move(file)), descriptor_(descriptor) {}

MigrationLock::MigrationLock(MigrationLock&& other) noexcept
    : file_(std::move(other.file_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

MigrationLock::~MigrationLock() {
  if (descriptor_ < 0) return;
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

}  // namespace sqlane::detail
