#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "process.hpp"

namespace sqlane::filesystems {

// The other program, with the database open. Use from one thread at a time.
class Program {
 public:
  Program(const std::vector<std::string>& command, const std::filesystem::path& file, bool is_read_only);

  // Runs a statement. Returns false, and keeps what the program said, when it is an error.
  bool run(const std::string& sql);

  void insert();  // writes 20 rows, or as many as it can
  void close();   // ends its input, and waits for its end
  void kill();

  void note(const std::string& text) { failures_.insert(text); }

  [[nodiscard]] const std::string& value() const { return value_; }  // its newest answer that has one
  [[nodiscard]] const std::vector<std::int64_t>& rows() const { return rows_; }
  [[nodiscard]] std::string summary() const;

 private:
  bool is_answered();

  Process process_;
  bool is_open_ = false;
  std::string value_{};
  std::set<std::string> failures_{};
  std::vector<std::int64_t> rows_{};
};

}  // namespace sqlane::filesystems
