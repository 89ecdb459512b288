#include "sqlite/system_cause.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <sqlite3.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace sqlane::detail {
namespace {

bool is_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

bool is_gone(int error) {
  switch (error) {
    case EIO:
    case ENXIO:
    case ENODEV:
    case ENOTCONN:
    case ESTALE:
    case ESHUTDOWN: return true;
    default: return false;
  }
}

std::string words_for(int error) {
  std::string words = ": " + std::generic_category().message(error);
  if (error == EFBIG) words += " (a limit of the file system, or of the process)";
  if (is_gone(error)) words += ": is the disk still there?";
  return words;
}

int last_error(sqlite3* connection, int which) noexcept {
  sqlite3_file* file = nullptr;
  int error = 0;
  if (sqlite3_file_control(connection, "main", which, &file) != SQLITE_OK) return 0;
  if (file == nullptr || file->pMethods == nullptr) return 0;
  return file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK ? error : 0;
}

// The index of the log is not among the files that SQLite keeps an errno for.
bool is_of_index(int code) {
  switch (code) {
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMLOCK:
    case SQLITE_IOERR_SHMMAP: return true;
    default: return false;
  }
}

constexpr std::uint64_t kRoom = 1024UL * 1024;  // bytes

bool has_room(const std::filesystem::path& folder) {
  struct statvfs room {};
  if (::statvfs(folder.c_str(), &room) != 0) return true;
  return static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize >= kRoom;
}

// The first one that can be written to, in SQLite's order.
// https://sqlite.org/tempfiles.html#temporary_file_storage_locations
std::filesystem::path temporary_folder() {
  const std::array<const char*, 6> folders{
      std::getenv("SQLITE_TMPDIR"), std::getenv("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp", "."};
  for (const char* folder : folders) {
    std::error_code ignored;
    if (folder == nullptr || !std::filesystem::is_directory(folder, ignored)) continue;
    if (::access(folder, W_OK | X_OK) == 0) return folder;
  }
  return ".";
}

}  // namespace

SystemCause cause_of(int code, int error) {
  const int primary = code & 0xff;
  SystemCause cause;
  if (primary == SQLITE_FULL) {
    cause.wrote_nothing = true;
  } else if (primary == SQLITE_IOERR && is_full(error)) {
    cause = {.kind = ErrorKind::disk_full, .words = words_for(error), .wrote_nothing = code == SQLITE_IOERR_WRITE};
  } else if (primary == SQLITE_CORRUPT && is_gone(error)) {
    cause = {.kind = ErrorKind::io, .words = ", because reading failed" + words_for(error)};
  } else if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && error != 0) {
    cause.words = words_for(error);
  }
  return cause;
}

int system_error_of(sqlite3* connection, int code) noexcept {
  const int primary = code & 0xff;
  if (primary != SQLITE_IOERR && primary != SQLITE_CORRUPT && primary != SQLITE_CANTOPEN) return 0;
  if (primary != SQLITE_CANTOPEN && !is_of_index(code)) {
    for (const int which : {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER}) {
      if (const int error = last_error(connection, which); error != 0) return error;
    }
  }
  return primary == SQLITE_CORRUPT ? 0 : sqlite3_system_errno(connection);
}

bool pads_commits(sqlite3* connection) noexcept {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return true;
  if (file == nullptr || file->pMethods == nullptr) return true;
  return (file->pMethods->xDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0;
}

std::string name_full_folder(const std::string& database) {
  const std::filesystem::path folder = std::filesystem::path(database).parent_path();
  if (!has_room(folder)) return "; there is no room left in \"" + folder.string() + "\"";
  const std::filesystem::path temporary = temporary_folder();
  if (has_room(temporary)) return "";
  return "; there is no room left in the folder for temporary files, \"" + temporary.string() +
         "\": set the environment variable SQLITE_TMPDIR to another one";
}

}  // namespace sqlane::detail
