#include <vector>

#include "lane/admission.hpp"

namespace sqlane::detail {
namespace {

using Node = AdmissionQueue::Node;
using std::chrono::milliseconds;

using Order = std::vector<const Node*>;

Order let_in_all(AdmissionQueue& queue) {
  Order order;
  while (Node* const next = queue.next()) {
    AdmissionQueue::leave(*next);
    order.push_back(next);
  }
  return order;
}

Node asking(Priority priority, milliseconds when) {
  Node node;
  node.priority = priority;
  node.asked = Clock::time_point(when);
  return node;
}

TEST(AdmissionQueue, LetsInFirstComeFirstServed) {
  AdmissionQueue queue;
  Node first;
  Node second;
  Node third;
  queue.join(first);
  queue.join(second);
  queue.join(third);
  for (Node* expected : {&first, &second, &third}) {
    ASSERT_EQ(queue.next(), expected);
    AdmissionQueue::leave(*queue.next());
  }
  EXPECT_EQ(queue.next(), nullptr);
  EXPECT_TRUE(queue.empty());
}

TEST(AdmissionQueue, KeepsTheOrderWhenSomebodyLeavesFromTheMiddle) {
  AdmissionQueue queue;
  Node first;
  Node second;
  Node third;
  queue.join(first);
  queue.join(second);
  queue.join(third);
  AdmissionQueue::leave(second);
  EXPECT_EQ(let_in_all(queue), (Order{&first, &third}));
}

TEST(AdmissionQueue, IsEmptyAgainWhenTheOnlyOneLeaves) {
  AdmissionQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next(), nullptr);
  Node only;
  queue.join(only);
  EXPECT_FALSE(queue.empty());
  AdmissionQueue::leave(only);
  EXPECT_TRUE(queue.empty());
}

TEST(AdmissionQueue, KeepsTheOrderWhenTheFirstOrTheLastLeaves) {
  AdmissionQueue queue;
  Node first;
  Node second;
  Node third;
  for (Node* node : {&first, &second, &third}) queue.join(*node);
  AdmissionQueue::leave(third);
  AdmissionQueue::leave(first);
  EXPECT_EQ(let_in_all(queue), Order{&second});
}

TEST(AdmissionQueue, PutsOneWhoComesBackAtTheEnd) {
  AdmissionQueue queue;
  Node first;
  Node second;
  queue.join(first);
  queue.join(second);
  AdmissionQueue::leave(first);
  queue.join(first);
  EXPECT_EQ(let_in_all(queue), (Order{&second, &first}));
}

TEST(AdmissionQueue, LetsInTheHigherPriorityFirst) {
  AdmissionQueue queue;
  Node background = asking(Priority::background, milliseconds(0));
  Node normal = asking(Priority::normal, milliseconds(1));
  Node interactive = asking(Priority::interactive, milliseconds(2));
  for (Node* node : {&background, &normal, &interactive}) queue.join(*node);
  EXPECT_EQ(let_in_all(queue), (Order{&interactive, &normal, &background}));
}

TEST(AdmissionQueue, LetsWaitingMakeUpForALowPriority) {
  struct Case {
    Priority low;
    Priority high;
    milliseconds head_start;
    bool low_goes_first;
  };
  constexpr Case kCases[] = {
      {Priority::normal, Priority::interactive, milliseconds(19), false},
      {Priority::normal, Priority::interactive, milliseconds(21), true},
      {Priority::background, Priority::interactive, milliseconds(499), false},
      {Priority::background, Priority::interactive, milliseconds(501), true},
      {Priority::background, Priority::normal, milliseconds(479), false},
      {Priority::background, Priority::normal, milliseconds(481), true},
  };
  for (const Case& one : kCases) {
    AdmissionQueue queue;
    Node low = asking(one.low, milliseconds(0));
    Node high = asking(one.high, one.head_start);
    queue.join(low);
    queue.join(high);
    EXPECT_EQ(queue.next(), one.low_goes_first ? &low : &high) << "after " << one.head_start.count() << " ms";
  }
}

TEST(AdmissionQueue, StarvesNobodyUnderAnEndlessInteractiveLoad) {
  AdmissionQueue queue;
  Node background = asking(Priority::background, milliseconds(0));
  queue.join(background);
  // Every millisecond one is let in and another comes.
  std::vector<Node> interactive(2000);
  int let_in_before = 0;
  for (int now = 0; now < 2000; ++now) {
    Node& node = interactive[static_cast<std::size_t>(now)];
    node = asking(Priority::interactive, milliseconds(now));
    queue.join(node);
    Node* const next = queue.next();
    AdmissionQueue::leave(*next);
    if (next == &background) break;
    ++let_in_before;
  }
  EXPECT_EQ(let_in_before, 501);
}

}  // namespace
}  // namespace sqlane::detail
