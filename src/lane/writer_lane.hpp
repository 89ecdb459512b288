#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "lane/admission.hpp"
#include "lane/batch.hpp"
#include "lane/group_commit.hpp"
#include "lane/job.hpp"
#include "sqlane/call_site.hpp"
#include "sqlane/lane.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {

// What the lane needs from those above it. Called by the lane's holder.
struct LaneHooks {
  Writer::Open open_writer;                     // for the first holder, and after a connection had to be retired
  std::function<void()> before;                 // before each use of the writer; may throw
  std::function<bool(Connection&)> needs_care;  // after a commit: is there something to do before the next?
  std::function<void(Connection&)> care;        // that; must not throw
};

struct LaneSettings {
  BatchLimits batch{};
  Clock::duration linger{};  // at most so long, a commit waits for those who are likely to come
};

// The one place that writes: a single connection, with one holder at a time.
// Jobs are run by their own threads while nobody else wants the lane; otherwise
// whoever holds it runs those of the others as well, in the order of admission,
// and commits them together. Guards hold it for as long as they live.
// Safe to use from any thread.
//
// The life of a waiter (Waiter::Outcome)
//
//             its turn, with a batch          the batch has ended
//   waiting ──────────────────────► taken ───────────────────────► done
//      │ └──────────────────────────► admitted                     (the lane is its own already,
//      │        its turn, alone                                    though it has not woken yet)
//      └────────────────────────────► done: deadline, stop token, close()
//
// Invariants
//  1. Under mutex_: at most one thread is admitted and has not given the lane
//     back; then and only then is_held_ is true.
//  2. Under mutex_: while the lane is not held, nobody waits: whoever gives it
//     back admits the next one itself.
//  3. A waiter leaves the queue under mutex_, at the hands of one thread, which
//     decides its outcome and gives its signal; a deadline, a stop or a close()
//     that comes later comes too late, and it waits for its batch to end.
//  4. The writer is touched only by whoever holds the lane, without the mutex.
//  5. A batch's jobs hear of its end after the lane has been passed on, so that
//     waking them overlaps with the next commit; and before any care (a
//     checkpoint), which they need not wait for.
//  6. A job that was taken is settled: nothing between two jobs of a batch can throw.
class WriterLane {
 public:
  WriterLane(LaneHooks hooks, LaneSettings settings, Clock& clock);
  WriterLane(const WriterLane&) = delete;
  WriterLane& operator=(const WriterLane&) = delete;

  // Runs the job, alone or with others, and returns when it is committed.
  // Throws what the job threw, or what kept it from being committed; and
  // TimeoutError naming the holder, InterruptedError, ClosedError, UsageError
  // when the calling thread holds the lane itself.
  void run(Job& job, Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);

  // For guards. Give it back with release(), from the same thread or another.
  // Throws likewise, or what opening the writer throws.
  Connection& acquire(Waiter& waiter, Clock::time_point deadline, std::stop_token stop) SQLANE_EXCLUDES(mutex_);
  void release() noexcept SQLANE_EXCLUDES(mutex_);

  // Throws UsageError when the calling thread holds the lane, so that waiting for it could not end.
  void expect_foreign_holder(const CallSite& site) SQLANE_EXCLUDES(mutex_);

  // Refuses new calls and wakes those that wait with ClosedError.
  void shut() noexcept SQLANE_EXCLUDES(mutex_);
  // shut(), then waits for the holder. Throws TimeoutError naming it.
  void drain(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // Requires: drained.
  void close() noexcept { writer_.retire(); }

  // Who has the lane now; nothing while it is idle.
  [[nodiscard]] std::optional<LaneHolder> holder() SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::size_t waiting() SQLANE_EXCLUDES(mutex_);

 private:
  void enter(Waiter& waiter, Clock::time_point deadline, const std::stop_token& stop) SQLANE_EXCLUDES(mutex_);
  void withdraw(Waiter& waiter, std::exception_ptr error) noexcept SQLANE_EXCLUDES(mutex_);
  void lead(Job& first) noexcept SQLANE_EXCLUDES(mutex_);
  void run_waiting(GroupCommit& batch) noexcept SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Job* take_next(BatchSoFar batch) noexcept SQLANE_EXCLUDES(mutex_);
  void linger(std::size_t jobs) noexcept SQLANE_EXCLUDES(mutex_);
  void pass_on() noexcept SQLANE_EXCLUDES(mutex_);
  void care() noexcept SQLANE_EXCLUDES(mutex_);
  static void wake(JobList& jobs, const Job& own) noexcept;

  void expect_foreign_holder_locked(const CallSite& site) SQLANE_REQUIRES(mutex_);
  void admit(const Waiter& waiter, Clock::time_point now) noexcept SQLANE_REQUIRES(mutex_);
  void dequeue(Waiter& waiter, Waiter::Outcome outcome) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] std::string describe_holder() SQLANE_REQUIRES(mutex_);

  // Constant after construction.
  const LaneHooks hooks_;
  const LaneSettings settings_;
  Clock& clock_;

  // Of the holder.
  Writer writer_;
  Linger linger_;
  Clock::time_point batch_began_;
  std::size_t clean_bytes_ = 0;  // of the page cache, when the batch first looked; 0 before

  Mutex mutex_;
  AdmissionQueue queue_ SQLANE_GUARDED_BY(mutex_);
  std::atomic<std::size_t> waiting_ = 0;               // changed under mutex_
  std::size_t awaited_ SQLANE_GUARDED_BY(mutex_) = 0;  // with so many waiting, lingering ends
  Condition arrived_;
  Condition released_;
  bool is_held_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;
  CallSite holder_site_ SQLANE_GUARDED_BY(mutex_);
  std::thread::id holder_thread_ SQLANE_GUARDED_BY(mutex_);
  Clock::time_point held_since_ SQLANE_GUARDED_BY(mutex_);
};

}  // namespace sqlane::detail
