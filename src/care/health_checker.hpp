#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/maintenance_thread.hpp"
#include "base/mutex.hpp"
#include "sqlane/health.hpp"

namespace sqlane::detail {

// What one check found wrong.
struct Finding {
  Verdict verdict = Verdict::healthy;
  std::string reason{};  // one sentence
  std::string error{};   // what was thrown, if anything
};

// What several findings come to, after what was known before. Pure.
[[nodiscard]] Health assess(const Health& before, const std::vector<Finding>& findings, Health::Clock::time_point now);

// Keeps the verdict on a database, and tells of its changes. Safe to use from any thread.
class HealthChecker {
 public:
  // Adds what it finds. May throw: then the database is unhealthy.
  using Check = std::function<void(std::vector<Finding>&)>;
  using Listener = std::function<void(const Health&)>;
  using Now = std::function<Health::Clock::time_point()>;

  HealthChecker(Check check, std::vector<Listener> listeners, Now now = Health::Clock::now);
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // Also checks in the background from now on.
  void start(std::chrono::milliseconds interval);
  // Returns when no check in the background is running, unless called by it.
  void stop() noexcept SQLANE_EXCLUDES(starting_);

  // Checks now.
  Health check() SQLANE_EXCLUDES(checking_, mutex_);

 private:
  [[nodiscard]] Health check_and_note() SQLANE_EXCLUDES(checking_, mutex_);
  void tell() SQLANE_EXCLUDES(mutex_);

  // Constant after construction.
  const Check check_;
  const std::vector<Listener> listeners_;
  const Now now_;

  Mutex checking_;  // one at a time
  Health newest_ SQLANE_GUARDED_BY(checking_);

  // Listeners hear of changes in their order, without any lock, so that they can ask for the health themselves.
  Mutex mutex_;
  std::deque<Health> untold_ SQLANE_GUARDED_BY(mutex_);
  bool is_telling_ SQLANE_GUARDED_BY(mutex_) = false;  // somebody

  Mutex starting_;
  std::unique_ptr<MaintenanceThread::Task> task_ SQLANE_GUARDED_BY(starting_);  // ends before the rest
};

}  // namespace sqlane::detail
