#include "sqlite/side_files.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlane::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLog = "-wal";
constexpr std::string_view kIndex = "-shm";
constexpr std::string_view kJournal = "-journal";
constexpr std::array kSuffixes{kLog, kIndex, kJournal};

std::optional<struct stat> look_at(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

fs::path beside(const fs::path& database, std::string_view suffix) { return database.string() + std::string(suffix); }

std::string quoted(const fs::path& path) { return "\"" + path.string() + "\""; }

// What keeps it from being SQLite's own file.
std::string oddness_of(const struct stat& status) {
  if (S_ISLNK(status.st_mode)) return "is a symbolic link";
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (status.st_nlink > 1) return "has a second name (a hard link)";
  return "";
}

// The first bytes of a log or a journal. Reading those drops no locks: SQLite's are on the other files.
class Head {
 public:
  explicit Head(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return;
    const ssize_t count = ::read(file, bytes_.data(), bytes_.size());
    ::close(file);
    if (count > 0) size_ = static_cast<std::size_t>(count);
  }

  [[nodiscard]] bool has(std::size_t bytes) const { return size_ >= bytes; }
  [[nodiscard]] bool begins_with(std::string_view text) const {
    return has(text.size()) && std::memcmp(bytes_.data(), text.data(), text.size()) == 0;
  }
  [[nodiscard]] std::uint32_t number_at(std::size_t at) const {
    return std::uint32_t{bytes_[at]} << 24U | std::uint32_t{bytes_[at + 1]} << 16U |
           std::uint32_t{bytes_[at + 2]} << 8U | std::uint32_t{bytes_[at + 3]};
  }

 private:
  std::array<unsigned char, 20> bytes_{};
  std::size_t size_ = 0;
};

// https://sqlite.org/fileformat2.html#wal_file_format
bool is_of_later_format(const Head& log) {
  constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit tells the byte order of checksums
  constexpr std::uint32_t kVersion = 3'007'000;
  return log.has(8) && (log.number_at(0) & ~1U) == kMagic && log.number_at(4) != kVersion;
}

bool is_hot(const Head& journal) { return journal.begins_with("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"); }

// To be rolled back, into a database that had pages before.
bool restores_pages(const Head& journal) {
  constexpr std::size_t kPagesBefore = 16;
  return is_hot(journal) && journal.has(kPagesBefore + 4) && journal.number_at(kPagesBefore) != 0;
}

std::string orphaned(const fs::path& database, const fs::path& file) {
  const std::optional<struct stat> status = look_at(database);
  if (status && status->st_size != 0) return "";
  return std::string(status ? "it is empty" : "it is not there") + ", and SQLite would delete " + quoted(file) +
         ", which is not empty: what was committed last may be in there alone; move that away, or put the database "
         "back "
         "that it belongs to";
}

}  // namespace

// What is beside it is looked at first: SQLite fills a database before its log, and deletes the log before others can
// take the database away.
std::string fault_beside(const fs::path& database) {
  for (const std::string_view suffix : kSuffixes) {
    const fs::path file = beside(database, suffix);
    const std::optional<struct stat> status = look_at(file);
    if (!status) continue;
    if (const std::string oddness = oddness_of(*status); !oddness.empty()) {
      return quoted(file) + " " + oddness + ", and SQLite would take it for its own; move it away";
    }
    if (status->st_size == 0) continue;
    if (suffix == kJournal) {
      if (restores_pages(Head(file))) {
        if (std::string fault = orphaned(database, file); !fault.empty()) return fault;
      }
    } else if (suffix == kLog) {
      if (std::string fault = orphaned(database, file); !fault.empty()) return fault;
      const Head log(file);
      if (is_of_later_format(log)) return "its write-ahead log has a format that this SQLite does not know";
      if (log.begins_with("SQLite format 3")) {
        return quoted(file) + " is a database, and SQLite would take it for a log and overwrite it; move it away";
      }
    }
  }
  return "";
}

std::string leftovers_beside(const fs::path& database) {
  for (const std::string_view suffix : kSuffixes) {
    const fs::path file = beside(database, suffix);
    const std::optional<struct stat> status = look_at(file);
    if (!status) continue;
    const bool holds_nothing = status->st_size == 0 || suffix == kIndex;
    if (oddness_of(*status).empty() && holds_nothing) continue;
    return quoted(file) + " is left there from another database, and SQLite would take it for this one's; move it away";
  }
  return "";
}

bool has_hot_journal(const fs::path& database) { return is_hot(Head(beside(database, kJournal))); }

fs::path owner_by_name(const fs::path& file) {
  const std::string& name = file.native();
  for (const std::string_view suffix : kSuffixes) {
    if (!name.ends_with(suffix)) continue;
    const fs::path owner = name.substr(0, name.size() - suffix.size());
    if (owner.has_filename() && look_at(owner)) return owner;
  }
  return {};
}

}  // namespace sqlane::detail
