#include "cli/log_files.hpp"

#include <array>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlane::cli {
namespace {

int open_to_read(const std::filesystem::path& database, const char* suffix) {
  // Never waits, whatever has that name.
  return ::open((database.string() + suffix).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

std::size_t read_at(int file, std::uint64_t offset, std::span<std::byte> into) {
  const ssize_t count = file < 0 ? -1 : ::pread(file, into.data(), into.size(), static_cast<off_t>(offset));
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

}  // namespace

LogFile::LogFile(const std::filesystem::path& database) : file_(open_to_read(database, "-wal")) {}

LogFile::~LogFile() {
  if (file_ >= 0) ::close(file_);
}

std::uint64_t LogFile::size() const {
  struct stat status {};
  return file_ >= 0 && ::fstat(file_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

ReadLog LogFile::reader() const {
  return [file = file_](std::uint64_t offset, std::span<std::byte> into) { return read_at(file, offset, into); };
}

std::optional<LogIndexHead> read_log_index(const std::filesystem::path& database) {
  const int file = open_to_read(database, "-shm");
  if (file < 0) return std::nullopt;
  std::array<std::byte, kLogIndexHeadBytes> bytes{};
  const std::size_t size = read_at(file, 0, bytes);
  ::close(file);
  return parse_log_index(std::span(bytes).first(size));
}

}  // namespace sqlane::cli
