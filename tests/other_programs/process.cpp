#include "process.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../filesystems/folder.hpp"

namespace sqlane::filesystems {

Process::Process(const std::function<void()>& body) {
  int input[2], output[2];
  expect(::pipe2(input, O_CLOEXEC) == 0 && ::pipe2(output, O_CLOEXEC) == 0, "no pipes");
  std::fflush(stdout);
  child_ = ::fork();
  expect(child_ >= 0, "no child");
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);  // a program may be a script with children of its own
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::close_range(STDERR_FILENO + 1, ~0U, 0);  // pipes of other processes, too
    body();
    ::_exit(127);
  }
  ::setpgid(child_, child_);
  ::close(input[0]);
  ::close(output[1]);
  input_ = input[1];
  output_ = output[0];
}

Process::~Process() {
  kill();
  close_input();
  ::close(output_);
}

void Process::say(const std::string& line) const {
  const std::string text = line + "\n";
  static_cast<void>(!::write(input_, text.data(), text.size()));  // one that has ended is found out by its answers
}

std::optional<std::string> Process::line(std::chrono::milliseconds limit) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + limit;
  while (true) {
    const auto newline = unread_.find('\n');
    if (newline != std::string::npos) {
      std::string first = unread_.substr(0, newline);
      unread_.erase(0, newline + 1);
      return first;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, static_cast<int>(std::max<std::int64_t>(0, left.count()))) <= 0) return {};
    char bytes[4096];
    const auto size = ::read(output_, bytes, sizeof(bytes));
    if (size <= 0) return {};
    unread_.append(bytes, static_cast<std::size_t>(size));
  }
}

void Process::close_input() {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
}

void Process::kill() {
  if (child_ == 0) return;
  ::kill(-child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
  child_ = 0;
}

}  // namespace sqlane::filesystems
