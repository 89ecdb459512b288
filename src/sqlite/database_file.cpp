#include "sqlite/database_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

#include "sqlane/error.hpp"
#include "sqlite/free_name.hpp"
#include "sqlite/medium.hpp"
#include "sqlite/mounted_file_system.hpp"
#include "sqlite/opening_reasons.hpp"
#include "sqlite/shared_mapping.hpp"
#include "sqlite/side_files.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOwnerOnly = 0600;

[[noreturn]] void refuse(const fs::path& path, const std::string& reason, const char* what = "open") {
  // A NUL byte would end the message early.
  std::string shown = path.string();
  for (char& c : shown) c = c == '\0' ? '?' : c;
  throw OpenError(std::string("cannot ") + what + " \"" + shown + "\": " + reason, {.database = shown});
}

std::string describe(int error) { return std::generic_category().message(error); }

// The file appears under its name already closed: created beside it, then named,
// which fails when another process was first. Where the file system cannot do
// that, it is created in place.
void create_file(const fs::path& path) {
  std::string beside = path.string() + ".XXXXXX";
  const int file = ::mkostemp(beside.data(), O_CLOEXEC);
  if (file < 0) refuse(path, "the file cannot be created: " + describe(errno));
  ::fchmod(file, kOwnerOnly);  // whatever the umask
  ::close(file);
  int error = take_free_name(beside, path);
  if (error == 0) return;
  ::unlink(beside.c_str());
  if (error != EEXIST) {
    const int direct = ::open(path.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, kOwnerOnly);
    error = direct >= 0 ? 0 : errno;
    if (direct >= 0) {
      ::fchmod(direct, kOwnerOnly);
      ::close(direct);
    }
  }
  if (error != 0 && error != EEXIST) refuse(path, "the file cannot be created: " + describe(error));
}

fs::path absolute_path(const fs::path& path) {
  if (path.empty()) refuse(path, "the path is empty");
  if (path.native().find('\0') != std::string::npos) refuse(path, "the path holds a NUL byte");
  if (!path.has_filename()) refuse(path, "the path names a directory");
  std::error_code error;
  const fs::path given_folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path folder = fs::canonical(given_folder, error);
  if (error) refuse(path, "its folder cannot be reached: " + error.message());
  return folder / path.filename();
}

void expect_regular(const fs::path& path, const fs::path& absolute, const struct stat& status) {
  if (S_ISDIR(status.st_mode)) refuse(path, "it is a directory");
  if (S_ISLNK(status.st_mode)) {
    std::error_code error;
    const fs::path target = fs::read_symlink(absolute, error);
    refuse(path,
           "it is a symbolic link; open the file that it points to" +
               (error ? std::string() : ", \"" + (absolute.parent_path() / target).lexically_normal().string() + "\""));
  }
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a regular file");
}

// How many names a file has. File systems in user space tell what was so a moment ago, unless they are told to look.
std::uint64_t count_names([[maybe_unused]] const fs::path& absolute, const struct stat& status) {
#if defined(AT_STATX_FORCE_SYNC)
  struct statx now {};
  if (status.st_nlink > 1 &&
      ::statx(AT_FDCWD, absolute.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_NLINK, &now) == 0 &&
      (now.stx_mask & STATX_NLINK) != 0) {
    return now.stx_nlink;
  }
#endif
  return status.st_nlink;
}

// By each name SQLite would keep another log, and lose what is in the others. A new
// file can have two for a moment, while it is empty; and where nobody can write,
// there are no logs: systems that share whole trees of files have many names there.
void expect_one_name(const fs::path& path, const fs::path& absolute, const struct stat& status, OpenMode mode) {
  const std::uint64_t names = count_names(absolute, status);
  if (names < 2 || status.st_size == 0) return;
  struct statvfs info {};
  if (mode == OpenMode::read_only && ::statvfs(absolute.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0) return;
  refuse(path,
         "it has " + std::to_string(names) +
             " names (hard links), and what is written by one of them would be lost by another; delete the others, "
             "or copy it to a file of its own");
}

// SQLite takes a file of such a name for another database's log or journal.
void expect_own_name(const fs::path& path, const fs::path& absolute, const char* what) {
  const fs::path owner = owner_by_name(absolute);
  if (owner.empty()) return;
  refuse(path, "by its name it is a part of \"" + owner.string() + "\", and SQLite would use it so; take another name",
         what);
}

void expect_own_beside(const fs::path& path, const fs::path& absolute) {
  if (const std::string fault = fault_beside(absolute); !fault.empty()) refuse(path, fault);
}

// A write-ahead log that processes share takes memory that they share.
void expect_shareable(const fs::path& path, const fs::path& folder, OpenMode mode) {
  constexpr const char* kRemedy = "Locking::exclusive, for one process alone, works there";
  if (const std::optional<std::string> type = network_type_of(folder)) {
    refuse(path,
           "it is on a file system (" + *type +
               ") that other machines or mounts can reach, where processes cannot share a write-ahead log safely; " +
               kRemedy);
  }
  if (mode == OpenMode::read_only || can_map_shared(folder)) return;
  refuse(path,
         std::string("its file system cannot map files into memory that processes share, as a write-ahead log needs "
                     "it; ") +
             kRemedy);
}

// SQLite keeps others out only of a file that it could write to, and would undo a
// transaction there that was left half-way.
void expect_lockable(const fs::path& path, const fs::path& absolute) {
  if (medium_of(absolute) == Medium::fixed) return;
  if (::faccessat(AT_FDCWD, absolute.c_str(), W_OK, AT_EACCESS) != 0) {
    refuse(path, "others can be kept out of it, as Locking::exclusive does, only where it can be written: " +
                     describe(errno));
  }
  if (!has_hot_journal(absolute)) return;
  throw OpenError("cannot open \"" + path.string() + "\": " + reason_of_place(absolute, SQLITE_READONLY_ROLLBACK, 0),
                  {.code = SQLITE_READONLY, .extended_code = SQLITE_READONLY_ROLLBACK, .database = path.string()});
}

}  // namespace

fs::path prepare_database_file(const fs::path& path, OpenMode mode, Locking locking) {
  fs::path absolute = absolute_path(path);
  expect_own_name(path, absolute, "open");
  expect_own_beside(path, absolute);
  struct stat status {};
  const bool exists = ::lstat(absolute.c_str(), &status) == 0;
  if (!exists && (errno != ENOENT || mode != OpenMode::create)) refuse(path, describe(errno));
  if (exists) {
    expect_regular(path, absolute, status);
    if (::faccessat(AT_FDCWD, absolute.c_str(), R_OK, AT_EACCESS) != 0)
      refuse(path, "it cannot be read: " + describe(errno));
    if (mode != OpenMode::read_only && ::faccessat(AT_FDCWD, absolute.c_str(), W_OK, AT_EACCESS) != 0)
      refuse(path, "it cannot be written: " + describe(errno));
    if (mode == OpenMode::read_only && locking == Locking::exclusive) expect_lockable(path, absolute);
    expect_one_name(path, absolute, status, mode);
  }
  if (locking == Locking::shared) expect_shareable(path, absolute.parent_path(), mode);
  if (!exists) create_file(absolute);
  return absolute;
}

fs::path find_database_file(const fs::path& path) {
  fs::path absolute = absolute_path(path);
  expect_own_name(path, absolute, "open");
  expect_own_beside(path, absolute);
  struct stat status {};
  if (::lstat(absolute.c_str(), &status) != 0) refuse(path, describe(errno));
  expect_regular(path, absolute, status);
  if (::faccessat(AT_FDCWD, absolute.c_str(), R_OK, AT_EACCESS) != 0) {
    refuse(path, "it cannot be read: " + describe(errno));
  }
  expect_one_name(path, absolute, status, OpenMode::read_only);
  return absolute;
}

fs::path place_for_database(const fs::path& path, Existing existing) {
  fs::path absolute = absolute_path(path);
  struct stat status {};
  if (::lstat(absolute.c_str(), &status) == 0) {
    expect_regular(path, absolute, status);
    if (existing == Existing::refuse) refuse(path, "there is a file already", "make");
  } else if (errno != ENOENT) {
    refuse(path, describe(errno));
  }
  expect_own_name(path, absolute, "make");
  if (const std::string leftovers = leftovers_beside(absolute); !leftovers.empty()) refuse(path, leftovers, "make");
  return absolute;
}

FileIdentity identity_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) refuse(path, describe(errno));
  return {.device = static_cast<std::uint64_t>(status.st_dev), .inode = static_cast<std::uint64_t>(status.st_ino)};
}

}  // namespace sqlane::detail
