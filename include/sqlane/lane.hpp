#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "sqlane/call_site.hpp"

namespace sqlane {

// Who has the writer lane at a moment.
struct LaneHolder {
  CallSite site;                                  // where the write was asked for
  std::string sql;                                // what runs: a statement's beginning, BEGIN, COMMIT; or nothing
  std::chrono::steady_clock::time_point since{};  // this write has had the lane
  std::chrono::steady_clock::duration held{};     // until now
  std::size_t waiting = 0;                        // others who want the lane
};

// Where the time of one write went.
struct WriteTrace {
  using Duration = std::chrono::steady_clock::duration;

  CallSite site;
  Duration queue_wait{};  // for the lane
  Duration lock_wait{};   // for the database's write lock, and beginning the transaction
  Duration run{};         // its closure
  Duration commit{};      // from its closure's end to the end of the commit; others' closures may run in between
  Duration sync{};        // of that: waiting for the disk
  std::size_t jobs = 0;   // that shared the commit
};

}  // namespace sqlane
