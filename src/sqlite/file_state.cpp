#include "sqlite/file_state.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

namespace sqlane::detail {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
constexpr std::uint64_t kBlock = 512;  // of st_blocks

FileState state_by_stat(int folder, const char* path, int flags) noexcept {
  struct stat status {};
  if (::fstatat(folder, path, &status, flags) != 0) return {.error = errno};
  return {.identity = {.device = static_cast<std::uint64_t>(status.st_dev),
                       .inode = static_cast<std::uint64_t>(status.st_ino)},
          .names = static_cast<std::uint64_t>(status.st_nlink),
          .size = static_cast<std::uint64_t>(status.st_size),
          .room = static_cast<std::uint64_t>(status.st_blocks) * kBlock,
          .changed = status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec,
          .touched = status.st_ctim.tv_sec * kNanoseconds + status.st_ctim.tv_nsec};
}

FileState state_at(int folder, const char* path, int flags, [[maybe_unused]] Times times) noexcept {
#if defined(STATX_MNT_ID)
  unsigned int mask = STATX_INO | STATX_NLINK | STATX_SIZE | STATX_BLOCKS | STATX_MNT_ID;
  if (times == Times::asked) mask |= STATX_MTIME | STATX_CTIME;
  struct statx status {};
  if (::statx(folder, path, flags | AT_STATX_SYNC_AS_STAT, mask, &status) == 0) {
    return {
        .identity = {.device = ::gnu_dev_makedev(status.stx_dev_major, status.stx_dev_minor), .inode = status.stx_ino},
        .mount = (status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0,
        .names = status.stx_nlink,
        .size = status.stx_size,
        .room = status.stx_blocks * kBlock,
        .changed = status.stx_mtime.tv_sec * kNanoseconds + status.stx_mtime.tv_nsec,
        .touched = status.stx_ctime.tv_sec * kNanoseconds + status.stx_ctime.tv_nsec};
  }
  if (errno != ENOSYS && errno != EPERM) return {.error = errno};  // a kernel, or a sandbox, without that call
#endif
  return state_by_stat(folder, path, flags);
}

}  // namespace

FileState state_of(const std::filesystem::path& path, Times times) noexcept {
  return state_at(AT_FDCWD, path.c_str(), 0, times);
}

TimeStamps time_stamps_at([[maybe_unused]] const std::filesystem::path& path) noexcept {
#if defined(__linux__)
  constexpr long kZfs = 0x2fc12fc1;
  constexpr std::array<long, 6> kLocal{
      0xef53,      // ext2, ext3, ext4
      0x58465342,  // xfs
      0x9123683e,  // btrfs
      0x01021994,  // tmpfs
      0xf2f52010,  // f2fs
      kZfs,
  };
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return {};
  for (const long local : kLocal) {
    if (static_cast<long>(info.f_type) == local) return {.are_exact = true, .tell_of_names = local != kZfs};
  }
#endif
  return {};
}

void FileHandle::open([[maybe_unused]] const std::filesystem::path& path,
                      [[maybe_unused]] const FileIdentity& expected) noexcept {
  close();
#if defined(O_PATH) && defined(AT_EMPTY_PATH)
  if (!time_stamps_at(path).tell_of_names) return;
  descriptor_ = ::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor_ < 0) return;
  const FileState found = state(Times::left_out);
  if (found.error != 0 || found.identity != expected) close();
#endif
}

void FileHandle::close() noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

FileState FileHandle::state(Times times) const noexcept {
#if defined(AT_EMPTY_PATH)
  return state_at(descriptor_, "", AT_EMPTY_PATH, times);
#else
  return {.error = ENOSYS};
#endif
}

}  // namespace sqlane::detail
