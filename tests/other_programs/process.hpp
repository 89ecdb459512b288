#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>

namespace sqlane::filesystems {

// A process with pipes to its standard input and from its standard output. This process must have no threads. Use from
// one thread at a time.
class Process {
 public:
  explicit Process(const std::function<void()>& body);
  ~Process();  // kills it
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void say(const std::string& line) const;

  // Nothing when none comes in time, or when the process has ended.
  std::optional<std::string> line(std::chrono::milliseconds limit);

  void close_input();

  // SIGKILL, for its children too.
  void kill();

 private:
  pid_t child_ = 0;
  int input_ = -1;
  int output_ = -1;
  std::string unread_;
};

}  // namespace sqlane::filesystems
