#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <sqlane/options.hpp>
#include <string>
#include <vector>

#include "process.hpp"

namespace sqlane::filesystems {

// sqlane in a process of its own, which writes a row each 2 ms, reads it, and tells. The log is copied back each 100
// pages, and locks are waited for 300 ms, so that a short time shows much. Use from one thread at a time.
class Writer {
 public:
  Writer(const std::filesystem::path& file, Locking locking);

  void await(std::size_t count);  // until so many more rows are acknowledged, or no more come
  void await_error();             // or 3 s
  void hear();                    // what has been told
  void close();                   // has it close its database, and end
  void kill();

  [[nodiscard]] const std::vector<std::int64_t>& acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::string summary() const;

 private:
  bool take(std::chrono::milliseconds limit);

  Process process_;
  std::vector<std::int64_t> acknowledged_{};
  std::size_t unread_ = 0;
  std::map<std::string, int> errors_{};
};

}  // namespace sqlane::filesystems
