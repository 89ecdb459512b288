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

TEST(AdmissionQueue, IsEmptyAgainWhenTheOnlyOneLeaves) {
  AdmissionQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next(), nullptr);
  Node only;
  queue.join(only);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(queue.behind(only), nullptr);
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
  EXPECT_EQ(queue.behind(second), nullptr);
  AdmissionQueue::leave(first);
  EXPECT_EQ(queue.next(), &second);
}

TEST(AdmissionQueue, PutsOneWhoComesBackAtTheEnd) {
  AdmissionQueue queue;
  Node first;
  Node second;
  queue.join(first);
  queue.join(second);
  AdmissionQueue::leave(first);
  queue.join(first);
  EXPECT_EQ(queue.next(), &second);
  EXPECT_EQ(queue.behind(second), &first);
  EXPECT_EQ(queue.behind(first), nullptr);
}

}  // namespace
}  // namespace sqlane::detail
