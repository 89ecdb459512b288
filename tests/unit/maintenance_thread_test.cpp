#include "base/maintenance_thread.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/pooled_thing.hpp"

namespace sqlane::detail {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::Gate;
using Task = MaintenanceThread::Task;

constexpr milliseconds kOften{1};

// Tells that the thread has ended on which tell() was called.
class ThreadEnd {
 public:
  static void tell(const std::shared_ptr<std::latch>& ended) {
    thread_local ThreadEnd end;
    if (end.ended_ == nullptr) end.ended_ = ended;
  }
  ~ThreadEnd() {
    if (ended_ != nullptr) ended_->count_down();
  }

 private:
  std::shared_ptr<std::latch> ended_;
};

// Counts down once, however often it is asked to.
class Once {
 public:
  void happen() {
    if (!has_happened_.exchange(true)) latch_.count_down();
  }
  void wait() { latch_.wait(); }

 private:
  std::atomic<bool> has_happened_ = false;
  std::latch latch_{1};
};

// For a mistake to show; whether they take it decides nothing else.
void give_others_a_chance() {
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
}

TEST(MaintenanceThreadTest, DoesItsTaskAgainAndAgain) {
  std::atomic<int> rounds = 0;
  Once enough;
  const Task task(kOften, [&] {
    if (++rounds == 3) enough.happen();
  });
  enough.wait();
  EXPECT_GE(rounds, 3);
}

TEST(MaintenanceThreadTest, DoesNothingBeforeTheIntervalIsOver) {
  std::atomic<int> early = 0;
  std::atomic<int> rounds = 0;
  Once enough;
  const Task late(hours(1), [&] { ++early; });
  give_others_a_chance();
  const Task often(kOften, [&] {
    if (++rounds == 3) enough.happen();
  });
  enough.wait();
  EXPECT_EQ(early, 0);
}

TEST(MaintenanceThreadTest, IsWokenByATaskThatIsDueBeforeTheOthers) {
  const Task late(hours(1), [] {});
  give_others_a_chance();
  Once done;
  const Task often(kOften, [&] { done.happen(); });
  done.wait();
}

TEST(MaintenanceThreadTest, TakesTurns) {
  constexpr int kTasks = 4;
  std::latch all(kTasks);
  std::vector<std::unique_ptr<Task>> tasks;
  for (int i = 0; i < kTasks; ++i) {
    auto rounds = std::make_shared<std::atomic<int>>(0);
    tasks.push_back(std::make_unique<Task>(kOften, [rounds, &all] {
      if (++*rounds == 3) all.count_down();
    }));
  }
  all.wait();
}

TEST(MaintenanceThreadTest, IsOneThreadForAll) {
  std::atomic<std::thread::id> left;
  std::atomic<std::thread::id> right;
  Once left_ran;
  Once right_ran;
  const Task one(kOften, [&] {
    left = std::this_thread::get_id();
    left_ran.happen();
  });
  const Task other(kOften, [&] {
    right = std::this_thread::get_id();
    right_ran.happen();
  });
  left_ran.wait();
  right_ran.wait();
  EXPECT_EQ(left.load(), right.load());
  EXPECT_NE(left.load(), std::this_thread::get_id());
}

TEST(MaintenanceThreadTest, KnowsItself) {
  std::atomic<bool> is_this = false;
  Once ran;
  const Task task(kOften, [&] {
    is_this = MaintenanceThread::is_this();
    ran.happen();
  });
  ran.wait();
  EXPECT_TRUE(is_this);
  EXPECT_FALSE(MaintenanceThread::is_this());
}

TEST(MaintenanceThreadTest, DoesATaskOnceAtATime) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> rounds = 0;
  Once enough;
  const Task task(kOften, [&] {
    most = std::max<int>(most, ++running);
    std::this_thread::yield();
    --running;
    if (++rounds == 10) enough.happen();
  });
  enough.wait();
  EXPECT_EQ(most, 1);
}

// main                        maintenance
//                             begins
// destroys <---- running ----
// waits                       ends
// is done
TEST(MaintenanceThreadTest, IsWaitedForWhenItsTaskIsDestroyed) {
  constexpr int kChances = 1000;  // to come back too early
  Gate running;
  std::atomic<bool> is_destroyed = false;
  std::atomic<bool> was_late = false;
  std::atomic<bool> has_ended = false;
  {
    std::optional<Task> task;
    task.emplace(kOften, [&] {
      running.pass();
      for (int i = 0; i < kChances; ++i) {
        std::this_thread::yield();
        if (is_destroyed) was_late = true;
      }
      has_ended = true;
    });
    running.await_arrival();
    running.open();
    task.reset();
    is_destroyed = true;
    EXPECT_TRUE(has_ended);
  }
  EXPECT_FALSE(was_late);
}

TEST(MaintenanceThreadTest, DoesNotDoATaskThatIsDestroyed) {
  std::atomic<int> rounds = 0;
  Once ran;
  {
    const Task task(kOften, [&] {
      ++rounds;
      ran.happen();
    });
    ran.wait();
  }
  const int then = rounds;
  std::atomic<int> others = 0;
  Once enough;
  const Task other(kOften, [&] {
    if (++others == 5) enough.happen();
  });
  enough.wait();
  EXPECT_EQ(rounds, then);
}

TEST(MaintenanceThreadTest, DoesNotWaitForItselfWhenATaskIsDestroyedWithinItsWork) {
  std::optional<Task> task;
  Gate made;
  Once destroyed;
  std::atomic<int> rounds = 0;
  task.emplace(kOften, [&] {
    ++rounds;
    made.pass();
    task.reset();
    destroyed.happen();
  });
  made.open();
  destroyed.wait();

  std::atomic<int> others = 0;
  Once enough;
  const Task other(kOften, [&] {
    if (++others == 3) enough.happen();
  });
  enough.wait();
  EXPECT_EQ(rounds, 1);
}

TEST(MaintenanceThreadTest, MayDestroyAnotherTask) {
  std::atomic<int> rounds = 0;
  auto victim = std::make_unique<Task>(hours(1), [&] { ++rounds; });
  Gate destroyed;
  destroyed.open();
  const Task task(kOften, [&] {
    victim.reset();
    destroyed.pass();
  });
  destroyed.await_arrival();
  EXPECT_EQ(rounds, 0);
}

TEST(MaintenanceThreadTest, MayAddATask) {
  std::optional<Task> added;
  Once ran;
  std::atomic<bool> is_added = false;
  const Task task(kOften, [&] {
    if (!is_added.exchange(true)) added.emplace(kOften, [&] { ran.happen(); });
  });
  ran.wait();
}

TEST(MaintenanceThreadTest, EndsWithTheLastTaskAndBeginsAnewWithTheNext) {
  for (int life = 0; life < 3; ++life) {
    const auto ended = std::make_shared<std::latch>(1);
    {
      Once ran;
      Once other_ran;
      const Task task(kOften, [&] {
        ThreadEnd::tell(ended);
        ran.happen();
      });
      {
        const Task other(kOften, [&] { other_ran.happen(); });
        other_ran.wait();
      }
      ran.wait();
      EXPECT_FALSE(ended->try_wait());
    }
    ended->wait();
  }
}

// main                        maintenance
//                             destroys the one that is due
// <------- destroyed -------  sleeps until the other is due, in an hour
// destroys the other -------> ends
TEST(MaintenanceThreadTest, EndsAtOnceThoughTheLastTaskIsDueMuchLater) {
  const auto ended = std::make_shared<std::latch>(1);
  std::optional<Task> late;
  late.emplace(hours(1), [] {});
  std::optional<Task> task;
  Gate made;
  Once destroyed;
  task.emplace(kOften, [&] {
    ThreadEnd::tell(ended);
    made.pass();
    task.reset();
    destroyed.happen();
  });
  made.open();
  destroyed.wait();
  give_others_a_chance();
  late.reset();
  ended->wait();
}

}  // namespace
}  // namespace sqlane::detail
