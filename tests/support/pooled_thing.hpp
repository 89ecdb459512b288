#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "sqlane/pool.hpp"
#include "support/manual_clock.hpp"

namespace sqlane::testing {

class Workshop;

// Stands in for a resource that is costly to make.
struct PooledThing {
  PooledThing(Workshop& workshop, int n);
  PooledThing(const PooledThing&) = delete;
  PooledThing& operator=(const PooledThing&) = delete;
  ~PooledThing();

  Workshop& maker;
  const int number;  // counts from 1 in the order of making
  std::atomic<bool> is_good = true;
  std::atomic<bool> is_lent = false;  // for a test that looks for two holders
};

// Makes things, counts them, and fails on command. Must outlive them.
class Workshop {
 public:
  // Makes things for as long as the workshop is there.
  [[nodiscard]] std::function<std::unique_ptr<PooledThing>()> make() {
    return [this]() -> std::unique_ptr<PooledThing> {
      if (failures_to_come > 0) {
        --failures_to_come;
        throw std::runtime_error("no more things");
      }
      return std::make_unique<PooledThing>(*this, ++made);
    };
  }

  std::atomic<int> made = 0;
  std::atomic<int> alive = 0;
  std::atomic<int> most_alive = 0;  // at once
  std::atomic<int> failures_to_come = 0;
};

inline PooledThing::PooledThing(Workshop& workshop, int n) : maker(workshop), number(n) {
  const int alive = ++maker.alive;
  int most = maker.most_alive;
  while (alive > most && !maker.most_alive.compare_exchange_weak(most, alive)) {
  }
}

inline PooledThing::~PooledThing() { --maker.alive; }

// Where a hook stops until the test lets it go on.
class Gate {
 public:
  void pass() {
    is_reached_ = true;
    is_reached_.notify_all();
    is_open_.wait(false);
  }
  void await_arrival() { is_reached_.wait(false); }
  void open() {
    is_open_ = true;
    is_open_.notify_all();
  }

 private:
  std::atomic<bool> is_reached_ = false;
  std::atomic<bool> is_open_ = false;
};

using ThingPool = Pool<PooledThing>;
using ThingHooks = PoolHooks<PooledThing>;

// Call sites that messages are searched for.
inline constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
inline constexpr CallSite kThere{"index.cpp", 7, "rebuild"};
inline constexpr CallSite kElsewhere{"report.cpp", 3, "print"};

inline const AcquireOptions kAtOnce{.timeout = std::chrono::milliseconds(0)};
inline const AcquireOptions kPatiently{.timeout = std::chrono::hours(1)};

inline bool is_good(PooledThing& thing) { return thing.is_good; }

// Returns when so many threads wait and are asleep. (A return that takes no lock
// may come before one that is still on its way there.)
template <class AnyClock>
void await_asleep(const AnyClock& clock, int count) {
  while (clock.sleeping() != count) std::this_thread::yield();
}

// A pool's surroundings: time that stands still, and things to lend.
class PoolFixture : public ::testing::Test {
 protected:
  [[nodiscard]] ThingPool pool_of(PoolOptions options, ThingHooks hooks = {}) {
    return {workshop_.make(), std::move(options), std::move(hooks), &clock_};
  }

  SteppedClock clock_;
  Workshop workshop_;
};

}  // namespace sqlane::testing
