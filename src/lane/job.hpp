#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/signal.hpp"
#include "base/thread_number.hpp"
#include "lane/admission.hpp"
#include "lane/batch.hpp"
#include "sqlane/call_site.hpp"
#include "sqlane/detail/posted_write.hpp"
#include "sqlane/detail/write_job.hpp"
#include "sqlane/lane.hpp"
#include "sqlane/options.hpp"
#include "sqlane/sql.hpp"
#include "transaction/job_transaction.hpp"

namespace sqlane::detail {

// Somebody who wants the lane; lives on their stack, and in the lane's queue
// meanwhile. Whoever takes it out of the queue, under the lane's mutex, decides
// the outcome and gives the signal, once.
struct Waiter : AdmissionQueue::Node {
  enum class Outcome : std::uint8_t {
    outside,   // not in the queue yet
    waiting,   // listed in the queue
    taken,     // runs in somebody's batch
    admitted,  // the lane is its own
    done,      // with `error`, or well
  };

  CallSite site;
  ThreadNumber thread = ThreadNumber::none;
  Claim claim = Claim::hold;
  bool is_interruptible = false;
  bool is_posted = false;  // nobody waits for it, so no signal is given
  Outcome outcome = Outcome::outside;
  std::exception_ptr error;
  Clock::time_point admitted;  // when the lane became its own
  // For the graph of waiting threads: it is admitted, or what becomes of it is known.
  void end_waiting() noexcept { is_over->store(true, std::memory_order_release); }
  std::atomic<bool> own_is_over = false;
  std::atomic<bool>* is_over = &own_is_over;
  Signal signal;
};

// A closure on its way through the lane.
struct Job : Waiter {
  Job(WriteJob closure, const WriteOptions& how) : run(closure), options(&how) {
    claim = claim_of(how.grouping);
    priority = how.priority;
    is_interruptible = how.statement_timeout.has_value() || how.stop.stop_possible();
  }

  WriteJob run;
  const WriteOptions* options;
  const SqlText* statement = nullptr;  // when it is nothing but this one
  JobTransaction transaction;
  int attempts = 0;
  std::optional<WriteTrace> trace;  // of those that are sampled
  Clock::time_point closure_ended;  // likewise
  Job* behind_in_list = nullptr;
};

// A closure that nobody waits for. Owns itself, from posting to announce().
struct PostedJob : Job {
  PostedJob(std::unique_ptr<PostedWrite> closure, WriteOptions how)
      : Job(WriteJob(*this), how), kept_options(std::move(how)), write(std::move(closure)) {
    options = &kept_options;
    if (kept_options.grouping == Grouping::own_thread) claim = Claim::job;  // it has none
    is_posted = true;
    is_over = write->is_settled().get();
  }
  void operator()(Transaction& tx) { write->run(tx); }

  // Tells those concerned of the outcome, and deletes itself.
  void announce() noexcept {
    const std::unique_ptr<PostedJob> self(this);
    on_stop.reset();
    transaction.call_back();
    write->settle(std::move(error));
  }

  const WriteOptions kept_options;
  std::shared_ptr<void> alive;  // the lane
  const std::unique_ptr<PostedWrite> write;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

// Jobs in the order of their joining. A job is in one list at a time.
class JobList {
 public:
  JobList() = default;
  JobList(const JobList&) = delete;
  JobList& operator=(const JobList&) = delete;

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] Job* first() const noexcept { return first_; }
  void add(Job& job) noexcept {
    job.behind_in_list = nullptr;
    *end_ = &job;
    end_ = &job.behind_in_list;
  }
  // Null when empty. The job is the caller's then, or gone.
  [[nodiscard]] Job* take() noexcept {
    Job* const job = first_;
    if (job == nullptr) return nullptr;
    first_ = job->behind_in_list;
    if (first_ == nullptr) end_ = &first_;
    return job;
  }

 private:
  Job* first_ = nullptr;
  Job** end_ = &first_;
};

}  // namespace sqlane::detail
