#include "sqlite/free_name.hpp"

#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

namespace sqlane::detail {

// File systems in user space say by any error that they lack one of the ways: EIO, EXDEV, EINVAL, ENOSYS, EPERM.
int take_free_name(const std::filesystem::path& from, const std::filesystem::path& to) noexcept {
#if defined(RENAME_NOREPLACE)
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno == EEXIST) return EEXIST;
#endif
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

}  // namespace sqlane::detail
