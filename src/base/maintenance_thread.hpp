#pragma once

#include <functional>
#include <memory>

#include "base/clock.hpp"

namespace sqlane::detail {

// One small thread for whatever has to be done from time to time, of all
// databases and pools of the process. It lives from the first task to the last.
// Safe to use from any thread, and in a child of fork, whose tasks begin anew.
class MaintenanceThread {
 public:
  struct Entry;

  // Done again and again, `interval` after its last end; not while it is being
  // done. Destroying it waits for its end, except on the thread itself.
  class Task {
   public:
    Task(Clock::duration interval, std::function<void()> work);
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task();

   private:
    std::shared_ptr<Entry> entry_;
  };

  // Whether the calling thread is the one.
  [[nodiscard]] static bool is_this() noexcept;
};

}  // namespace sqlane::detail
