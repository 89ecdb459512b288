// A FUSE file system that passes everything to another folder, and fails when told so:
//
//   sqlane_faulty_fs SOURCE MOUNT [direct_io]    stays in the foreground until it is unmounted
//
// What is written to the file .faults in the root of MOUNT says what fails from then on:
//
//   none              nothing; what hangs goes on
//   hang              every call waits until then
//   lost              every call fails with ENODEV, as after pulling out a disk
//   CALL once N       the Nth CALL from now on fails with EIO: read, write, fsync, open, getattr
//   CALL always N     likewise, and all after it
//
// With direct_io files cannot be mapped with MAP_SHARED.
#define FUSE_USE_VERSION 31

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

constexpr std::string_view kSwitches = "/.faults";

// What fails. Safe to use from any thread.
class Faults {
 public:
  void set(const std::string& text) {
    const std::lock_guard lock(mutex_);
    std::istringstream words(text);
    std::string how;
    nth_ = 0;
    words >> call_ >> how >> nth_;
    is_once_ = how == "once";
    released_.notify_all();
  }

  // 0, or what a call has to fail with.
  int next(std::string_view call) {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [&] { return call_ != "hang"; });
    if (call_ == "lost") return -ENODEV;
    if (call_ != call) return 0;
    --nth_;
    return nth_ == 0 || (nth_ < 0 && !is_once_) ? -EIO : 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  std::string call_ = "none";
  bool is_once_ = false;
  int nth_ = 0;
};

Faults faults;
std::string source;
bool is_direct = false;

std::string below(const char* path) { return source + path; }

constexpr std::uint64_t kSwitchesOpened = ~std::uint64_t{0};

bool is_switches(const char* path, const fuse_file_info* info = nullptr) {
  return info != nullptr ? info->fh == kSwitchesOpened : path != nullptr && path == kSwitches;
}

// The switches, and the way to them, work at all times.
int fault_of(std::string_view call, const char* path) {  // `path` is null where a file is open
  if (path != nullptr && (is_switches(path) || std::string_view(path) == "/")) return 0;
  return faults.next(call);
}

int result(long long value) { return value < 0 ? -errno : static_cast<int>(value); }

int opened(const fuse_file_info* info) { return static_cast<int>(info->fh); }

void* start(fuse_conn_info*, fuse_config* config) {
  config->use_ino = 1;
  config->hard_remove = 1;
  config->nullpath_ok = 1;
  config->direct_io = is_direct ? 1 : 0;
  return nullptr;
}

int get_attributes(const char* path, struct stat* found, fuse_file_info* info) {
  if (is_switches(path, info)) {
    *found = {};
    found->st_mode = S_IFREG | 0600;
    found->st_nlink = 1;
    return 0;
  }
  if (const int fault = fault_of("getattr", path); fault != 0) return fault;
  return result(info != nullptr ? ::fstat(opened(info), found) : ::lstat(below(path).c_str(), found));
}

int open_file(const char* path, fuse_file_info* info) {
  if (is_switches(path)) {
    info->fh = kSwitchesOpened;
    return 0;
  }
  if (const int fault = fault_of("open", path); fault != 0) return fault;
  const int file = ::open(below(path).c_str(), info->flags | O_CLOEXEC);
  if (file < 0) return -errno;
  info->fh = static_cast<std::uint64_t>(file);
  return 0;
}

int create_file(const char* path, mode_t mode, fuse_file_info* info) {
  if (const int fault = fault_of("open", path); fault != 0) return fault;
  const int file = ::open(below(path).c_str(), info->flags | O_CREAT | O_CLOEXEC, mode);
  if (file < 0) return -errno;
  info->fh = static_cast<std::uint64_t>(file);
  return 0;
}

int close_file(const char* path, fuse_file_info* info) {
  if (!is_switches(path, info)) ::close(opened(info));
  return 0;
}

int read_file(const char* path, char* data, std::size_t size, off_t offset, fuse_file_info* info) {
  if (is_switches(path, info)) return 0;
  if (const int fault = fault_of("read", path); fault != 0) return fault;
  return result(::pread(opened(info), data, size, offset));
}

int write_file(const char* path, const char* data, std::size_t size, off_t offset, fuse_file_info* info) {
  if (is_switches(path, info)) {
    faults.set({data, size});
    return static_cast<int>(size);
  }
  if (const int fault = fault_of("write", path); fault != 0) return fault;
  return result(::pwrite(opened(info), data, size, offset));
}

int sync_file(const char* path, int, fuse_file_info* info) {
  if (is_switches(path, info)) return 0;
  if (const int fault = fault_of("fsync", path); fault != 0) return fault;
  return result(::fsync(opened(info)));
}

int set_size(const char* path, off_t size, fuse_file_info* info) {
  if (is_switches(path, info)) return 0;
  if (const int fault = fault_of("truncate", path); fault != 0) return fault;
  return result(info != nullptr ? ::ftruncate(opened(info), size) : ::truncate(below(path).c_str(), size));
}

int set_mode(const char* path, mode_t mode, fuse_file_info* info) {
  if (const int fault = fault_of("chmod", path); fault != 0) return fault;
  return result(info != nullptr ? ::fchmod(opened(info), mode) : ::chmod(below(path).c_str(), mode));
}

int set_owner(const char* path, uid_t user, gid_t group, fuse_file_info* info) {
  if (const int fault = fault_of("chown", path); fault != 0) return fault;
  return result(info != nullptr ? ::fchown(opened(info), user, group) : ::lchown(below(path).c_str(), user, group));
}

int set_times(const char* path, const timespec times[2], fuse_file_info* info) {
  if (is_switches(path, info)) return 0;
  if (const int fault = fault_of("utimens", path); fault != 0) return fault;
  return result(info != nullptr ? ::futimens(opened(info), times)
                                : ::utimensat(AT_FDCWD, below(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int make_folder(const char* path, mode_t mode) {
  if (const int fault = fault_of("mkdir", path); fault != 0) return fault;
  return result(::mkdir(below(path).c_str(), mode));
}

int remove_file(const char* path) {
  if (const int fault = fault_of("unlink", path); fault != 0) return fault;
  return result(::unlink(below(path).c_str()));
}

int remove_folder(const char* path) {
  if (const int fault = fault_of("rmdir", path); fault != 0) return fault;
  return result(::rmdir(below(path).c_str()));
}

int link_file(const char* from, const char* to) {
  if (const int fault = fault_of("link", from); fault != 0) return fault;
  return result(::link(below(from).c_str(), below(to).c_str()));
}

int rename_file(const char* from, const char* to, unsigned flags) {
  if (const int fault = fault_of("rename", from); fault != 0) return fault;
  return result(::renameat2(AT_FDCWD, below(from).c_str(), AT_FDCWD, below(to).c_str(), flags));
}

int get_room(const char* path, struct statvfs* room) {
  if (const int fault = fault_of("statfs", path); fault != 0) return fault;
  return result(::statvfs(below(path).c_str(), room));
}

int open_folder(const char* path, fuse_file_info* info) {
  if (const int fault = fault_of("opendir", path); fault != 0) return fault;
  const int folder = ::open(below(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -errno;
  info->fh = static_cast<std::uint64_t>(folder);
  return 0;
}

int close_folder(const char*, fuse_file_info* info) {
  ::close(opened(info));
  return 0;
}

int read_folder(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info* info, fuse_readdir_flags) {
  DIR* folder = ::fdopendir(::dup(opened(info)));
  if (folder == nullptr) return -errno;
  ::rewinddir(folder);
  while (const dirent* entry = ::readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): a stream of this call's own
    fill(buffer, entry->d_name, nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  }
  ::closedir(folder);
  return 0;
}

fuse_operations operations() {
  fuse_operations all{};
  all.init = start;
  all.getattr = get_attributes;
  all.open = open_file;
  all.create = create_file;
  all.release = close_file;
  all.read = read_file;
  all.write = write_file;
  all.fsync = sync_file;
  all.truncate = set_size;
  all.chmod = set_mode;
  all.chown = set_owner;
  all.utimens = set_times;
  all.mkdir = make_folder;
  all.unlink = remove_file;
  all.rmdir = remove_folder;
  all.link = link_file;
  all.rename = rename_file;
  all.statfs = get_room;
  all.opendir = open_folder;
  all.releasedir = close_folder;
  all.readdir = read_folder;
  return all;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fputs("sqlane_faulty_fs SOURCE MOUNT [direct_io]\n", stderr);
    return 2;
  }
  source = arguments[1];
  is_direct = count > 3 && std::string_view(arguments[3]) == "direct_io";
  std::string program = arguments[0];
  std::string mount = arguments[2];
  std::string foreground = "-f";
  char* passed[] = {program.data(), foreground.data(), mount.data()};
  const fuse_operations all = operations();
  return fuse_main(static_cast<int>(std::size(passed)), passed, &all, nullptr);
}
