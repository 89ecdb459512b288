#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <sqlane/sqlane.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/expect_error.hpp"

namespace sqlane::testing {

// Writes that wait for the lane at the same time, each on a thread of its own.
// The lane is held from the beginning up to run(); then it passes to the first
// of them, which runs the others as well as far as they join its transaction.
// Their database needs a long acquire_timeout and BatchLimits::run_time.
class QueuedWrites {
 public:
  explicit QueuedWrites(Database& db) : db_(db), guard_(db.begin()) {}
  QueuedWrites(const QueuedWrites&) = delete;
  QueuedWrites& operator=(const QueuedWrites&) = delete;

  // Returns once it waits, behind those that were added before. Its number counts from 0.
  std::size_t add(std::function<void()> write) {
    Write& added = writes_.emplace_back();
    added.thread = std::jthread([&added, write = std::move(write)] {
      try {
        write();
      } catch (...) {
        added.error = std::current_exception();
      }
      added.has_ended = true;
    });
    added.id = added.thread.get_id();
    while (db_.lane_holder()->waiting != writes_.size()) {
      if (added.has_ended) throw std::runtime_error("the write did not wait for the lane");
      std::this_thread::yield();
    }
    return writes_.size() - 1;
  }

  // Lets them go. They end while the caller does something else.
  void release() { guard_.rollback(); }
  void join() {
    for (Write& write : writes_) write.thread.join();
  }
  void run() {
    release();
    join();
  }

  [[nodiscard]] std::thread::id thread_of(std::size_t number) const { return writes_[number].id; }

  // Once they have ended. Throws what that write threw.
  void get(std::size_t number) const {
    if (writes_[number].error != nullptr) std::rethrow_exception(writes_[number].error);
  }
  [[nodiscard]] bool has_failed(std::size_t number) const { return writes_[number].error != nullptr; }
  template <class Expected>
  [[nodiscard]] Expected error_of(std::size_t number) const {
    return testing::error_of<Expected>([&] { get(number); });
  }
  // The exception object itself, to tell it from others'.
  [[nodiscard]] const std::exception* exception_of(std::size_t number) const {
    try {
      get(number);
    } catch (const std::exception& error) {
      return &error;
    }
    return nullptr;
  }

 private:
  struct Write {
    std::exception_ptr error;
    std::atomic<bool> has_ended = false;
    std::thread::id id;
    std::jthread thread;
  };

  Database& db_;
  std::deque<Write> writes_;  // joined after the guard has let them go
  Transaction guard_;
};

}  // namespace sqlane::testing
