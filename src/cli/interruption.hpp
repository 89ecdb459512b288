#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <thread>

namespace sqlane::cli {

// Takes Ctrl-C, and the other signals that ask a program to end, from the threads
// of its scope: they ask its stop token instead, so that what was begun is tidied
// up. A pipe that nobody reads any more ends the program only after the scope.
class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

  // False when it was interrupted.
  bool pause_for(std::chrono::nanoseconds duration);

 private:
  sigset_t before_{};
  std::stop_source source_;
  std::mutex mutex_;
  std::condition_variable_any nothing_;
  std::jthread listener_;
};

// What runs until it is interrupted exits like that, for shells to see.
inline constexpr int kExitInterrupted = 130;

}  // namespace sqlane::cli
