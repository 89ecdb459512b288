#include "lane/group_commit.hpp"

#include <string>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/errors.hpp"
#include "sqlite/sync_timer.hpp"

namespace sqlane::detail {
namespace {

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

}  // namespace

bool GroupCommit::run(Job& job) noexcept {
  bool can_go_on = run_once(job);
  while (Job* const next = again_.take()) can_go_on = run_once(*next);
  return can_go_on;
}

bool GroupCommit::run_once(Job& job) noexcept {
  Enclosure enclosure = Enclosure::none;
  ++job.attempts;
  if (job.trace) taken_at_ = clock_.now();
  if (job.is_interruptible) commit();  // what it could take down with it
  if (job.is_interruptible && job.options->stop.stop_requested()) {
    job.error =
        std::make_exception_ptr(InterruptedError("stopped before its turn came: the write at " + job.site.to_string()));
    settle(job, TransactionState::rolled_back);
    return true;
  }
  try {
    if (!is_open_) begin(job);
  } catch (...) {
    job.error = std::current_exception();
    settle(job, TransactionState::rolled_back);
    end();
    return false;
  }
  Connection& connection = writer_.get();
  if (count_ == 0) first_ = job.claim;
  try {
    enclosure = enclosure_for(job);
    connection.begin_job(enclosure);
    job.transaction.attach(connection);
    run_closure(job, connection);
    if (job.is_interruptible) connection.clear_limits();
    connection.end_job(enclosure);
    job.transaction.detach();
    members_.add(job);
    ++count_;
  } catch (...) {
    job.error = std::current_exception();
    undo(job, enclosure);
  }
  return true;
}

void GroupCommit::run_closure(Job& job, Connection& connection) {
  if (!job.trace) {
    job.run(job.transaction.transaction());
    job.transaction.expect_complete();
    return;
  }
  const Clock::time_point start = clock_.now();
  job.trace->queue_wait = taken_at_ - job.asked;
  job.trace->lock_wait = start - taken_at_;
  job.run(job.transaction.transaction());
  job.transaction.expect_complete();
  job.closure_ended = clock_.now();
  job.trace->run = job.closure_ended - start;
  is_traced_ = true;
  if (!connection.settings().is_memory()) SyncTimer::install(connection.handle());
}

void GroupCommit::begin(const Job& job) {
  for (int attempt = 1;; ++attempt) {
    try {
      before_();
      Connection& connection = writer_.get();
      if (job.is_interruptible) connection.set_limits(job.options->statement_timeout, job.options->stop);
      connection.begin(Behavior::immediate);
      is_open_ = true;
      return;
    } catch (const Error& error) {
      if (!reconnecting_helps(error, attempt)) throw;
      writer_.retire();
    }
  }
}

GroupCommit::Enclosure GroupCommit::enclosure_for(const Job& job) {
  if (count_ == 0) return Enclosure::none;
  const bool undoes_itself = job.statement != nullptr && writer_.get().undoes_itself(*job.statement);
  return undoes_itself ? Enclosure::none : Enclosure::savepoint;
}

void GroupCommit::undo(Job& job, Enclosure enclosure) noexcept {
  job.transaction.detach();
  Connection& connection = writer_.get();
  if (job.is_interruptible) connection.clear_limits();
  if (!connection.lost_transaction() && count_ > 0) {
    try {
      if (enclosure == Enclosure::savepoint) {
        connection.undo_job();
      } else if (!connection.undoes_itself(*job.statement)) {
        connection.lose_transaction("the schema changed under a statement that failed");
      }
    } catch (const std::exception& error) {
      connection.lose_transaction(error.what());
    }
  }
  const bool is_lost = connection.lost_transaction();
  const bool reconnects = is_worth_reconnecting(job, job.error);
  if (is_lost) {
    abort_members(job);
  } else if (count_ == 0) {  // the transaction holds nothing but what has to be undone
    end();
  } else if (reconnects) {
    commit();
  }
  if (reconnects) {
    job.error = nullptr;
    writer_.retire();
    again_.add(job);
  } else {
    settle(job, is_lost ? TransactionState::aborted : TransactionState::rolled_back);
  }
}

bool GroupCommit::is_worth_reconnecting(const Job& job, const std::exception_ptr& error) noexcept {
  if (job.options->retry != Retry::safe) return false;
  try {
    std::rethrow_exception(error);
  } catch (const CommitOutcomeUnknown&) {
    return false;
  } catch (const Error& known) {
    return reconnecting_helps(known, job.attempts);
  } catch (...) {
    return false;
  }
}

void GroupCommit::abort_members(const Job& culprit) noexcept {
  while (Job* const member = members_.take()) {
    if (is_worth_reconnecting(*member, culprit.error)) {
      again_.add(*member);
      continue;
    }
    try {
      throw TransactionAborted(
          "undone, because the write at " + culprit.site.to_string() +
              " shared its transaction and failed: " + message_of(culprit.error),
          {.database = writer_.get().settings().database, .retryable = true, .transaction_ended = true});
    } catch (...) {
      member->error = std::current_exception();
    }
    settle(*member, TransactionState::aborted);
  }
  end();
}

void GroupCommit::commit() noexcept {
  if (!is_open_) return;
  Connection& connection = writer_.get();
  bool is_committed = false;
  try {
    const Clock::duration synced_before = is_traced_ ? SyncTimer::taken() : Clock::duration::zero();
    const Connection::Committed committed = connection.commit();
    is_committed = true;
    if (committed == Connection::Committed::changes) connection.expect_reachable_commit();
    if (is_traced_) trace_commit(SyncTimer::taken() - synced_before);
    std::uint64_t jobs = 0;
    for (; Job* const member = members_.take(); ++jobs) settle(*member, TransactionState::committed);
    counters_.commits.add();
    counters_.jobs.add(jobs);
    counters_.batch_sizes.record_alone(jobs);
  } catch (const CommitOutcomeUnknown&) {
    fail_members(TransactionState::outcome_unknown);
  } catch (const std::exception&) {  // refused; or committed, but to a file that nobody finds
    fail_members(is_committed ? TransactionState::outcome_unknown : TransactionState::rolled_back);
  }
  end();
}

void GroupCommit::trace_commit(Clock::duration sync) noexcept {
  const Clock::time_point now = clock_.now();
  for (Job* job = members_.first(); job != nullptr; job = job->behind_in_list) {
    if (!job->trace) continue;
    job->trace->commit = now - job->closure_ended;
    job->trace->sync = sync;
    job->trace->jobs = count_;
  }
}

// Requires: an exception is being handled. Each gets one of its own, since they
// will handle it at the same time.
void GroupCommit::fail_members(TransactionState state) noexcept {
  while (Job* const member = members_.take()) {
    member->error = copy_of_current_error();
    settle(*member, state);
  }
}

void GroupCommit::settle(Job& job, TransactionState state) noexcept {
  job.transaction.settle(state);
  job.end_waiting();
  settled_.add(job);
}

void GroupCommit::end() noexcept {
  writer_.tidy();
  is_open_ = false;
  is_traced_ = false;
  count_ = 0;
}

}  // namespace sqlane::detail
