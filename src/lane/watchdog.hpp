#pragma once

#include <thread>

#include "lane/writer_lane.hpp"
#include "sqlane/options.hpp"

namespace sqlane::detail {

// Tells of those who have the lane for too long, while they have it.
class Watchdog {
 public:
  // Starts watching, on a thread of its own.
  Watchdog(WriterLane& lane, Options::SlowWrite options);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

 private:
  void watch();

  WriterLane& lane_;
  const Options::SlowWrite options_;
  std::thread thread_;
};

}  // namespace sqlane::detail
