#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <sqlane/sqlane.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace sqlane::testing {

// Until somebody has the lane, and so many others want it.
inline void await_waiting(const Database& db, std::size_t count) {
  while (true) {
    const std::optional<LaneHolder> holder = db.lane_holder();
    if (holder && holder->waiting == count) return;
    std::this_thread::yield();
  }
}

// Until the lane's holder runs a statement that contains `part`.
inline void await_sql(const Database& db, std::string_view part) {
  while (true) {
    const std::optional<LaneHolder> holder = db.lane_holder();
    if (holder && holder->sql.find(part) != std::string::npos) return;
    std::this_thread::yield();
  }
}

// Holds the lane, while others queue up behind it on threads of their own, one
// after the other in the order of their adding.
class LaneQueue {
 public:
  explicit LaneQueue(Database& db) : db_(db), guard_(new Transaction(db.begin())) {}
  LaneQueue(const LaneQueue&) = delete;
  LaneQueue& operator=(const LaneQueue&) = delete;

  // Returns when `action`, which has to ask for the lane first, waits for it.
  template <class Action>
  void add(Action action) {
    threads_.emplace_back(std::move(action));
    await_waiting(db_, ++waiting_);
  }
  void left(std::size_t count = 1) {
    waiting_ -= count;
    await_waiting(db_, waiting_);
  }

  // Lets the first one in.
  void open() { guard_.reset(); }
  void join() { threads_.clear(); }
  void run() {
    open();
    join();
  }

 private:
  Database& db_;
  std::unique_ptr<Transaction> guard_;
  std::size_t waiting_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace sqlane::testing
