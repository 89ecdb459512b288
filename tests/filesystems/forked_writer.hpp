#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sqlane/options.hpp>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sqlane::filesystems {

// What a child has to say of one write, or of its opening.
struct Report {
  enum class Kind : std::int32_t {
    acknowledged,
    failed,    // a write, with a typed error
    untyped,   // likewise, with another one
    refused,   // the opening: the last report
    finished,  // the last report
  };
  Kind kind = Kind::finished;
  bool began_after = false;  // the write began after ForkedWriter::mark()
  std::int64_t id = 0;
  char said[256] = {};  // the error
};

// A child process whose threads write rows, and report each one once it is acknowledged. This process must have no
// threads and no Database. Use from one thread at a time.
class ForkedWriter {
 public:
  struct Plan {
    int threads = 1;
    std::int64_t first_id = 1;
    std::int64_t rows_of_thread = 1'000'000;  // then it ends by itself
  };
  ForkedWriter(const std::filesystem::path& file, const Options& options, const Plan& plan);
  ~ForkedWriter();  // kills it
  ForkedWriter(const ForkedWriter&) = delete;
  ForkedWriter& operator=(const ForkedWriter&) = delete;

  // Nothing when none comes in time, or when the child has ended.
  std::optional<Report> next(std::chrono::milliseconds limit);

  // From here on writes report that they began after this.
  void mark();

  // SIGKILL, and waits for its end. What it had reported can still be asked for.
  void kill();

  // The signal that ended it, before kill() did; 0 when there was none.
  [[nodiscard]] int died_of() const { return died_of_; }

 private:
  pid_t child_ = 0;
  int reports_ = -1;
  int died_of_ = 0;
  std::atomic<bool>* mark_ = nullptr;  // shared with the child
};

}  // namespace sqlane::filesystems
