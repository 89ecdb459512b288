#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "base/clock.hpp"
#include "sqlane/options.hpp"

namespace sqlane::detail {

// The order in which those who wait for the lane are let in: within a priority
// first come, first served; between them as if the lower ones had come later by
// a fixed time, so that waiting makes up for a low priority and nobody starves.
//
// Pure: intrusive lists of nodes that live on the waiters' stacks, so that
// waiting allocates nothing.
class AdmissionQueue {
 public:
  struct Node {
    Node* before = nullptr;
    Node* behind = nullptr;
    Priority priority = Priority::normal;
    Clock::time_point asked{};  // when it joined
  };

  // By how much later a priority counts than it came.
  [[nodiscard]] static constexpr std::chrono::milliseconds handicap(Priority priority) noexcept {
    switch (priority) {
      case Priority::interactive: return std::chrono::milliseconds(0);
      case Priority::normal: return std::chrono::milliseconds(20);
      case Priority::background: break;
    }
    return std::chrono::milliseconds(500);
  }

  AdmissionQueue() noexcept {
    for (Node& ends : rings_) ends.before = ends.behind = &ends;
  }
  AdmissionQueue(const AdmissionQueue&) = delete;
  AdmissionQueue& operator=(const AdmissionQueue&) = delete;

  [[nodiscard]] bool empty() const noexcept { return next() == nullptr; }

  // The one to let in next; null when nobody waits.
  [[nodiscard]] Node* next() const noexcept {
    return next_of([](const Node&) { return true; });
  }
  // The same among those that `fits` accepts.
  template <class Fits>
  [[nodiscard]] Node* next_of(Fits&& fits) const noexcept {
    Node* first = nullptr;
    for (const Node& ends : rings_) {
      Node* head = ends.behind;
      while (head != &ends && !fits(*head)) head = head->behind;
      if (head != &ends && (first == nullptr || rank(*head) < rank(*first))) first = head;
    }
    return first;
  }

  void join(Node& node) noexcept {
    Node& ends = rings_[static_cast<std::size_t>(node.priority)];
    node.before = ends.before;
    node.behind = &ends;
    ends.before->behind = &node;
    ends.before = &node;
  }

  // From any place: let in, or gone before its turn.
  static void leave(Node& node) noexcept {
    node.before->behind = node.behind;
    node.behind->before = node.before;
  }

 private:
  [[nodiscard]] static Clock::time_point rank(const Node& node) noexcept {
    return node.asked + handicap(node.priority);
  }

  std::array<Node, 3> rings_;  // by priority; each closes its ring
};

}  // namespace sqlane::detail
