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
  task_.emplace(interval, [this] { check(); });
}

Health HealthChecker::check() {
  std::vector<Finding> findings;
  const MutexLock lock(checking_);
  try {
    check_(findings);
  } catch (const std::exception& error) {
    findings.push_back({Verdict::unhealthy, std::string("the check itself failed: ") + error.what(), error.what()});
  }
  Health health = assess(newest_, findings, now_());
  const bool has_changed = health.verdict != newest_.verdict;
  newest_ = health;
  if (has_changed) {
    for (const Listener& listener : listeners_) listener(health);
  }
  return health;
}

}  // namespace sqlane::detail
