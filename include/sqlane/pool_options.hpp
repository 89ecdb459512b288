#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sqlane/call_site.hpp"

namespace sqlane {

// Whether a resource is asked if it still works (Pingable) before it is lent.
enum class ValidateOnAcquire : std::uint8_t {
  never,
  if_idle_longer_than,  // Upkeep::validation_idle
  always,
};

enum class ValidateOnRelease : std::uint8_t { no, yes };

enum class WarmUp : std::uint8_t {
  lazy,      // the first acquire() makes the first resource
  at_start,  // min_idle are made, and warmed up, before the pool is there
};

enum class Overstaying : std::uint8_t {
  reported,
  interrupted,  // and reported
};

enum class Maintenance : std::uint8_t {
  in_background,  // on one thread for all pools of the process, if an option asks for any
  by_hand,        // maintain_now()
};

// A lease, as others see it.
struct LeaseReport {
  CallSite site;  // where it was acquired
  std::chrono::milliseconds held{};
  std::string activity;  // what it does now: the statement that runs; or nothing
};

// Making resources stops after `failures` in a row, for `open_for`; then one try
// decides whether it goes on. Meanwhile whoever needs a new one hears so at once.
struct Breaker {
  std::size_t failures = 5;
  std::chrono::milliseconds open_for{1000};
};

// The number of resources follows demand, between `least` and PoolOptions::max.
// It changes by one, after the same need has been seen `rounds` times in a row.
struct AdaptiveSize {
  std::size_t least = 1;
  double grow_above = 0.8;  // share in use, or anybody waiting
  double shrink_below = 0.3;
  std::size_t rounds = 3;  // of maintenance
};

// How resources are kept. What is unset does not happen; nothing here costs
// anything while resources come and go, except where it says so.
struct Upkeep {
  // So many are kept ready, made again by maintenance.
  std::size_t min_idle = 0;
  WarmUp warm_up = WarmUp::lazy;

  // Closed by maintenance, down to min_idle, after being idle for so long.
  std::optional<std::chrono::milliseconds> idle_timeout{};

  // Replaced when so old; each up to a share of `lifetime_jitter` (0 to 1)
  // earlier, so that they do not all go at once.
  std::optional<std::chrono::milliseconds> max_lifetime{};
  double lifetime_jitter = 0.1;

  // Replaced after so many uses, or so many errors that its holders counted.
  std::optional<std::uint64_t> max_uses{};
  std::optional<std::uint64_t> max_errors{};

  // Idle ones are asked by maintenance whether they still work, so often.
  std::optional<std::chrono::milliseconds> validation_interval{};
  // These two ask while somebody waits for it.
  ValidateOnAcquire validate_on_acquire = ValidateOnAcquire::never;
  std::chrono::milliseconds validation_idle{30'000};
  ValidateOnRelease validate_on_release = ValidateOnRelease::no;

  // Leases held for longer are reported by maintenance, each once.
  std::optional<std::chrono::milliseconds> leak_threshold{};
  Overstaying overstaying = Overstaying::reported;
  // Also called for a lease whose thread has ended. On the thread of maintenance,
  // or the one that ended. Must not throw.
  std::function<void(const LeaseReport&)> on_leak{};

  std::optional<Breaker> breaker = Breaker{};
  std::optional<AdaptiveSize> adaptive_size{};

  Maintenance maintenance = Maintenance::in_background;
  std::chrono::milliseconds maintenance_interval{1000};
};

struct PoolOptions {
  // What it lends, as messages say it: "waiting for a reader … took too long".
  std::string name = "a resource";

  // Resources at most, up to 1000; made when they are needed.
  std::size_t max = 8;
  // So many more may be made when all are in use; each is closed when it comes back.
  std::size_t max_overflow = 0;

  // How long a call waits before TimeoutError, unless it says otherwise.
  std::chrono::milliseconds acquire_timeout{5000};

  // A free resource goes to whoever asks first, because waking a waiter costs
  // more than most uses last; but who has waited for so long is handed the next.
  std::chrono::milliseconds patience{10};

  Upkeep upkeep{};
};

}  // namespace sqlane
