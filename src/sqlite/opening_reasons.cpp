#include "sqlite/opening_reasons.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sqlite3.h>
#include <system_error>
#include <unistd.h>

#include "sqlite/remedies.hpp"
#include "sqlite/shared_mapping.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShipping = "a copy made by backup_to, or sqlane backup, has no log and can be read anywhere";

std::string beside(const fs::path& database, const char* suffix) { return database.string() + suffix; }

std::string quoted(const std::string& path) { return "\"" + path + "\""; }

bool is_there(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// The log or its index could not be made.
std::string reason_of_folder(const fs::path& database, int error) {
  const std::string log = beside(database, "-wal");
  const bool lacks_index = is_there(log);
  const std::string missing = lacks_index ? beside(database, "-shm") : log;
  if (is_there(missing)) return "";
  // SQLite tries again to read the file that it could not make, and keeps the errno of that.
  if (::faccessat(AT_FDCWD, database.parent_path().c_str(), W_OK | X_OK, AT_EACCESS) != 0) error = errno;
  const std::string what = quoted(missing) + ", which SQLite needs beside a database that has a write-ahead log, ";
  switch (error) {
    case ENOSPC:
    case EDQUOT: return what + "cannot be made, because the disk is full; make room on it";
    case EROFS:
      return what +
             "cannot be made, because its file system is mounted read-only here, while others may write to it by "
             "another mount; " +
             kShipping;
    case EACCES:
    case EPERM:
      return what + "cannot be made, because its folder is write-protected; " +
             (lacks_index ? "Locking::exclusive works where the file itself can be written, or copy both to another "
                            "folder"
                          : std::string("copy it to another folder; ") + kShipping);
    default: return "";
  }
}

}  // namespace

std::string reason_of_place(const fs::path& database, int extended_code, int error) {
  switch (extended_code) {
    case SQLITE_IOERR_SHMMAP:
      if (!proves_unmappable(error)) return "";
      return "its file system cannot map files into memory that processes share, as a write-ahead log needs it; "
             "Locking::exclusive, for one process alone, works there";
    case SQLITE_IOERR_SHMSIZE:
      if (error != ENOSPC && error != EDQUOT && error != 0) return "";
      return "the disk is full, so that there is no room for " + quoted(beside(database, "-shm")) +
             ", the index of its write-ahead log; make room on it, or use Locking::exclusive, which needs no such file";
    case SQLITE_CANTOPEN: return reason_of_folder(database, error);
    case SQLITE_READONLY_DIRECTORY:
      return std::string(
                 "its folder is write-protected, but there have to be files beside a database that has a "
                 "write-ahead log, even to read it; copy it to another folder; ") +
             kShipping;
    case SQLITE_READONLY_ROLLBACK: return std::string(kHalfDone) + ", or copy both files to where that can be done";
    default: return "";
  }
}

}  // namespace sqlane::detail
