#pragma once

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <ostream>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" char** environ;

namespace sqlane::testing {

// How the sqlite3 shell has ended.
struct ShellResult {
  int status = -1;     // 0: success
  std::string output;  // results and messages, in their order

  friend bool operator==(const ShellResult&, const ShellResult&) = default;
};

inline void PrintTo(const ShellResult& result, std::ostream* out) {
  *out << "status " << result.status << ", \"" << result.output << "\"";
}

// Runs `sql` in the stock sqlite3 shell, a process of its own that waits for no
// lock, and waits for its end.
inline ShellResult run_in_shell(const std::filesystem::path& database, const std::string& sql) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  std::string program = "sqlite3";
  std::string batch = "-batch";
  std::string bail = "-bail";
  std::string init = "-init";  // in place of ~/.sqliterc
  std::string nothing = "/dev/null";
  std::string file = database.string();
  std::string text = sql;
  char* const arguments[] = {program.data(), batch.data(), bail.data(), init.data(),
                             nothing.data(), file.data(),  text.data(), nullptr};
  posix_spawn_file_actions_t streams;
  ::posix_spawn_file_actions_init(&streams);
  ::posix_spawn_file_actions_addopen(&streams, STDIN_FILENO, nothing.c_str(), O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&streams, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&streams, ends[1], STDERR_FILENO);
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, program.c_str(), &streams, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&streams);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    throw std::runtime_error("the sqlite3 shell cannot be started: is the package sqlite3 installed?");
  }
  ShellResult result;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (count > 0) result.output.append(buffer, static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

// It ran, and printed `output`.
inline ShellResult success(const std::string& output = "") { return {0, output.empty() ? "" : output + "\n"}; }

// What it answers when another process keeps it out.
inline bool is_locked_out(const ShellResult& result) {
  return result.status != 0 && result.output.find("database is locked (5)") != std::string::npos;
}

}  // namespace sqlane::testing
