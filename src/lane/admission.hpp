#pragma once

namespace sqlane::detail {

// The order in which those who wait for the lane are let in: first come, first
// served. Pure: an intrusive list of nodes that live on the waiters' stacks, so
// that waiting allocates nothing.
class AdmissionQueue {
 public:
  struct Node {
    Node* before = nullptr;
    Node* behind = nullptr;
  };

  AdmissionQueue() noexcept { ends_.before = ends_.behind = &ends_; }
  AdmissionQueue(const AdmissionQueue&) = delete;
  AdmissionQueue& operator=(const AdmissionQueue&) = delete;

  [[nodiscard]] bool empty() const noexcept { return ends_.behind == &ends_; }

  // The one to let in next; null when nobody waits.
  [[nodiscard]] Node* next() const noexcept { return empty() ? nullptr : ends_.behind; }

  // The one after `node`; null behind the last.
  [[nodiscard]] Node* behind(const Node& node) const noexcept { return node.behind == &ends_ ? nullptr : node.behind; }

  void join(Node& node) noexcept {
    node.before = ends_.before;
    node.behind = &ends_;
    ends_.before->behind = &node;
    ends_.before = &node;
  }

  // From any place: let in, or gone before its turn.
  static void leave(Node& node) noexcept {
    node.before->behind = node.behind;
    node.behind->before = node.before;
  }

 private:
  Node ends_;  // closes the ring
};

}  // namespace sqlane::detail
