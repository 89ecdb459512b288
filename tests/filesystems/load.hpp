#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <sqlane/database.hpp>
#include <string>
#include <thread>
#include <vector>

namespace sqlane::filesystems {

// Threads that write rows into one Database, each into ids of its own, and read back what they wrote. After an error a
// thread goes on with its next id. Safe to use from any thread.
class Load {
 public:
  Load(Database& db, int threads, std::int64_t first_id);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  struct Tally {
    std::size_t acknowledged = 0;
    std::size_t failed = 0;
    std::size_t threads_failing = 0;  // whose newest write failed
  };
  // Waits until `reached` holds of the tally; false when that takes longer than `limit`.
  bool wait_until(const std::function<bool(const Tally&)>& reached, std::chrono::seconds limit);

  // Ends the threads. Throws Wrong for an error of no fitting class.
  void stop();

  [[nodiscard]] const std::vector<std::int64_t>& acknowledged() const { return acknowledged_; }  // after stop()
  [[nodiscard]] const std::map<std::string, int>& errors() const { return errors_; }             // likewise
  // How many acknowledged rows a read did not find; it looks for one in 16.
  [[nodiscard]] std::size_t not_read_back() const { return not_read_back_; }  // likewise

 private:
  void run(std::size_t thread, std::int64_t id);
  std::string error_of_write(std::int64_t id, std::string& wrong);
  bool is_read_back(std::int64_t id);
  [[nodiscard]] Tally tally() const;

  Database& db_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<bool> is_failing_;
  std::vector<std::int64_t> acknowledged_;
  std::size_t failed_ = 0;
  std::size_t not_read_back_ = 0;
  std::map<std::string, int> errors_;
  std::string wrong_;
  std::vector<std::thread> threads_;
};

// Ids of different threads do not meet.
inline constexpr std::int64_t kIdsOfThread = 1'000'000;

}  // namespace sqlane::filesystems
