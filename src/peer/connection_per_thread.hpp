#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace sqlane::peer {

// The write lock did not come free within the busy timeout.
class BusyError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Visit {
  std::int64_t run = 0;
  std::int64_t worker = 0;
  std::int64_t sequence = 0;
  std::string auth_name;
  std::string code;
  std::string visited_at;
};

// The usual recipe: each thread has a SQLiteCpp connection of its own, in WAL
// mode with a busy timeout, its statements prepared once, BEGIN IMMEDIATE for
// writes. Use from one thread at a time.
class ConnectionPerThread {
 public:
  ConnectionPerThread(const std::string& path, std::chrono::milliseconds busy_timeout);
  ~ConnectionPerThread();

  // Reads a coordinate system's name and type; false when there is none.
  bool look_up(const std::string& auth_name, const std::string& code);

  // One write transaction; `on_begin` is called once it holds the write lock.
  // Throws BusyError.
  void record(const Visit& visit, const std::function<void()>& on_begin);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace sqlane::peer
