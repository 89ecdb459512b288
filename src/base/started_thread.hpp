#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {

// A thread that does `work`, which is for `purpose`. Throws Error where the
// system has none to give.
template <class Work>
[[nodiscard]] std::thread started_thread(Work work, const char* purpose) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    throw Error(std::string("no thread can be started for ") + purpose + ": " + error.code().message() +
                    "; the process, or its user, has as many as it may have",
                {.retryable = true});
  }
}

}  // namespace sqlane::detail
