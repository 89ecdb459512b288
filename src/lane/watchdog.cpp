#include "lane/watchdog.hpp"

#include <utility>

namespace sqlane::detail {

Watchdog::Watchdog(WriterLane& lane, Options::SlowWrite options)
    : lane_(lane), options_(std::move(options)), thread_([this] {
        while (const std::optional<LaneHolder> holder = lane_.await_slow_holder(options_.threshold)) {
          options_.callback(*holder);
        }
      }) {}

Watchdog::~Watchdog() {
  lane_.stop_watching();
  thread_.join();
}

}  // namespace sqlane::detail
