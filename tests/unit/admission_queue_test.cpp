#include "lane/admission.hpp"

namespace sqlane::detail {
namespace {

using Node = AdmissionQueue::Node;

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
  EXPECT_EQ(queue.next(), &first);
  EXPECT_EQ(queue.behind(first), &third);
  EXPECT_EQ(queue.behind(third), nullptr);
}

}  // namespace
}  // namespace sqlane::detail
