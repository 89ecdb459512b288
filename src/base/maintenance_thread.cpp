#include "base/maintenance_thread.hpp"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "base/fork.hpp"
#include "base/started_thread.hpp"

namespace sqlane::detail {

struct MaintenanceThread::Entry {
  const Clock::duration interval;
  const std::function<void()> work;
  const std::uint32_t generation = ForkGeneration::watch();
  Clock::time_point due{};
  bool is_running = false;
};

namespace {

using Entry = MaintenanceThread::Entry;

// All under ForkGeneration::mutex(), so that a child finds it whole.
struct Schedule {
  std::vector<std::shared_ptr<Entry>> entries;
  std::uint32_t generation = ForkGeneration::now();
  bool has_thread = false;
  Condition changed;
  Condition ended;
  Schedule* const of_parent;  // reachable, so no leak

  explicit Schedule(Schedule* parents) : of_parent(parents) {}
};

// Never destroyed: the thread may outlive main(). A child gets one of its own,
// since nobody who waits for its parent's conditions is there any more.
Schedule& schedule() {
  static auto* schedule = new Schedule(nullptr);
  if (schedule->generation != ForkGeneration::now()) schedule = new Schedule(schedule);
  return *schedule;
}

thread_local bool is_maintenance = false;

// Ends when there is nothing left to do.
void run() {
  is_maintenance = true;
  Clock& clock = Clock::steady();
  MutexLock lock(ForkGeneration::mutex());
  Schedule& all = schedule();
  while (!all.entries.empty()) {
    const std::shared_ptr<Entry> next =
        *std::min_element(all.entries.begin(), all.entries.end(),
                          [](const auto& left, const auto& right) { return left->due < right->due; });
    if (clock.now() < next->due) {
      clock.wait_until(all.changed, lock, next->due);
      continue;
    }
    next->is_running = true;
    lock.unlock();
    next->work();
    lock.lock();
    next->is_running = false;
    next->due = clock.now() + next->interval;
    all.ended.notify_all();
  }
  all.has_thread = false;
}

}  // namespace

MaintenanceThread::Task::Task(Clock::duration interval, std::function<void()> work)
    : entry_(std::make_shared<Entry>(Entry{.interval = interval, .work = std::move(work)})) {
  entry_->due = Clock::steady().now() + interval;
  const MutexLock lock(ForkGeneration::mutex());
  Schedule& all = schedule();
  all.entries.push_back(entry_);
  if (all.has_thread) {
    all.changed.notify_one();
    return;
  }
  try {
    started_thread(run, "maintenance and health checks").detach();
  } catch (...) {
    all.entries.pop_back();
    throw;
  }
  all.has_thread = true;
}

MaintenanceThread::Task::~Task() {
  MutexLock lock(ForkGeneration::mutex());
  if (entry_->generation != ForkGeneration::now()) return;
  Schedule& all = schedule();
  std::erase(all.entries, entry_);
  all.changed.notify_one();
  while (entry_->is_running && !is_maintenance) all.ended.wait(lock.native());
}

bool MaintenanceThread::is_this() noexcept { return is_maintenance; }

}  // namespace sqlane::detail
