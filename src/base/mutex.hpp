#pragma once

#include <condition_variable>
#include <mutex>

#include "base/thread_annotations.hpp"

namespace sqlane::detail {

// std::mutex with the annotations that libstdc++'s own lacks.
class SQLANE_CAPABILITY("mutex") Mutex {
 public:
  void lock() SQLANE_ACQUIRE() { mutex_.lock(); }
  void unlock() SQLANE_RELEASE() { mutex_.unlock(); }

  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for its lifetime, except between unlock() and lock().
class SQLANE_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SQLANE_ACQUIRE(mutex) : lock_(mutex.native()) {}
  ~MutexLock() SQLANE_RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void lock() SQLANE_ACQUIRE() { lock_.lock(); }
  void unlock() SQLANE_RELEASE() { lock_.unlock(); }

  std::unique_lock<std::mutex>& native() { return lock_; }

 private:
  std::unique_lock<std::mutex> lock_;
};

using Condition = std::condition_variable;

}  // namespace sqlane::detail
