#include "sqlite/medium.hpp"

#include <sqlite3.h>
#include <string_view>
#include <system_error>

#include "sqlite/mounted_file_system.hpp"

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

// Takes no locks. https://sqlite.org/vfs.html#standard_unix_vfses
constexpr const char* kVfsWithoutLocks = "unix-none";

bool has_content(const std::string& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  return !error && bytes > 0;
}

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("/-_.~").find(c) != std::string_view::npos;
}

// https://sqlite.org/uri.html#the_uri_path
std::string uri_of(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string uri = "file://";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(c)) {
      uri += c;
    } else {
      uri += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return uri;
}

}  // namespace

Medium medium_of(const fs::path& database) {
  return is_read_only_to_all(database.parent_path()) ? Medium::fixed : Medium::writable;
}

FixedOpening opening_on_fixed_medium(const fs::path& database) {
  const std::string& path = database.native();
  if (has_content(path + "-wal") || has_content(path + "-journal")) {
    return {.name = path, .vfs = kVfsWithoutLocks, .pragma = "PRAGMA locking_mode=EXCLUSIVE"};
  }
  return {.name = uri_of(path) + "?immutable=1", .flags = SQLITE_OPEN_URI};
}

}  // namespace sqlane::detail
