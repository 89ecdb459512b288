#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "base/thread_number.hpp"
#include "base/wait_graph.hpp"
#include "lane/admission.hpp"
#include "lane/batch.hpp"
#include "lane/group_commit.hpp"
#include "lane/job.hpp"
#include "sqlane/call_site.hpp"
#include "sqlane/lane.hpp"
#include "sqlane/statistics.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {

// What the lane needs from those above it. Called by the lane's holder.
struct LaneHooks {
  Writer::Open open_writer;                        // for the first holder, and after a connection had to be retired
  std::function<void()> before;                    // before each use of the writer; may throw
  std::function<bool(Connection&)> needs_care;     // after a commit: is there something to do before the next?
  std::function<void(Connection&)> care;           // that; must not throw
  std::function<void(const WriteTrace&)> sampled;  // after a job that was traced; must not throw
};

struct LaneSettings {
  std::string database;  // as errors name it
  BatchLimits batch{};
  Clock::duration linger{};      // at most so long, a commit waits for those who are likely to come
  std::size_t posted = 10'000;   // jobs that nobody waits for, at most
  std::size_t sample_every = 0;  // one job in so many is traced; 0: none
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
// A job that nobody waits for (PostedJob) is admitted on behalf of the lane's own
// thread; it has no deadline of its own, and outlives shut().
//
// Invariants
//  1. Under mutex_: at most one thread is admitted and has not given the lane
//     back; then and only then is_held_ is true.
//  2. Under mutex_: while the lane is not held, nobody waits: whoever gives it
//     back admits the next one itself. (Posted jobs may wait, while the lane's own
//     thread is busy: it looks again when it is done. Meanwhile others find the
//     lane free, so that callbacks can use it.)
//  3. A waiter leaves the queue under mutex_, at the hands of one thread, which
//     decides its outcome and gives its signal; a deadline, a stop or a close()
//     that comes later comes too late, and it waits for its batch to end.
//  4. The writer is touched only by whoever holds the lane, without the mutex.
//  5. A batch's jobs hear of its end after the lane has been passed on, so that
//     waking them overlaps with the next commit; and before any care (a
//     checkpoint), which they need not wait for.
//  6. A job that was taken is settled: nothing between two jobs of a batch can throw.
//  7. What posted jobs have to tell, their callbacks and their futures, is told by
//     the lane's own thread alone, and never while it holds the lane: so it keeps
//     no caller waiting, and can itself write.
class WriterLane final : public Waitable {
 public:
  WriterLane(LaneHooks hooks, LaneSettings settings, Clock& clock);
  WriterLane(const WriterLane&) = delete;
  WriterLane& operator=(const WriterLane&) = delete;
  ~WriterLane();

  // Runs the job, alone or with others, and returns when it is committed.
  // Throws what the job threw, or what kept it from being committed; and
  // TimeoutError naming the holder, InterruptedError, ClosedError, UsageError
  // when the calling thread holds the lane itself.
  void run(Job& job, Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);

  // Takes a job over, which announces its outcome itself. Such jobs are run by
  // whoever has the lane, or by a thread of the lane's own, started with the
  // first of them. Throws ClosedError; when too many are on their way, waits for
  // `deadline` at most, then TimeoutError.
  void post(std::unique_ptr<PostedJob> job, Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);

  // For guards. Give it back with release(), from the same thread or another.
  // Throws likewise, or what opening the writer throws.
  Connection& acquire(Waiter& waiter, Clock::time_point deadline, const std::stop_token& stop) SQLANE_EXCLUDES(mutex_);
  void release() noexcept SQLANE_EXCLUDES(mutex_);
  // Takes the lane as acquire() does, without opening the writer. Throws TimeoutError, ClosedError, UsageError.
  void hold(Waiter& waiter, Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // By the holder.
  [[nodiscard]] Writer& writer() noexcept { return writer_; }

  // Throws UsageError when the calling thread holds the lane, so that waiting for it could not end.
  void expect_foreign_holder(const CallSite& site) SQLANE_EXCLUDES(mutex_);
  // Whether what is posted now has to wait for the calling thread.
  [[nodiscard]] bool is_mine() SQLANE_EXCLUDES(mutex_);
  // Whether the calling thread is the one that tells of posted jobs.
  [[nodiscard]] bool is_own_thread() SQLANE_EXCLUDES(mutex_);

  // Refuses new calls and wakes those that wait with ClosedError.
  void shut() noexcept SQLANE_EXCLUDES(mutex_);
  // shut(), then waits for the posted jobs and for the holder. At the deadline it
  // fails the former with ClosedError, and throws TimeoutError naming the latter.
  void drain(Clock::time_point deadline) SQLANE_EXCLUDES(mutex_);
  // Requires: shut. Waits for the posted jobs and their callbacks; what has not
  // begun at the deadline, or when waiting is no use, fails with ClosedError.
  enum class Guards : std::uint8_t { waited_for, not_waited_for };
  void settle_posted(Clock::time_point deadline, Guards guards) noexcept SQLANE_EXCLUDES(mutex_);
  // Requires: drained.
  void close() noexcept { writer_.retire(); }

  // One more guard. By the holder.
  void count_guard() noexcept { counters_.guards.add(); }
  // Takes no lock.
  [[nodiscard]] LaneStatistics statistics() const;
  // The connection that writes; nothing while there is none.
  [[nodiscard]] std::optional<ResourceReport> connection() SQLANE_EXCLUDES(mutex_);

  // Who has the lane now; nothing while it is idle.
  [[nodiscard]] std::optional<LaneHolder> holder() SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::size_t waiting() SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Holder> holders() override SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] std::string name() const override { return "the writer lane of " + settings_.database; }

  // Returns once something has had the lane for `threshold`, still having it;
  // each only once. For one thread; ends with nothing after stop_watching().
  [[nodiscard]] std::optional<LaneHolder> await_slow_holder(Clock::duration threshold) SQLANE_EXCLUDES(mutex_);
  void stop_watching() noexcept SQLANE_EXCLUDES(mutex_);

 private:
  void enter(Waiter& waiter, Clock::time_point deadline, const std::stop_token& stop) SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] bool admit_or_enqueue(Waiter& waiter, const std::stop_token& stop) SQLANE_EXCLUDES(mutex_);
  void enqueue(Waiter& waiter) noexcept SQLANE_REQUIRES(mutex_);
  void withdraw(Waiter& waiter, std::exception_ptr error) noexcept SQLANE_EXCLUDES(mutex_);
  void lead(Job& first) noexcept SQLANE_EXCLUDES(mutex_);
  void run_waiting(GroupCommit& batch) noexcept SQLANE_EXCLUDES(mutex_);
  [[nodiscard]] Job* take_next(BatchSoFar batch) noexcept SQLANE_EXCLUDES(mutex_);
  void linger(std::size_t jobs) noexcept SQLANE_EXCLUDES(mutex_);
  void pass_on() noexcept SQLANE_EXCLUDES(mutex_);
  void care() noexcept SQLANE_EXCLUDES(mutex_);
  void announce(JobList& jobs, const Job& own) noexcept SQLANE_EXCLUDES(mutex_);
  void serve() noexcept SQLANE_EXCLUDES(mutex_);
  void sample(Job& job);
  void fail_posted() noexcept SQLANE_EXCLUDES(mutex_);
  void stop_posted(PostedJob& job) noexcept SQLANE_EXCLUDES(mutex_);
  void end_posted(PostedJob& job) noexcept SQLANE_REQUIRES(mutex_);

  [[nodiscard]] bool is_mine_locked() SQLANE_REQUIRES(mutex_);
  void expect_foreign_holder_locked(const CallSite& site) SQLANE_REQUIRES(mutex_);
  void admit(Waiter& waiter, Clock::time_point now) noexcept SQLANE_REQUIRES(mutex_);
  void take_over(const Waiter& waiter, Clock::time_point now) noexcept SQLANE_REQUIRES(mutex_);
  [[nodiscard]] LaneHolder holder_locked() SQLANE_REQUIRES(mutex_);
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
  std::size_t clean_bytes_ = 0;  // of the page cache, before the batch began

  Mutex mutex_;
  AdmissionQueue queue_ SQLANE_GUARDED_BY(mutex_);
  std::atomic<std::size_t> waiting_ = 0;               // changed under mutex_
  std::size_t awaited_ SQLANE_GUARDED_BY(mutex_) = 0;  // with so many waiting, lingering ends
  Condition arrived_;
  Condition released_;
  bool is_held_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_closed_ SQLANE_GUARDED_BY(mutex_) = false;
  Claim holder_claim_ SQLANE_GUARDED_BY(mutex_) = Claim::hold;
  CallSite holder_site_ SQLANE_GUARDED_BY(mutex_);
  ThreadNumber holder_thread_ SQLANE_GUARDED_BY(mutex_) = ThreadNumber::none;
  Clock::time_point held_since_ SQLANE_GUARDED_BY(mutex_);
  std::uint64_t holds_ SQLANE_GUARDED_BY(mutex_) = 0;  // so far, a batch's jobs one by one

  // Jobs that nobody waits for.
  std::atomic<std::size_t> posted_ = 0;      // that have not ended; changed under mutex_
  JobList ended_ SQLANE_GUARDED_BY(mutex_);  // and have not been announced
  Condition posted_ended_;
  PostedJob* assigned_ SQLANE_GUARDED_BY(mutex_) = nullptr;  // admitted, for the lane's own thread
  Condition thread_wanted_;
  bool is_thread_busy_ SQLANE_GUARDED_BY(mutex_) = false;
  bool is_thread_stopped_ SQLANE_GUARDED_BY(mutex_) = false;
  bool* is_destroyed_ = nullptr;  // for the lane's own thread, when it destroys the lane
  std::thread thread_ SQLANE_GUARDED_BY(mutex_);
  ThreadNumber thread_number_ SQLANE_GUARDED_BY(mutex_) = ThreadNumber::none;

  // For the watchdog.
  Condition watched_;
  bool is_unwatched_ SQLANE_GUARDED_BY(mutex_) = false;
  bool watcher_sleeps_ SQLANE_GUARDED_BY(mutex_) = false;  // until somebody takes the lane
  std::uint64_t reported_hold_ SQLANE_GUARDED_BY(mutex_) = 0;

  std::atomic<std::size_t> asked_ = 0;  // jobs, to sample one in so many
  LaneCounters counters_;
};

}  // namespace sqlane::detail
