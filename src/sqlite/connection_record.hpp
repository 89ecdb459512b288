#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.hpp"
#include "sqlite/running_statement.hpp"

namespace sqlane::detail {

// Counted by one thread at a time, looked at by any. No atomic addition, so next to nothing.
class OwnCounter {
 public:
  void add(std::uint64_t count = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// What a connection lets others see, and what others ask of it. It outlives the
// connection, and serves the next one.
struct ConnectionRecord {
  RunningStatement running;
  std::atomic<std::uint64_t> wal_pages = 0;       // in the log, as of the connection's newest commit
  std::atomic<std::uint64_t> failed_commits = 0;  // since the newest one that wrote something, for want of a sound disk
  std::atomic<bool> is_interrupted = false;       // its statements end with InterruptedError, until that is taken back

  OwnCounter statement_hits;
  OwnCounter statements_prepared;
  OwnCounter errors;
  OwnCounter faults;     // errors that speak against the connection, rather than what it was asked
  OwnCounter locks_met;  // of other processes
};

// The records of one database's connections. Safe to use from any thread.
class ConnectionRecords {
 public:
  // One that no open connection has.
  [[nodiscard]] std::shared_ptr<ConnectionRecord> take() SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    for (const auto& record : records_) {
      if (record.use_count() > 1) continue;
      record->is_interrupted = false;  // that was meant for the one before
      return record;
    }
    return records_.emplace_back(std::make_shared<ConnectionRecord>());
  }

  template <class Visit>
  void for_each(Visit&& visit) SQLANE_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    for (const auto& record : records_) visit(*record);
  }

 private:
  Mutex mutex_;  // taken when a connection is opened, and by those who look
  std::vector<std::shared_ptr<ConnectionRecord>> records_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
