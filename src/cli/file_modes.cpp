#include "cli/file_modes.hpp"

#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

namespace sqlane::cli {
namespace {

enum class Answer : unsigned char { yes, no, depends };

#if defined(__linux__)
Answer answer_of_type(const std::filesystem::path& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) return Answer::yes;
  switch (static_cast<unsigned long>(info.f_type) & 0xffffffffUL) {
    case 0x4d44:      // vfat, msdos
    case 0x2011bab0:  // exfat
    case 0x5346544e:  // ntfs
    case 0x7366746e:  // ntfs3
      return Answer::no;
    case 0x65735546:  // fuse: exfat-fuse, ntfs-3g and others
    case 0x517b:      // smbfs
    case 0xff534d42:  // cifs
    case 0xfe534d42:  // smb3
    case 0x01021997:  // 9p
    case 0x786f4256:  // vboxsf
      return Answer::depends;
    default: return Answer::yes;
  }
}
#else
Answer answer_of_type(const std::filesystem::path& /*folder*/) { return Answer::yes; }
#endif

// True where no file can be made.
bool try_to_change(const std::filesystem::path& folder) {
  constexpr mode_t kMode = 0640;  // not the one that it is made with
  std::string name = (folder / ".sqlane-mode-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) return true;
  struct stat status {};
  const bool is_changed =
      ::fchmod(file, kMode) == 0 && ::fstat(file, &status) == 0 && (status.st_mode & 0777U) == kMode;
  ::close(file);
  ::unlink(name.c_str());
  return is_changed;
}

}  // namespace

bool has_modes_of_files(const std::filesystem::path& folder) {
  const Answer answer = answer_of_type(folder);
  return answer == Answer::depends ? try_to_change(folder) : answer == Answer::yes;
}

}  // namespace sqlane::cli
