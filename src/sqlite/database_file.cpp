#include "sqlite/database_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

#include "sqlane/error.hpp"
#include "sqlite/free_name.hpp"

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

void expect_regular(const fs::path& path, const struct stat& status) {
  if (S_ISDIR(status.st_mode)) refuse(path, "it is a directory");
  if (S_ISLNK(status.st_mode)) refuse(path, "it is a symbolic link; open the file that it points to");
  if (!S_ISREG(status.st_mode)) refuse(path, "it is not a regular file");
}

void expect_shared_memory([[maybe_unused]] const fs::path& path, [[maybe_unused]] const fs::path& folder) {
#if defined(__linux__)
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) == 0 && !supports_wal(static_cast<long>(info.f_type))) {
    refuse(path, "it is on a network file system, where write-ahead logging is not safe");
  }
#endif
}

// SQLite would refuse such a log as well, but only after it has made a -shm
// file. Reading the log drops no locks: those are on the other two files.
// https://sqlite.org/fileformat2.html#wal_file_format
void expect_known_log(const fs::path& path, const fs::path& database) {
  constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit tells the byte order of checksums
  constexpr std::uint32_t kVersion = 3'007'000;
  std::array<unsigned char, 8> header{};
  const fs::path log_path = database.string() + "-wal";
  std::error_code error;
  if (!fs::is_regular_file(log_path, error)) return;
  std::ifstream log(log_path, std::ios::binary);
  if (!log.read(reinterpret_cast<char*>(header.data()), header.size())) return;
  const auto number_at = [&](std::size_t at) {
    return std::uint32_t{header[at]} << 24U | std::uint32_t{header[at + 1]} << 16U |
           std::uint32_t{header[at + 2]} << 8U | std::uint32_t{header[at + 3]};
  };
  if ((number_at(0) & ~1U) == kMagic && number_at(4) != kVersion) {
    refuse(path, "its write-ahead log has a format that this SQLite does not know");
  }
}

// A database has its first page before it has a log. Beside a file that lost all it
// had, the log may be what is left; and SQLite would delete it, even where it only reads.
void expect_no_orphaned_log(const fs::path& path, const fs::path& database) {
  const std::string log = database.string() + "-wal";
  struct stat status {};
  if (::lstat(log.c_str(), &status) != 0 || status.st_size == 0) return;
  if (::lstat(database.c_str(), &status) != 0 || status.st_size != 0) return;
  refuse(path, "it is empty, and SQLite would delete \"" + log +
                   "\", which is not: what was committed last may be in there alone; move that away");
}

}  // namespace

bool supports_wal(long type) noexcept {
  constexpr std::array<long, 4> kNetworkFileSystems{
      0x6969,      // NFS
      0x517b,      // SMB
      0xff534d42,  // CIFS
      0xfe534d42,  // SMB2
  };
  for (const long network : kNetworkFileSystems) {
    if (type == network) return false;
  }
  return true;
}

fs::path prepare_database_file(const fs::path& path, OpenMode mode) {
  fs::path absolute = absolute_path(path);
  struct stat status {};
  if (::lstat(absolute.c_str(), &status) != 0) {
    if (errno != ENOENT || mode != OpenMode::create) refuse(path, describe(errno));
    expect_shared_memory(path, absolute.parent_path());
    create_file(absolute);
    return absolute;
  }
  expect_regular(path, status);
  if (::faccessat(AT_FDCWD, absolute.c_str(), R_OK, AT_EACCESS) != 0)
    refuse(path, "it cannot be read: " + describe(errno));
  if (mode != OpenMode::read_only && ::faccessat(AT_FDCWD, absolute.c_str(), W_OK, AT_EACCESS) != 0)
    refuse(path, "it cannot be written: " + describe(errno));
  expect_shared_memory(path, absolute.parent_path());
  expect_known_log(path, absolute);
  if (mode == OpenMode::read_only) expect_no_orphaned_log(path, absolute);
  return absolute;
}

fs::path find_database_file(const fs::path& path) {
  fs::path absolute = absolute_path(path);
  struct stat status {};
  if (::lstat(absolute.c_str(), &status) != 0) refuse(path, describe(errno));
  expect_regular(path, status);
  if (::faccessat(AT_FDCWD, absolute.c_str(), R_OK, AT_EACCESS) != 0) {
    refuse(path, "it cannot be read: " + describe(errno));
  }
  expect_known_log(path, absolute);
  expect_no_orphaned_log(path, absolute);
  return absolute;
}

fs::path place_for_database(const fs::path& path, Existing existing) {
  fs::path absolute = absolute_path(path);
  struct stat status {};
  if (::lstat(absolute.c_str(), &status) == 0) {
    expect_regular(path, status);
    if (existing == Existing::refuse) refuse(path, "there is a file already", "make");
  } else if (errno != ENOENT) {
    refuse(path, describe(errno));
  }
  for (const char* suffix : {"-journal", "-wal"}) {
    const std::string beside = absolute.string() + suffix;
    if (::lstat(beside.c_str(), &status) != 0 || status.st_size == 0) continue;
    refuse(
        path,
        "\"" + beside + "\" is left there from another database, and SQLite would take it for this one's; move it away",
        "make");
  }
  return absolute;
}

FileIdentity identity_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) refuse(path, describe(errno));
  return {.device = static_cast<std::uint64_t>(status.st_dev), .inode = static_cast<std::uint64_t>(status.st_ino)};
}

}  // namespace sqlane::detail
