#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <stop_token>

#include "sqlane/error.hpp"

namespace sqlane {

// How often, and how patiently, with_retry() tries.
struct RetryPolicy {
  int attempts = 5;  // in all, at least 1

  // Before the second attempt; each later pause is `factor` times as long.
  std::chrono::milliseconds first_pause{10};
  double factor = 2;
  std::chrono::milliseconds longest_pause{1000};

  // Each pause is shortened at random by up to this part of it (0 to 1), so that
  // those who failed together do not come back together.
  double jitter = 0.5;

  // From the first attempt's beginning; no attempt begins later.
  std::optional<std::chrono::milliseconds> timeout{};

  // Ends a pause. The newest error comes out then.
  std::stop_token stop{};
};

namespace detail {

class Clock;

// The pause before attempt `attempt` (from 2 on); `random` is from 0 to 1. Pure.
[[nodiscard]] std::chrono::microseconds retry_pause(const RetryPolicy& policy, int attempt, double random);

// Decides after each failure, and waits.
class Retries {
 public:
  explicit Retries(const RetryPolicy& policy);  // UsageError for a policy that makes no sense
  Retries(const RetryPolicy& policy, Clock& clock);

  // True, after the pause, when it is worth trying again.
  [[nodiscard]] bool again(const Error& error);

 private:
  const RetryPolicy& policy_;
  Clock& clock_;
  std::chrono::steady_clock::time_point deadline_;
  int attempts_ = 0;  // so far
};

}  // namespace detail

// Calls `fn` until it returns, and returns its result. Tries again after errors
// that say is_retryable(): where nothing has happened, and doing the same later
// can succeed. Never after a commit of unknown outcome, nor after an error that
// is not sqlane's.
//
//   with_retry({.attempts = 3}, [&] { return db.write(job); });
template <std::invocable Fn>
std::invoke_result_t<Fn&> with_retry(const RetryPolicy& policy, Fn&& fn) {
  detail::Retries retries(policy);
  while (true) {
    try {
      return fn();
    } catch (const Error& error) {
      if (!retries.again(error)) throw;
    }
  }
}

}  // namespace sqlane
