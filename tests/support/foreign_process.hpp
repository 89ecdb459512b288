#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "support/foreign_connection.hpp"

namespace sqlane::testing {

// Lines of text from one process to another.
class LinePipe {
 public:
  LinePipe() {
    if (::pipe(ends_) != 0) throw std::runtime_error("no pipe");
  }
  LinePipe(const LinePipe&) = delete;
  LinePipe& operator=(const LinePipe&) = delete;
  ~LinePipe() {
    close_reading();
    close_writing();
  }

  void close_reading() { close_end(ends_[0]); }
  void close_writing() { close_end(ends_[1]); }

  void write(const std::string& line) const {
    const std::string bytes = line + "\n";
    if (::write(ends_[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("the other process is gone");
    }
  }
  // False at the end: the writer has gone.
  [[nodiscard]] bool read(std::string& line) const {
    line.clear();
    char c = 0;
    while (::read(ends_[0], &c, 1) == 1) {
      if (c == '\n') return true;
      line += c;
    }
    return false;
  }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }

  int ends_[2] = {-1, -1};
};

// Another process, with a body of its own. Make it before anything is opened
// and before there are threads: SQLite must not be carried across a fork
// (https://sqlite.org/howtocorrupt.html, 2.6). Killed when it goes out of scope.
class ChildProcess {
 public:
  // `body` reads what the parent sends and writes what the parent reads.
  explicit ChildProcess(const std::function<void(const LinePipe& from_parent, const LinePipe& to_parent)>& body) {
    std::fflush(nullptr);
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("no process");
    if (process_ > 0) {
      to_child_.close_reading();
      from_child_.close_writing();
      return;
    }
    int status = 0;
    try {
      to_child_.close_writing();
      from_child_.close_reading();
      body(to_child_, from_child_);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the child: %s\n", error.what());
      status = 1;
    }
    ::_exit(status);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() { kill(); }

  void tell(const std::string& line) { to_child_.write(line); }
  // The next line; throws when the child has ended instead.
  std::string hear() {
    std::string line;
    if (!from_child_.read(line)) throw std::runtime_error("the child has ended");
    return line;
  }
  [[nodiscard]] bool hear(std::string& line) { return from_child_.read(line); }

  // Waits until it has ended by itself. 0: its body returned.
  int join() {
    int status = 0;
    ::waitpid(std::exchange(process_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(std::exchange(process_, 0), nullptr, 0);
  }

 private:
  LinePipe to_child_;
  LinePipe from_child_;
  pid_t process_ = 0;
};

// Another program that has the database open with plain SQLite and runs what it is told.
class ForeignProcess {
 public:
  explicit ForeignProcess(const std::filesystem::path& path)
      : child_([path](const LinePipe& from_parent, const LinePipe& to_parent) {
          std::string line;
          static_cast<void>(from_parent.read(line));  // told to open
          ForeignConnection connection(path);
          to_parent.write("open");
          while (from_parent.read(line)) {
            std::string value;
            const int code = connection.try_ask(line, value);
            to_parent.write(std::to_string(code) + " " + value);
          }
        }) {}

  void open() {
    child_.tell("open");
    static_cast<void>(child_.hear());
  }
  // "0 " and the first value, or SQLite's result code.
  std::string run(const std::string& sql) {
    child_.tell(sql);
    return child_.hear();
  }
  void kill() { child_.kill(); }

 private:
  ChildProcess child_;
};

}  // namespace sqlane::testing
