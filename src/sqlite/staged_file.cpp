#include "sqlite/staged_file.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/free_name.hpp"

namespace sqlane::detail {
namespace {

constexpr mode_t kOwnerOnly = 0600;

std::string describe(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what, int error) {
  const std::string message = what + " \"" + file.string() + "\" failed: " + describe(error);
  if (error == ENOSPC || error == EDQUOT) throw DiskFullError(message, {.database = file.string()});
  throw IoError(message, {.database = file.string()});
}

// Waits until what has been done to it is on the disk. 0, or the error.
int sync_at(const std::filesystem::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return errno;
  int error = ::fsync(file) == 0 ? 0 : errno;
#if defined(POSIX_FADV_DONTNEED)
  if (error == 0 && (flags & O_DIRECTORY) == 0) ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
#endif
  if (error == EINVAL && (flags & O_DIRECTORY) != 0) error = 0;  // a file system that has nothing to sync in folders
  ::close(file);
  return error;
}

// 0, or the error; EEXIST where there is one of that name. Where the file system cannot name it at once, the name is
// taken first, and then replaced.
int rename_to_free_name(const char* from, const char* to) {
  if (const int error = take_free_name(from, to); error == 0 || error == EEXIST) return error;
  const int taken = ::open(to, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, kOwnerOnly);
  if (taken < 0) return errno;
  ::close(taken);
  if (::rename(from, to) == 0) return 0;
  const int error = errno;
  ::unlink(to);
  return error;
}

}  // namespace

StagedFile::StagedFile(std::filesystem::path destination) : destination_(std::move(destination)) {
  // Not made from the destination's name, which may be as long as a name can be.
  std::string name = (destination_.parent_path() / ".sqlane-copy-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) {
    throw OpenError("cannot make \"" + destination_.string() + "\": no file can be created there: " + describe(errno),
                    {.database = destination_.string()});
  }
  ::fchmod(file, kOwnerOnly);  // whatever the umask
  ::close(file);
  path_ = name;
}

StagedFile::~StagedFile() {
  if (is_staged_) ::unlink(path_.c_str());
}

void StagedFile::sync() {
  if (const int error = sync_at(path_, O_RDWR); error != 0) fail(destination_, "syncing", error);
}

void StagedFile::appear(Existing existing) {
  int error = 0;
  if (existing == Existing::replace) {
    error = ::rename(path_.c_str(), destination_.c_str()) == 0 ? 0 : errno;
  } else {
    error = rename_to_free_name(path_.c_str(), destination_.c_str());
  }
  if (error == EEXIST) {
    throw OpenError("cannot make \"" + destination_.string() + "\": there is a file already",
                    {.database = destination_.string()});
  }
  if (error != 0) fail(destination_, "naming", error);
  is_staged_ = false;
  error = sync_at(destination_.parent_path(), O_RDONLY | O_DIRECTORY);
  if (error == 0) return;
  if (existing == Existing::refuse) ::unlink(destination_.c_str());
  fail(destination_, "syncing the folder of", error);
}

}  // namespace sqlane::detail
