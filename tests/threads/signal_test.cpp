#include "base/signal.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include "support/manual_clock.hpp"

namespace sqlane::detail {
namespace {

constexpr int kLooks = 4;

constexpr int kSignals = 3000;

// One thread makes a signal, awaits it and destroys it at once; the other one
// gives it as soon as it sees it: before, during or after going to sleep.
template <class Await>
void run_rounds(Await await) {
  std::atomic<Signal*> shown = nullptr;
  std::atomic<bool> is_over = false;
  std::jthread giver([&] {
    while (!is_over) {
      if (Signal* const signal = shown.exchange(nullptr)) {
        signal->give();
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (int round = 0; round < kSignals; ++round) {
    const auto signal = std::make_unique<Signal>();
    shown = signal.get();
    for (int i = 0; i < round % 40; ++i) std::this_thread::yield();  // so that it is often given before
    await(*signal);
  }
  is_over = true;
}

TEST(SignalRounds, EachIsSeenOnceAndNotTouchedAfterwards) {
  testing::SteppedClock clock;
  run_rounds([&](Signal& signal) { EXPECT_TRUE(signal.await(clock, Clock::time_point::max(), kLooks)); });
}

TEST(SignalRounds, EachIsSeenAlthoughDeadlinesComeBefore) {
  testing::SteppedClock clock;
  run_rounds([&](Signal& signal) {
    while (!signal.await(clock, clock.now(), kLooks)) {
    }
  });
}

}  // namespace
}  // namespace sqlane::detail
