#include "lane/writer_lane.hpp"

#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {

WriterLane::WriterLane(LaneHooks hooks, LaneSettings settings, Clock& clock)
    : hooks_(std::move(hooks)), settings_(settings), clock_(clock), writer_(hooks_.open_writer) {}

void WriterLane::run(Job& job, Clock::time_point deadline) {
  enter(job, deadline, job.options->stop);
  if (job.outcome == Waiter::Outcome::admitted) lead(job);
  if (job.error != nullptr) std::rethrow_exception(std::move(job.error));
}

Connection& WriterLane::acquire(Waiter& waiter, Clock::time_point deadline, std::stop_token stop) {
  enter(waiter, deadline, stop);
  if (waiter.error != nullptr) std::rethrow_exception(std::move(waiter.error));
  try {
    hooks_.before();
    return writer_.get();
  } catch (...) {
    pass_on();
    throw;
  }
}

void WriterLane::release() noexcept {
  writer_.tidy();
  if (writer_.is_open() && hooks_.needs_care(writer_.get())) {
    care();
  }
  pass_on();
}

void WriterLane::care() noexcept {
  static constexpr std::string_view kShown = "checkpoint";
  const RunningStatement::Scope scope(&writer_.running(), kShown);
  hooks_.care(writer_.get());
  writer_.tidy();
}

// Returns when the waiter has been admitted or is done.
void WriterLane::enter(Waiter& waiter, Clock::time_point deadline, const std::stop_token& stop) {
  waiter.thread = std::this_thread::get_id();
  if (stop.stop_requested()) throw InterruptedError("stopped before it began: the write at " + waiter.site.to_string());
  {
    const MutexLock lock(mutex_);
    if (is_closed_) throw ClosedError("the database has been closed");
    expect_foreign_holder_locked(waiter.site);
    waiter.asked = clock_.now();
    if (!is_held_) {
      waiter.outcome = Waiter::Outcome::admitted;
      admit(waiter, waiter.asked);
      return;
    }
    queue_.join(waiter);
    waiting_.store(waiting_ + 1, std::memory_order_relaxed);
    if (awaited_ != 0 && (waiting_ >= awaited_ || waiter.claim != Claim::job)) arrived_.notify_one();
  }
  const auto stop_waiting = [&] {
    withdraw(waiter, std::make_exception_ptr(
                         InterruptedError("stopped while it waited: the write at " + waiter.site.to_string())));
  };
  // Its destructor waits for a stop_waiting() that is under way.
  const std::stop_callback on_stop(stop, stop_waiting);
  if (waiter.signal.await(clock_, deadline)) return;
  {
    const MutexLock lock(mutex_);
    if (waiter.outcome == Waiter::Outcome::waiting) {
      dequeue(waiter, Waiter::Outcome::done);
      throw TimeoutError(
          "the writer lane did not come free in time for " + waiter.site.to_string() + "; " + describe_holder(),
          {.retryable = true});
    }
  }
  while (!waiter.signal.await(clock_, Clock::time_point::max())) {
  }
}

void WriterLane::withdraw(Waiter& waiter, std::exception_ptr error) noexcept {
  {
    const MutexLock lock(mutex_);
    if (waiter.outcome != Waiter::Outcome::waiting) return;
    dequeue(waiter, Waiter::Outcome::done);
  }
  waiter.error = std::move(error);
  waiter.signal.give();
}

// Runs a batch, which begins with the caller's own job, and passes the lane on.
void WriterLane::lead(Job& first) noexcept {
  GroupCommit batch(writer_, hooks_.before);
  batch_began_ = first.asked;
  clean_bytes_ = 0;
  if (batch.run(first)) {
    run_waiting(batch);
    if (const std::size_t jobs = batch.so_far().jobs; linger_.worth_waiting_for(jobs) != 0) {
      linger(jobs);
      run_waiting(batch);
    }
  }
  const std::size_t jobs = batch.so_far().jobs;
  batch.commit();
  linger_.committed(jobs, waiting_.load(std::memory_order_relaxed));
  if (writer_.is_open() && hooks_.needs_care(writer_.get())) {
    wake(batch.settled(), first);
    care();
    pass_on();
  } else {
    pass_on();
    wake(batch.settled(), first);
  }
}

void WriterLane::run_waiting(GroupCommit& batch) noexcept {
  while (Job* const next = take_next(batch.so_far())) {
    if (!batch.run(*next)) return;
  }
}

// The next in line, if it joins the batch.
Job* WriterLane::take_next(BatchSoFar batch) noexcept {
  // Whoever is just about to join the queue will find the next batch.
  if (waiting_.load(std::memory_order_relaxed) == 0) return nullptr;
  const Clock::time_point now = clock_.now();
  batch.run_time = now - batch_began_;
  if (writer_.is_open()) {
    const std::size_t bytes = writer_.get().page_cache_bytes();
    if (clean_bytes_ == 0) clean_bytes_ = bytes;
    batch.bytes = bytes > clean_bytes_ ? bytes - clean_bytes_ : 0;
  }
  const MutexLock lock(mutex_);
  auto* const next = static_cast<Waiter*>(queue_.next());
  if (next == nullptr || is_closed_) return nullptr;
  if (!joins(batch, {.claim = next->claim, .is_interruptible = next->is_interruptible}, settings_.batch)) {
    return nullptr;
  }
  dequeue(*next, Waiter::Outcome::taken);
  holder_site_ = next->site;
  held_since_ = now;
  return static_cast<Job*>(next);
}

// Waits until as many want the lane as shared the last commit, or not much longer.
void WriterLane::linger(std::size_t jobs) noexcept {
  if (settings_.linger == Clock::duration::zero()) return;
  const Clock::time_point end = clock_.now() + settings_.linger;
  MutexLock lock(mutex_);
  awaited_ = linger_.worth_waiting_for(jobs) - jobs;
  while (waiting_ < awaited_ && !is_closed_ && clock_.now() < end) {
    const auto* const next = static_cast<const Waiter*>(queue_.next());
    if (next != nullptr && next->claim != Claim::job) break;
    clock_.wait_until(arrived_, lock, end);
  }
  awaited_ = 0;
}

void WriterLane::pass_on() noexcept {
  MutexLock lock(mutex_);
  auto* const next = static_cast<Waiter*>(queue_.next());
  if (next == nullptr) {
    is_held_ = false;
    holder_thread_ = {};
    released_.notify_all();
    return;
  }
  dequeue(*next, Waiter::Outcome::admitted);
  admit(*next, clock_.now());
  lock.unlock();
  next->signal.give();
}

void WriterLane::wake(JobList& jobs, const Job& own) noexcept {
  while (Job* const job = jobs.take()) {
    if (job != &own) job->signal.give();
  }
}

void WriterLane::admit(const Waiter& waiter, Clock::time_point now) noexcept {
  is_held_ = true;
  holder_site_ = waiter.site;
  holder_thread_ = waiter.thread;
  held_since_ = now;
}

void WriterLane::dequeue(Waiter& waiter, Waiter::Outcome outcome) noexcept {
  AdmissionQueue::leave(waiter);
  waiter.outcome = outcome;
  waiting_.store(waiting_ - 1, std::memory_order_relaxed);
}

void WriterLane::expect_foreign_holder(const CallSite& site) {
  const MutexLock lock(mutex_);
  expect_foreign_holder_locked(site);
}

void WriterLane::expect_foreign_holder_locked(const CallSite& site) {
  if (!is_held_ || holder_thread_ != std::this_thread::get_id()) return;
  throw UsageError("waiting for the writer lane at " + site.to_string() +
                   " would wait for this thread itself: the lane is " + describe_holder());
}

void WriterLane::drain(Clock::time_point deadline) {
  shut();
  MutexLock lock(mutex_);
  while (is_held_) {
    if (clock_.now() >= deadline) throw TimeoutError("the writer lane is still in use; " + describe_holder());
    clock_.wait_until(released_, lock, deadline);
  }
}

void WriterLane::shut() noexcept {
  const MutexLock lock(mutex_);
  is_closed_ = true;
  arrived_.notify_one();
  while (auto* const waiter = static_cast<Waiter*>(queue_.next())) {
    dequeue(*waiter, Waiter::Outcome::done);
    waiter->error = std::make_exception_ptr(ClosedError("the database has been closed"));
    waiter->signal.give();
  }
}

std::optional<LaneHolder> WriterLane::holder() {
  const std::string sql = writer_.running().text();
  const MutexLock lock(mutex_);
  if (!is_held_) return std::nullopt;
  return LaneHolder{
      .site = holder_site_, .sql = sql, .since = held_since_, .held = clock_.now() - held_since_, .waiting = waiting_};
}

std::size_t WriterLane::waiting() {
  const MutexLock lock(mutex_);
  return waiting_;
}

std::string WriterLane::describe_holder() {
  const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - held_since_);
  return "held by " + holder_site_.to_string() + " for " + std::to_string(held.count()) + " ms";
}

}  // namespace sqlane::detail
