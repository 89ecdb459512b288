#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "lane/admission.hpp"
#include "sqlane/call_site.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {

// The one place that writes: a single connection, lent to one holder at a time
// in the order of asking, and to its holder's own thread (no hand-over to a
// writer thread). Safe to use from any thread.
//
// Between states a thread can be
//   - waiting:  listed in queue_; leaves by being let in, by its deadline, or by close()
//   - let in:   is_admitted is set and the lane is its own already, though it has not
//               woken yet. A deadline or close() that comes now comes too late.
//   - holding:  after acquire() returned, until release()
//
// Invariants, under mutex_
//  1. At most one thread is let in or holding; then and only then is_held_ is true.
//  2. While the lane is not held, nobody waits: release() lets the next one in itself.
//  3. writer_ is touched only by whoever holds the lane, without the mutex.
class WriterLane {
 public:
  using OpenWriter = std::function<std::unique_ptr<Connection>()>;
  using BeforeRelease = std::function<void(Connection&)>;  // must not throw

  // `open_writer` is called for the first holder, and again after a connection had to be retired.
  WriterLane(OpenWriter open_writer, BeforeRelease before_release, Clock& clock);
  WriterLane(const WriterLane&) = delete;
  WriterLane& operator=(const WriterLane&) = delete;

  // Give it back with release(), from the same thread or another.
  // Throws TimeoutError naming the holder, ClosedError, UsageError when the
  // calling thread holds the lane itself, or what opening the writer throws.
  Connection& acquire(Clock::time_point deadline, CallSite site) SQLANE_EXCLUDES(mutex_);
  void release() noexcept SQLANE_EXCLUDES(mutex_);

  // Throws UsageError when the calling thread holds the lane, so that waiting for it could not end.
  void expect_foreign_holder(const CallSite& site) SQLANE_EXCLUDES(mutex_);

  // Refuses new calls and wakes those that wait with ClosedError.
  void shut() noexcept SQLANE_EXCLUDES(mutex_);
  // shut(), then waits for the holder. Throws TimeoutError naming it.
  void drain(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // Requires: drained.
  void close() noexcept { writer_.reset(); }

  [[nodiscard]] std::size_t waiting() SQLANE_EXCLUDES(mutex_);

 private:
  struct Waiter : AdmissionQueue::Node {
    CallSite site;
    std::thread::id thread;
    Condition wake;
    bool is_admitted = false;
  };

  void expect_foreign_holder_locked(const CallSite& site) SQLANE_REQUIRES(mutex_);
  void wait(MutexLock& lock, Clock::time_point deadline, const CallSite& site) SQLANE_REQUIRES(mutex_);
  void admit(const CallSite& site, std::thread::id thread) noexcept SQLANE_REQUIRES(mutex_);
  void pass_on() noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] std::string holder() SQLANE_REQUIRES(mutex_);

  // Constant after construction.
  const OpenWriter open_writer_;
  const BeforeRelease before_release_;
  Clock& clock_;

  std::unique_ptr<Connection> writer_;  // belongs to the holder

  Mutex mutex_;
  AdmissionQueue queue_ SQLANE_GUARDED_BY(mutex_);
  std::size_t waiting_ SQLANE_GUARDED_BY(mutex_) = 0;
  Condition released_;
  bool is_held_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;
  CallSite holder_site_ SQLANE_GUARDED_BY(mutex_);
  std::thread::id holder_thread_ SQLANE_GUARDED_BY(mutex_);
  Clock::time_point held_since_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
