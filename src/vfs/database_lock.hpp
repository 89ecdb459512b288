#pragma once

#include <cstdint>

#include "base/mutex.hpp"

namespace sqlane::detail {

// The lock of a database file: what SQLite's xLock and xUnlock ask for. With a
// write-ahead log it hardly matters: whoever has the database open shares it,
// and it is exclusive while the journal mode changes and when the last one
// closes. https://sqlite.org/lockingv3.html
// Safe to use from any thread.
class DatabaseLock {
 public:
  enum class Level : std::uint8_t {
    none,
    shared,
    reserved,   // about to write; others may still read
    pending,    // as reserved, and nobody new may read
    exclusive,  // alone
  };

  // Raises the level of one who has `held`, which tells how far it came. False
  // when others are in the way. Who wants to be alone straight from shared (to
  // clean up after a log, or a crash) keeps nobody out by failing.
  [[nodiscard]] bool raise(const void* holder, Level& held, Level wanted) SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (held >= wanted) return true;
    if (held == Level::none) {
      if (is_pending_) return false;
      ++sharing_;
      held = Level::shared;
    }
    if (wanted == Level::shared) return true;
    if (writer_ != nullptr && writer_ != holder) return false;
    if (wanted == Level::exclusive && held == Level::shared && sharing_ > 1) return false;
    writer_ = holder;
    if (held < Level::reserved) held = Level::reserved;
    if (wanted == Level::reserved) return true;
    is_pending_ = true;
    if (held < Level::pending) held = Level::pending;
    if (wanted == Level::pending) return true;
    if (sharing_ > 1) return false;
    held = Level::exclusive;
    return true;
  }

  // To shared or none.
  void lower(const void* holder, Level& held, Level wanted) noexcept SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (held <= wanted) return;
    if (writer_ == holder) {
      writer_ = nullptr;
      is_pending_ = false;
    }
    if (wanted == Level::none) --sharing_;
    held = wanted;
  }

  // Whether anybody is about to write.
  [[nodiscard]] bool is_reserved() SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return writer_ != nullptr;
  }

 private:
  Mutex mutex_;
  int sharing_ SQLANE_GUARDED_BY(mutex_) = 0;  // holders of any level
  const void* writer_ SQLANE_GUARDED_BY(mutex_) = nullptr;
  bool is_pending_ SQLANE_GUARDED_BY(mutex_) = false;
};

}  // namespace sqlane::detail
