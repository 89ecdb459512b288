#include "lane/watchdog.hpp"

#include <algorithm>
#include <utility>

#include "base/started_thread.hpp"

namespace sqlane::detail {

Watchdog::Watchdog(WriterLane& lane, Options::SlowWrite options)
    : lane_(lane),
      options_(std::move(options)),
      thread_(started_thread([this] { watch(); }, "Options::on_slow_write")) {}

void Watchdog::watch() {
  constexpr std::chrono::milliseconds kNever = std::chrono::hours(365 * 24);
  const Clock::duration threshold = std::min(options_.threshold, kNever);
  while (const std::optional<LaneHolder> holder = lane_.await_slow_holder(threshold)) options_.callback(*holder);
}

Watchdog::~Watchdog() {
  lane_.stop_watching();
  thread_.join();
}

}  // namespace sqlane::detail
