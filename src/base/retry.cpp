#include "sqlane/retry.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/clock.hpp"

namespace sqlane::detail {
namespace {

double random_part() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(random);
}

// False when a stop came first.
bool pause(Clock& clock, Clock::time_point end, const std::stop_token& stop) {
  Mutex mutex;
  Condition wake;
  const std::stop_callback on_stop(stop, [&] {
    const MutexLock lock(mutex);
    wake.notify_one();
  });
  MutexLock lock(mutex);
  while (!stop.stop_requested() && clock.now() < end) clock.wait_until(wake, lock, end);
  return !stop.stop_requested();
}

}  // namespace

std::chrono::microseconds retry_pause(const RetryPolicy& policy, int attempt, double random) {
  using Microseconds = std::chrono::duration<double, std::micro>;
  const double longest = Microseconds(policy.longest_pause).count();
  const double full = Microseconds(policy.first_pause).count() * std::pow(policy.factor, attempt - 2);
  return std::chrono::microseconds(std::llround(std::min(full, longest) * (1 - policy.jitter * random)));
}

Retries::Retries(const RetryPolicy& policy) : Retries(policy, Clock::steady()) {}

Retries::Retries(const RetryPolicy& policy, Clock& clock)
    : policy_(policy),
      clock_(clock),
      deadline_(clock.deadline(policy.timeout.value_or(std::chrono::milliseconds::max()))) {
  if (policy.attempts < 1) throw UsageError("RetryPolicy::attempts must be at least 1");
  if (policy.first_pause.count() < 0) throw UsageError("RetryPolicy::first_pause must not be negative");
  if (policy.longest_pause.count() < 0) throw UsageError("RetryPolicy::longest_pause must not be negative");
  if (!(policy.factor >= 1)) throw UsageError("RetryPolicy::factor must be at least 1");
  if (!(policy.jitter >= 0 && policy.jitter <= 1)) throw UsageError("RetryPolicy::jitter must be from 0 to 1");
}

bool Retries::again(const Error& error) {
  ++attempts_;
  if (!error.is_retryable() || attempts_ >= policy_.attempts) return false;
  const Clock::time_point end = clock_.now() + retry_pause(policy_, attempts_ + 1, random_part());
  return end < deadline_ && pause(clock_, end, policy_.stop);
}

}  // namespace sqlane::detail
