#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "sqlane/call_site.hpp"

namespace sqlane {

namespace detail {
class Core;

// Throws UsageError when the calling thread is inside a write of that database:
// what it would wait for comes only after that write.
void expect_waiting_can_end(const std::weak_ptr<Core>& core, const CallSite& waiting, const CallSite& asked);
}  // namespace detail

// The outcome of Database::write_async(): a std::future (and usable as one) that
// notices when waiting for it would never end. get() gives the closure's result
// once it is durable, or throws as Database::write() does.
// Use from one thread at a time.
template <class T>
class WriteFuture : public std::future<T> {
 public:
  WriteFuture() = default;
  WriteFuture(std::future<T> future, std::weak_ptr<detail::Core> core, CallSite asked)
      : std::future<T>(std::move(future)), core_(std::move(core)), asked_(asked) {}

  T get(CallSite site = CallSite::current()) {
    expect_waiting_can_end(site);
    return std::future<T>::get();
  }
  void wait(CallSite site = CallSite::current()) const {
    expect_waiting_can_end(site);
    std::future<T>::wait();
  }

 private:
  void expect_waiting_can_end(const CallSite& site) const {
    if (this->valid() && std::future<T>::wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      detail::expect_waiting_can_end(core_, site, asked_);
    }
  }

  std::weak_ptr<detail::Core> core_;
  CallSite asked_;
};

}  // namespace sqlane
