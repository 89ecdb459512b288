#include <chrono>

#include "support/lane_queue.hpp"
#include "support/titled_writes.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::LaneQueue;
using testing::TitledWrites;

class PriorityOfWrites : public TitledWrites {};

TEST_F(PriorityOfWrites, LetsTheHigherInFirst) {
  // The handicap of a normal one is 20 ms: those who waited for longer have made up for it.
  std::chrono::steady_clock::duration took{};
  do {
    const auto asked = std::chrono::steady_clock::now();
    ran.clear();
    LaneQueue queue(db);
    add(queue, "background", {.priority = Priority::background});
    add(queue, "normal");
    add(queue, "interactive", {.priority = Priority::interactive});
    took = std::chrono::steady_clock::now() - asked;
    queue.run();
  } while (took >= 20ms);
  EXPECT_EQ(order(), (Titles{"interactive", "normal", "background"}));
}

TEST_F(PriorityOfWrites, KeepsTheOrderOfAskingAmongEquals) {
  for (const Priority priority : {Priority::interactive, Priority::normal, Priority::background}) {
    ran.clear();
    LaneQueue queue(db);
    for (const char* title : {"a", "b", "c"}) add(queue, title, {.priority = priority});
    queue.run();
    EXPECT_EQ(order(), (Titles{"a", "b", "c"}));
  }
}

}  // namespace
}  // namespace sqlane
