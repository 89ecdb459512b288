#include "lane/writer_lane.hpp"

#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {

WriterLane::WriterLane(OpenWriter open_writer, BeforeRelease before_release, Clock& clock)
    : open_writer_(std::move(open_writer)), before_release_(std::move(before_release)), clock_(clock) {}

Connection& WriterLane::acquire(Clock::time_point deadline, CallSite site) {
  MutexLock lock(mutex_);
  if (is_closed_) throw ClosedError("the database has been closed");
  expect_foreign_holder_locked(site);
  if (is_held_) {
    wait(lock, deadline, site);
  } else {
    admit(site, std::this_thread::get_id());
  }
  lock.unlock();
  if (writer_ == nullptr) {
    try {
      writer_ = open_writer_();
    } catch (...) {
      const MutexLock relock(mutex_);
      pass_on();
      throw;
    }
  }
  return *writer_;
}

void WriterLane::expect_foreign_holder(const CallSite& site) {
  const MutexLock lock(mutex_);
  expect_foreign_holder_locked(site);
}

void WriterLane::expect_foreign_holder_locked(const CallSite& site) {
  if (!is_held_ || holder_thread_ != std::this_thread::get_id()) return;
  throw UsageError("waiting for the writer lane at " + site.to_string() +
                   " would wait for this thread itself: the lane is " + holder());
}

void WriterLane::wait(MutexLock& lock, Clock::time_point deadline, const CallSite& site) {
  Waiter self;
  self.site = site;
  self.thread = std::this_thread::get_id();
  queue_.join(self);
  ++waiting_;
  while (!self.is_admitted && !is_closed_ && clock_.now() < deadline) clock_.wait_until(self.wake, lock, deadline);
  --waiting_;
  if (self.is_admitted) return;
  AdmissionQueue::leave(self);
  if (is_closed_) throw ClosedError("the database has been closed");
  throw TimeoutError("the writer lane did not come free in time for " + site.to_string() + "; " + holder(),
                     {.retryable = true});
}

void WriterLane::release() noexcept {
  std::unique_ptr<Connection> retired;
  if (writer_->tidy()) before_release_(*writer_);
  if (!writer_->tidy()) retired = std::move(writer_);
  retired.reset();  // before the next holder opens its successor
  MutexLock lock(mutex_);
  pass_on();
}

void WriterLane::admit(const CallSite& site, std::thread::id thread) noexcept {
  is_held_ = true;
  holder_site_ = site;
  holder_thread_ = thread;
  held_since_ = clock_.now();
}

void WriterLane::pass_on() noexcept {
  AdmissionQueue::Node* const next = is_closed_ ? nullptr : queue_.next();
  if (next == nullptr) {
    is_held_ = false;
    holder_thread_ = {};
    released_.notify_all();
    return;
  }
  auto& waiter = static_cast<Waiter&>(*next);
  AdmissionQueue::leave(waiter);
  waiter.is_admitted = true;
  admit(waiter.site, waiter.thread);
  waiter.wake.notify_one();
}

void WriterLane::drain(Clock::time_point deadline) {
  shut();
  MutexLock lock(mutex_);
  while (is_held_) {
    if (clock_.now() >= deadline) throw TimeoutError("the writer lane is still in use; " + holder());
    clock_.wait_until(released_, lock, deadline);
  }
}

void WriterLane::shut() noexcept {
  const MutexLock lock(mutex_);
  is_closed_ = true;
  // Each finds is_closed_ and leaves by itself.
  for (AdmissionQueue::Node* node = queue_.next(); node != nullptr; node = queue_.behind(*node)) {
    static_cast<Waiter&>(*node).wake.notify_one();
  }
}

std::size_t WriterLane::waiting() {
  const MutexLock lock(mutex_);
  return waiting_;
}

std::string WriterLane::holder() {
  const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - held_since_);
  return "held by " + holder_site_.to_string() + " for " + std::to_string(held.count()) + " ms";
}

}  // namespace sqlane::detail
