#include "sqlite/shared_mapping.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlane::detail {
namespace {

constexpr std::size_t kIndexBytes = 32768;  // of the smallest index

bool fill(int file) {
  static constexpr std::array<char, kIndexBytes> kZeros{};
  return ::write(file, kZeros.data(), kZeros.size()) == static_cast<ssize_t>(kZeros.size());
}

// 0, or the errno of the mapping; nothing where no such file can be made or filled.
std::optional<int> try_to_map(const std::filesystem::path& folder) {
  std::string name = (folder / ".sqlane-map-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) return std::nullopt;
  ::unlink(name.c_str());
  std::optional<int> error;
  if (fill(file)) {
    void* const mapping = ::mmap(nullptr, kIndexBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    error = mapping == MAP_FAILED ? errno : 0;
    if (mapping != MAP_FAILED) ::munmap(mapping, kIndexBytes);
  }
  ::close(file);
  return error;
}

}  // namespace

bool proves_unmappable(int error) noexcept {
  switch (error) {
    case 0:
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return false;
    default: return true;
  }
}

bool can_map_shared(const std::filesystem::path& folder) {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  static std::atomic<std::uint64_t> proven{kNone};  // the device where it worked last
  struct stat status {};
  const std::uint64_t device = ::stat(folder.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_dev) : kNone;
  if (device != kNone && proven.load(std::memory_order_relaxed) == device) return true;
  const std::optional<int> error = try_to_map(folder);
  if (error == 0) proven.store(device, std::memory_order_relaxed);
  return !error || !proves_unmappable(*error);
}

}  // namespace sqlane::detail
