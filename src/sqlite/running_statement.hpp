#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/mutex.hpp"

namespace sqlane::detail {

// What a connection is doing at the moment, for other threads to look at. The
// connection publishes the text of each statement for as long as it runs: two
// stores. Only whoever frees such a text has to wait for those who look at it.
class RunningStatement {
 public:
  class Scope {
   public:
    Scope(RunningStatement* running, const std::string_view& text) noexcept : running_(running) {
      if (running_ == nullptr) return;
      outer_ = running_->text_.load(std::memory_order_relaxed);
      running_->text_.store(&text, std::memory_order_release);
    }
    ~Scope() {
      if (running_ != nullptr) running_->text_.store(outer_, std::memory_order_release);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    RunningStatement* running_;
    const std::string_view* outer_ = nullptr;
  };

  // Its first characters; empty when nothing runs.
  [[nodiscard]] std::string text() SQLANE_EXCLUDES(mutex_) {
    constexpr std::size_t kMost = 500;
    const MutexLock lock(mutex_);
    const std::string_view* const text = text_.load(std::memory_order_acquire);
    return text == nullptr ? std::string() : std::string(text->substr(0, std::min(text->size(), kMost)));
  }

  // Returns when nobody looks any more at a text that is not running now.
  void wait_for_lookers() SQLANE_EXCLUDES(mutex_) { const MutexLock lock(mutex_); }

 private:
  std::atomic<const std::string_view*> text_ = nullptr;
  Mutex mutex_;  // held while somebody looks
};

}  // namespace sqlane::detail
