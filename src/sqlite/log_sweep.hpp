#pragma once

#include <filesystem>

namespace sqlane::detail {

// Reading a database in WAL mode makes a log and its index, which a connection
// that only reads cannot remove, nor one that could not be opened. One of these,
// made before such a connection and outliving it, removes what was not there: an
// empty log, and the index; under the lock that nobody gets while another
// connection is there. It copies nothing: a log that holds something is left to
// those who write. https://sqlite.org/walformat.html#files_on_disk
class LogSweep {
 public:
  explicit LogSweep(std::filesystem::path database);
  LogSweep(const LogSweep&) = delete;
  LogSweep& operator=(const LogSweep&) = delete;
  ~LogSweep();

  // Leaves it to the connection that there is now.
  void dismiss() noexcept { is_dismissed_ = true; }

 private:
  const std::filesystem::path database_;
  const bool had_log_;
  const bool had_index_;
  bool is_dismissed_ = false;
};

}  // namespace sqlane::detail
