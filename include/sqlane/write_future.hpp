#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "sqlane/call_site.hpp"

namespace sqlane {

namespace detail {
class Core;
class WaitEdge;

// While it lives, the calling thread waits for an asynchronous write. Throws
// UsageError when that would never end: inside a write of the same database, or
// in a ring of threads that wait for each other.
class FutureWait {
 public:
  FutureWait(const std::weak_ptr<Core>& core, const std::shared_ptr<std::atomic<bool>>& is_settled,
             const CallSite& waiting, const CallSite& asked);
  FutureWait(const FutureWait&) = delete;
  FutureWait& operator=(const FutureWait&) = delete;
  ~FutureWait();

 private:
  std::shared_ptr<Core> core_;
  std::unique_ptr<WaitEdge> edge_;  // when others may wait for this thread
};
}  // namespace detail

// The outcome of Database::write_async(): a std::future that notices when waiting
// for it would never end; a std::future moved out of it does not. get() gives the closure's result
// once it is durable, or throws as Database::write() does.
// Use from one thread at a time.
template <class T>
class WriteFuture : public std::future<T> {
 public:
  WriteFuture() = default;
  WriteFuture(std::future<T> future, std::weak_ptr<detail::Core> core, std::shared_ptr<std::atomic<bool>> is_settled,
              CallSite asked)
      : std::future<T>(std::move(future)), core_(std::move(core)), is_settled_(std::move(is_settled)), asked_(asked) {}

  T get(CallSite site = CallSite::current()) {
    if (this->valid()) wait(site);
    return std::future<T>::get();
  }
  void wait(CallSite site = CallSite::current()) const {
    if (std::future<T>::wait_for(std::chrono::seconds(0)) == std::future_status::ready) return;
    const detail::FutureWait waiting(core_, is_settled_, site, asked_);
    std::future<T>::wait();
  }

 private:
  std::weak_ptr<detail::Core> core_;
  std::shared_ptr<std::atomic<bool>> is_settled_;
  CallSite asked_;
};

}  // namespace sqlane
