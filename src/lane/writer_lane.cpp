#include "lane/writer_lane.hpp"

#include <utility>

#include "base/started_thread.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {

WriterLane::WriterLane(LaneHooks hooks, LaneSettings settings, Clock& clock)
    : hooks_(std::move(hooks)), settings_(std::move(settings)), clock_(clock), writer_(hooks_.open_writer, clock) {}

WriterLane::~WriterLane() {
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    is_thread_stopped_ = true;
    thread_wanted_.notify_one();
    thread = std::move(thread_);
  }
  if (!thread.joinable()) return;
  if (thread.get_id() == std::this_thread::get_id()) {
    *is_destroyed_ = true;  // it was the last to keep the lane alive
    thread.detach();
  } else {
    thread.join();
  }
}

void WriterLane::run(Job& job, Clock::time_point deadline) {
  sample(job);
  enter(job, deadline, job.options->stop);
  if (job.outcome == Waiter::Outcome::admitted) lead(job);
  if (job.error != nullptr) std::rethrow_exception(std::move(job.error));
  if (job.trace) hooks_.sampled(*job.trace);
}

void WriterLane::sample(Job& job) {
  if (settings_.sample_every == 0) return;
  if (asked_.fetch_add(1, std::memory_order_relaxed) % settings_.sample_every != 0) return;
  job.trace.emplace(WriteTrace{.site = job.site});
}

Connection& WriterLane::acquire(Waiter& waiter, Clock::time_point deadline, const std::stop_token& stop) {
  enter(waiter, deadline, stop);
  if (waiter.error != nullptr) std::rethrow_exception(std::move(waiter.error));
  try {
    hooks_.before();
    Connection& writer = writer_.get();
    HeldHere::add();
    return writer;
  } catch (...) {
    pass_on();
    throw;
  }
}

void WriterLane::hold(Waiter& waiter, Clock::time_point deadline) {
  enter(waiter, deadline, {});
  if (waiter.error != nullptr) std::rethrow_exception(waiter.error);
  HeldHere::add();
}

void WriterLane::release() noexcept {
  HeldHere::remove();
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
  waiter.thread = this_thread_number();
  std::optional<WaitEdge> edge;
  // Others may wait for what this thread holds.
  if (HeldHere::any() && clock_.now() < deadline) edge.emplace(*this, waiter.site, *waiter.is_over);
  // Its destructor waits for a withdraw() that is under way.
  const std::stop_callback on_stop(stop, [&] {
    withdraw(waiter, std::make_exception_ptr(
                         InterruptedError("stopped while it waited: the write at " + waiter.site.to_string())));
  });
  if (admit_or_enqueue(waiter, stop)) return;
  const int looks = looks_among(waiting_.load(std::memory_order_relaxed));
  if (waiter.signal.await(clock_, deadline, looks)) return;
  {
    const MutexLock lock(mutex_);
    if (waiter.outcome == Waiter::Outcome::waiting) {
      dequeue(waiter, Waiter::Outcome::done);
      throw TimeoutError(
          "the writer lane did not come free in time for " + waiter.site.to_string() + "; " + describe_holder(),
          {.retryable = true});
    }
  }
  while (!waiter.signal.await(clock_, Clock::time_point::max(), looks)) {
  }
}

// True when the lane is the waiter's own. A stop that was requested before is
// seen here; one that comes later finds the waiter in the queue.
bool WriterLane::admit_or_enqueue(Waiter& waiter, const std::stop_token& stop) {
  const MutexLock lock(mutex_);
  if (is_closed_) throw ClosedError("the database has been closed");
  if (stop.stop_requested()) throw InterruptedError("stopped before it began: the write at " + waiter.site.to_string());
  expect_foreign_holder_locked(waiter.site);
  waiter.asked = clock_.now();
  if (is_held_) {
    enqueue(waiter);
    return false;
  }
  admit(waiter, waiter.asked);
  return true;
}

void WriterLane::enqueue(Waiter& waiter) noexcept {
  waiter.outcome = Waiter::Outcome::waiting;
  queue_.join(waiter);
  waiting_.store(waiting_ + 1, std::memory_order_relaxed);
  if (awaited_ != 0 && (waiting_ >= awaited_ || waiter.claim != Claim::job)) arrived_.notify_one();
}

void WriterLane::post(std::unique_ptr<PostedJob> job, Clock::time_point deadline) {
  const std::stop_token stop = job->options->stop;
  if (stop.stop_possible()) job->on_stop.emplace(stop, [this, posted = job.get()] { stop_posted(*posted); });
  const bool waits = job->options->when_full == WhenFull::wait;
  MutexLock lock(mutex_);
  while (!is_closed_ && posted_ >= settings_.posted) {
    if (waits) expect_foreign_holder_locked(job->site);
    if (!waits || clock_.now() >= deadline) {
      throw TimeoutError("there are " + std::to_string(posted_) + " asynchronous writes on their way already, at " +
                             job->site.to_string(),
                         {.retryable = true});
    }
    clock_.wait_until(posted_ended_, lock, deadline);
  }
  if (is_closed_) throw ClosedError("the database has been closed");
  if (stop.stop_requested()) throw InterruptedError("stopped before it began: the write at " + job->site.to_string());
  if (!thread_.joinable()) {
    thread_number_ = next_thread_number();
    auto work = [this, number = thread_number_] {
      own_thread_number = number;
      serve();
    };
    thread_ = started_thread(work, "asynchronous writes");
  }
  ++posted_;
  sample(*job);
  PostedJob& taken_over = *job.release();
  taken_over.thread = thread_number_;
  taken_over.asked = clock_.now();
  if (is_held_ || is_thread_busy_) {
    enqueue(taken_over);
  } else {
    admit(taken_over, taken_over.asked);
  }
}

// A stop that comes before the job is in the queue is noticed by post(), under the mutex.
void WriterLane::stop_posted(PostedJob& job) noexcept {
  const MutexLock lock(mutex_);
  if (job.outcome != Waiter::Outcome::waiting) return;
  dequeue(job, Waiter::Outcome::done);
  job.error =
      std::make_exception_ptr(InterruptedError("stopped while it waited: the write at " + job.site.to_string()));
  end_posted(job);
}

void WriterLane::end_posted(PostedJob& job) noexcept {
  --posted_;
  ended_.add(job);
  posted_ended_.notify_all();
  thread_wanted_.notify_one();
}

// What the lane's own thread does: tells of the posted jobs that have ended, and
// leads the batches that begin with one.
void WriterLane::serve() noexcept {
  bool is_destroyed = false;
  MutexLock lock(mutex_);
  is_destroyed_ = &is_destroyed;
  while (true) {
    auto* const next = static_cast<Waiter*>(queue_.next());
    if (next != nullptr && !is_held_ && ended_.empty()) {
      dequeue(*next, Waiter::Outcome::admitted);
      admit(*next, clock_.now());
    }
    while (assigned_ == nullptr && ended_.empty() && !is_thread_stopped_) {
      clock_.wait_until(thread_wanted_, lock, Clock::time_point::max());
    }
    PostedJob* const assigned = std::exchange(assigned_, nullptr);
    auto* const ended = assigned != nullptr ? nullptr : static_cast<PostedJob*>(ended_.take());
    if (assigned == nullptr && ended == nullptr) return;
    is_thread_busy_ = true;
    lock.unlock();
    if (assigned != nullptr) {
      lead(*assigned);
    } else {
      std::shared_ptr<void> alive = ended->alive;
      if (ended->trace && ended->error == nullptr) hooks_.sampled(*ended->trace);
      ended->announce();
      alive.reset();
      if (is_destroyed) return;
    }
    lock.lock();
    is_thread_busy_ = false;
    posted_ended_.notify_all();
  }
}

void WriterLane::settle_posted(Clock::time_point deadline, Guards guards) noexcept {
  {
    MutexLock lock(mutex_);
    const bool waits_for_itself = is_mine_locked();
    while ((posted_ > 0 || !ended_.empty() || is_thread_busy_) && !waits_for_itself && clock_.now() < deadline) {
      const bool is_kept_by_guard = is_held_ && holder_claim_ == Claim::hold && ended_.empty() && !is_thread_busy_;
      if (is_kept_by_guard && guards == Guards::not_waited_for) break;
      clock_.wait_until(posted_ended_, lock, deadline);
    }
  }
  fail_posted();
}

// They have not run, so there is nobody to call back: any thread can tell.
void WriterLane::fail_posted() noexcept {
  JobList failed;
  {
    const MutexLock lock(mutex_);
    while (auto* const waiter = static_cast<Waiter*>(queue_.next())) {
      dequeue(*waiter, Waiter::Outcome::done);
      waiter->error = std::make_exception_ptr(ClosedError("the database was closed before its turn came"));
      failed.add(static_cast<Job&>(*waiter));
      --posted_;
    }
    posted_ended_.notify_all();
  }
  while (Job* const job = failed.take()) static_cast<PostedJob*>(job)->announce();
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
  HeldHere::add();
  GroupCommit batch(writer_, hooks_.before, counters_, clock_);
  batch_began_ = first.admitted;
  clean_bytes_ = writer_.is_open() ? writer_.get().page_cache_bytes() : 0;
  if (batch.run(first)) {
    run_waiting(batch);
    if (const std::size_t jobs = batch.so_far().jobs; linger_.worth_waiting_for(jobs) != 0) {
      linger(jobs);
      run_waiting(batch);
    }
  }
  HeldHere::remove();
  const std::size_t jobs = batch.so_far().jobs;
  batch.commit();
  linger_.committed(jobs, waiting_.load(std::memory_order_relaxed));
  if (writer_.is_open() && hooks_.needs_care(writer_.get())) {
    announce(batch.settled(), first);
    care();
    pass_on();
  } else {
    pass_on();
    announce(batch.settled(), first);
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
  batch.run_time = std::chrono::duration_cast<std::chrono::microseconds>(now - batch_began_);
  if (writer_.is_open()) {
    const std::size_t bytes = writer_.get().page_cache_bytes();
    batch.bytes = bytes > clean_bytes_ ? bytes - clean_bytes_ : 0;
  }
  const MutexLock lock(mutex_);
  auto* const next = static_cast<Waiter*>(queue_.next());
  if (next == nullptr) return nullptr;
  if (!joins(batch, {.claim = next->claim, .is_interruptible = next->is_interruptible}, settings_.batch)) {
    return nullptr;
  }
  dequeue(*next, Waiter::Outcome::taken);
  take_over(*next, now);
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
  auto* next = static_cast<Waiter*>(queue_.next());
  if (next != nullptr && next->is_posted && is_thread_busy_) {  // somebody else can lead those in front as well
    next = static_cast<Waiter*>(
        queue_.next_of([](const AdmissionQueue::Node& node) { return !static_cast<const Waiter&>(node).is_posted; }));
  }
  if (next == nullptr) {
    is_held_ = false;
    holder_thread_ = ThreadNumber::none;
    released_.notify_all();
    return;
  }
  dequeue(*next, Waiter::Outcome::admitted);
  admit(*next, clock_.now());
  const bool is_awaited = !next->is_posted;  // a posted one may be gone as soon as the mutex is free
  lock.unlock();
  if (is_awaited) next->signal.give();
}

// The caller's own job has its caller's ear already.
void WriterLane::announce(JobList& jobs, const Job& own) noexcept {
  JobList posted;
  while (Job* const job = jobs.take()) {
    if (job->is_posted) {
      posted.add(*job);
    } else if (job != &own) {
      job->signal.give();
    }
  }
  if (posted.empty()) return;
  const MutexLock lock(mutex_);
  while (Job* const job = posted.take()) end_posted(static_cast<PostedJob&>(*job));
}

void WriterLane::admit(Waiter& waiter, Clock::time_point now) noexcept {
  is_held_ = true;
  holder_thread_ = waiter.thread;
  waiter.outcome = Waiter::Outcome::admitted;
  waiter.admitted = now;
  waiter.end_waiting();
  take_over(waiter, now);
  if (!waiter.is_posted) return;
  assigned_ = static_cast<PostedJob*>(&waiter);
  thread_wanted_.notify_one();
}

// What the lane is used for from now on.
void WriterLane::take_over(const Waiter& waiter, Clock::time_point now) noexcept {
  holder_claim_ = waiter.claim;
  holder_site_ = waiter.site;
  held_since_ = now;
  ++holds_;
  if (!watcher_sleeps_) return;
  watcher_sleeps_ = false;
  watched_.notify_one();
}

std::optional<LaneHolder> WriterLane::await_slow_holder(Clock::duration threshold) {
  MutexLock lock(mutex_);
  while (!is_unwatched_) {
    const Clock::time_point now = clock_.now();
    if (!is_held_) {
      watcher_sleeps_ = true;
      clock_.wait_until(watched_, lock, Clock::time_point::max());
    } else if (reported_hold_ == holds_) {
      clock_.wait_until(watched_, lock, now + threshold);
    } else if (now < held_since_ + threshold) {
      clock_.wait_until(watched_, lock, held_since_ + threshold);
    } else {
      reported_hold_ = holds_;
      return holder_locked();
    }
  }
  return std::nullopt;
}

void WriterLane::stop_watching() noexcept {
  const MutexLock lock(mutex_);
  is_unwatched_ = true;
  watched_.notify_one();
}

void WriterLane::dequeue(Waiter& waiter, Waiter::Outcome outcome) noexcept {
  AdmissionQueue::leave(waiter);
  waiter.outcome = outcome;
  if (outcome == Waiter::Outcome::done) waiter.end_waiting();
  waiting_.store(waiting_ - 1, std::memory_order_relaxed);
}

void WriterLane::expect_foreign_holder(const CallSite& site) {
  const MutexLock lock(mutex_);
  expect_foreign_holder_locked(site);
}

void WriterLane::expect_foreign_holder_locked(const CallSite& site) {
  if (!is_held_ || holder_thread_ != this_thread_number()) return;
  throw UsageError("waiting for the writer lane at " + site.to_string() +
                   " would wait for this thread itself: the lane is " + describe_holder());
}

std::vector<Waitable::Holder> WriterLane::holders() {
  const MutexLock lock(mutex_);
  if (!is_held_) return {};
  return {{holder_thread_, holder_site_}};
}

bool WriterLane::is_mine() {
  const MutexLock lock(mutex_);
  return is_mine_locked();
}

bool WriterLane::is_own_thread() {
  const MutexLock lock(mutex_);
  return thread_number_ == this_thread_number();
}

bool WriterLane::is_mine_locked() {
  const ThreadNumber self = this_thread_number();
  return (is_held_ && holder_thread_ == self) || (is_thread_busy_ && thread_number_ == self);
}

void WriterLane::drain(Clock::time_point deadline) {
  shut();
  settle_posted(deadline, Guards::waited_for);
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
  posted_ended_.notify_all();  // for those who wait for room
  // Those that nobody waits for stay, in their order.
  AdmissionQueue posted;
  while (auto* const waiter = static_cast<Waiter*>(queue_.next())) {
    if (waiter->is_posted) {
      AdmissionQueue::leave(*waiter);
      posted.join(*waiter);
      continue;
    }
    dequeue(*waiter, Waiter::Outcome::done);
    waiter->error = std::make_exception_ptr(ClosedError("the database has been closed"));
    waiter->signal.give();
  }
  while (AdmissionQueue::Node* const node = posted.next()) {
    AdmissionQueue::leave(*node);
    queue_.join(*node);
  }
}

std::optional<LaneHolder> WriterLane::holder() {
  const MutexLock lock(mutex_);
  if (!is_held_) return std::nullopt;
  return holder_locked();
}

LaneHolder WriterLane::holder_locked() {
  return {.site = holder_site_,
          .sql = writer_.running().text(),
          .since = held_since_,
          .held = clock_.now() - held_since_,
          .waiting = waiting_};
}

LaneStatistics WriterLane::statistics() const {
  return {.waiting = waiting_,
          .posted = posted_,
          .commits = counters_.commits.value(),
          .jobs = counters_.jobs.value(),
          .guards = counters_.guards.value(),
          .batch_sizes = counters_.batch_sizes};
}

std::optional<ResourceReport> WriterLane::connection() {
  if (!writer_.is_listed()) return std::nullopt;
  const MutexLock lock(mutex_);
  const Clock::duration idle = is_held_ ? Clock::duration::zero() : clock_.now() - held_since_;
  return ResourceReport{
      .id = writer_.opened(),
      .state = is_held_ ? ResourceState::in_use : ResourceState::idle,
      .age = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - writer_.opened_at()),
      .idle = std::chrono::duration_cast<std::chrono::milliseconds>(idle),
      .uses = holds_,
      .errors = 0};
}

std::size_t WriterLane::waiting() {
  const MutexLock lock(mutex_);
  return waiting_;
}

std::string WriterLane::describe_holder() {
  const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - held_since_);
  const std::string sql = writer_.running().text();
  return "held by " + holder_site_.to_string() + " for " + std::to_string(held.count()) + " ms" +
         (sql.empty() ? "" : ", running \"" + sql + "\"") +
         (sql.starts_with("BEGIN") ? ", for which another process has to give up the write lock" : "");
}

}  // namespace sqlane::detail
