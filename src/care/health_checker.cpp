#include "care/health_checker.hpp"

#include <algorithm>
#include <utility>

namespace sqlane::detail {

Health assess(const Health& before, const std::vector<Finding>& findings, Health::Clock::time_point now) {
  Health health{.last_error = before.last_error, .last_error_at = before.last_error_at};
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::healthy) continue;
    health.verdict = std::max(health.verdict, finding.verdict);
    health.reasons.push_back(finding.reason);
    if (finding.error.empty()) continue;
    health.last_error = finding.error;
    health.last_error_at = now;
  }
  const bool is_first = before.since == Health::Clock::time_point();
  health.since = health.verdict == before.verdict && !is_first ? before.since : now;
  return health;
}

HealthChecker::HealthChecker(Check check, std::vector<Listener> listeners, Now now)
    : check_(std::move(check)), listeners_(std::move(listeners)), now_(std::move(now)) {}

void HealthChecker::start(std::chrono::milliseconds interval) {
  const MutexLock lock(starting_);
  task_ = std::make_unique<MaintenanceThread::Task>(interval, [this] { check(); });
}

void HealthChecker::stop() noexcept {
  std::unique_ptr<MaintenanceThread::Task> task;
  const MutexLock lock(starting_);
  std::swap(task, task_);
}

Health HealthChecker::check() {
  Health health = check_and_note();
  tell();
  return health;
}

Health HealthChecker::check_and_note() {
  std::vector<Finding> findings;
  const MutexLock lock(checking_);
  try {
    check_(findings);
  } catch (const std::exception& error) {
    findings.push_back({Verdict::unhealthy, std::string("the check itself failed: ") + error.what(), error.what()});
  }
  Health health = assess(newest_, findings, now_());
  if (health.verdict != newest_.verdict) {
    const MutexLock telling(mutex_);
    untold_.push_back(health);
  }
  newest_ = health;
  return health;
}

// Whoever is telling already tells the rest as well.
void HealthChecker::tell() {
  MutexLock lock(mutex_);
  if (is_telling_) return;
  is_telling_ = true;
  while (!untold_.empty()) {
    const Health health = std::move(untold_.front());
    untold_.pop_front();
    lock.unlock();
    for (const Listener& listener : listeners_) listener(health);
    lock.lock();
  }
  is_telling_ = false;
}

}  // namespace sqlane::detail
