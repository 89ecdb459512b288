#include "cli/sync_probe.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace sqlane::cli {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr off_t kBlocksOverwritten = 256;

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw std::filesystem::filesystem_error("cannot measure the disk", path,
                                          std::error_code(errno, std::generic_category()));
}

// Open for its scope.
class SyncedFile {
 public:
  explicit SyncedFile(std::filesystem::path path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)) {
    if (file_ < 0) fail(path_);
  }
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;
  ~SyncedFile() {
    ::close(file_);
    ::unlink(path_.c_str());
  }

  void write_block(off_t block) {
    std::array<char, kBlock> bytes{};
    bytes.fill(static_cast<char>(++written_));
    if (::pwrite(file_, bytes.data(), bytes.size(), block * off_t{kBlock}) != ssize_t{kBlock}) fail(path_);
  }
  void sync() {
    if (::fdatasync(file_) != 0) fail(path_);
  }

 private:
  std::filesystem::path path_;
  int file_;
  unsigned written_ = 0;
};

std::vector<std::pair<double, double>> curve_of(const Histogram& histogram) {
  std::vector<std::pair<double, double>> curve;
  for (int percent = 1; percent <= 99; ++percent) {
    const double share = percent / 100.0;
    curve.emplace_back(share, std::chrono::duration<double>(histogram.quantile(share)).count());
  }
  return curve;
}

}  // namespace

SyncMeasurement measure_syncs(const std::filesystem::path& folder, const Measuring& measuring) {
  SyncedFile file(folder / "synced");
  off_t next = 0;
  const Timed append = time_steps(measuring, 1, [&](std::size_t) {
    return [&] {
      file.write_block(next++);
      file.sync();
    };
  });
  for (; next < kBlocksOverwritten; ++next) file.write_block(next);
  file.sync();
  off_t place = 0;
  const Timed overwrite = time_steps(measuring, 1, [&](std::size_t) {
    return [&] {
      file.write_block(place++ % kBlocksOverwritten);
      file.sync();
    };
  });
  return {.append = latency_of(append.histogram),
          .overwrite = latency_of(overwrite.histogram),
          .append_curve = curve_of(append.histogram),
          .overwrite_curve = curve_of(overwrite.histogram)};
}

}  // namespace sqlane::cli
