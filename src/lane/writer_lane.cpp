#include "lane/writer_lane.hpp"

#include <utility>

#include "sqlane/error.hpp"

namespace sqlane::detail {

WriterLane::WriterLane(OpenWriter open_writer, BeforeRelease before_release, Clock& clock)
    : open_writer_(std::move(open_writer)), before_release_(std::move(before_release)), clock_(clock) {}

Connection& WriterLane::acquire(Clock::time_point deadline, CallSite site) {
  MutexLock lock(mutex_);
  if (is_closed_) throw ClosedError("the database has been closed");
  if (is_held_ && holder_thread_ == std::this_thread::get_id()) {
    throw UsageError("asking for the writer lane at " + site.to_string() +
                     " would wait for this thread itself: the lane is " + holder());
  }
  if (is_held_) {
    wait(lock, deadline, site);
  } else {
    is_held_ = true;
  }
  holder_site_ = site;
  holder_thread_ = std::this_thread::get_id();
  held_since_ = clock_.now();
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

void WriterLane::wait(MutexLock& lock, Clock::time_point deadline, const CallSite& site) {
  Waiter self;
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
  if (is_closed_) {
    lock.unlock();
    writer_.reset();  // nobody is let in any more
    lock.lock();
  }
  pass_on();
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
  holder_thread_ = {};  // not known before it wakes
  waiter.wake.notify_one();
}

void WriterLane::close(Clock::time_point deadline) {
  shut();
  MutexLock lock(mutex_);
  if (is_held_ && holder_thread_ == std::this_thread::get_id()) {
    throw UsageError("closing the database inside a write would wait for itself; " + holder());
  }
  while (is_held_) {
    if (clock_.now() >= deadline) throw TimeoutError("the writer lane is still in use; " + holder());
    clock_.wait_until(released_, lock, deadline);
  }
  lock.unlock();
  writer_.reset();
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
