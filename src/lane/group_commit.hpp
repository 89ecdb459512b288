#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "lane/batch.hpp"
#include "lane/job.hpp"
#include "sqlane/histogram.hpp"
#include "sqlite/connection.hpp"

namespace sqlane::detail {

// The connection that writes, opened when it is needed and replaced when it is
// broken. Of the lane's holder.
class Writer {
 public:
  using Open = std::function<std::unique_ptr<Connection>()>;

  Writer(Open open, Clock& clock) : open_(std::move(open)), clock_(clock) {}

  [[nodiscard]] Connection& get() {
    if (connection_ == nullptr) {
      connection_ = open_();
      is_listed_ = true;
      opened_at_ = clock_.now().time_since_epoch().count();
      opened_.add();
      connection_->publish_to(running_);
    }
    return *connection_;
  }
  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
  // Leaves no transaction behind, and no statement in use; or no connection.
  void tidy() noexcept {
    if (connection_ != nullptr && connection_->tidy() == Cleaning::broken) retire();
  }
  void retire() noexcept {
    is_listed_ = false;
    connection_.reset();
  }

  // Whether one is open, as others see it.
  [[nodiscard]] bool is_listed() const noexcept { return is_listed_; }
  // How often one was opened, and when the newest was. For any thread.
  [[nodiscard]] std::uint64_t opened() const noexcept { return opened_.value(); }
  [[nodiscard]] Clock::time_point opened_at() const noexcept { return Clock::time_point(Clock::duration(opened_at_)); }

  // What it does at the moment, for any thread to look at.
  [[nodiscard]] RunningStatement& running() noexcept { return running_; }

 private:
  const Open open_;
  Clock& clock_;
  OwnCounter opened_;
  std::atomic<bool> is_listed_ = false;
  std::atomic<Clock::duration::rep> opened_at_ = 0;
  RunningStatement running_;
  std::unique_ptr<Connection> connection_;
};

// Counted by whoever holds the lane, looked at by any thread.
struct LaneCounters {
  OwnCounter commits;
  OwnCounter jobs;  // that were committed
  OwnCounter guards;
  Histogram batch_sizes;
};

// Runs jobs one after the other in one transaction, and commits it once.
//
//   none ──run──► open ──run──► open ──commit──► none       each job: committed
//                  │
//                  ├─ a job throws: it is undone alone, the others stay
//                  ├─ the only job throws: ROLLBACK ──► none
//                  └─ SQLite ends the transaction (disk full, I/O error, …), or the job
//                     cannot be undone alone ──► none       each job: aborted
//
// A job that failed because of its connection's state (Recovery::reconnect), and
// those that were lost with it, are run again on a new connection if they may be.
//
// Invariants
//  1. A job is in members_ exactly while the open transaction holds all of its
//     changes and none of it has been decided; the transaction holds no others.
//  2. A job leaves through settle(), once, and is listed in settled() from then
//     on with its error, if any, set. Nobody is woken here: that comes when the
//     lane has been passed on.
//  3. A job is settled as committed only after COMMIT has succeeded and the file
//     was found at its path.
//  4. Between two jobs the connection is as at the beginning of a transaction,
//     but for their changes: no statement in use, no savepoint, no deferred
//     foreign keys, no last rowid.
//
// Used by whoever holds the lane.
class GroupCommit {
 public:
  // `before` is called before each transaction; it may throw.
  GroupCommit(Writer& writer, const std::function<void()>& before, LaneCounters& counters, Clock& clock)
      : writer_(writer), before_(before), counters_(counters), clock_(clock) {}
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // False when no transaction could be begun, so that trying others is no use.
  bool run(Job& job) noexcept;
  void commit() noexcept;

  [[nodiscard]] BatchSoFar so_far() const noexcept { return {.jobs = count_, .first = first_}; }

  // Those that ended, in the order of that.
  [[nodiscard]] JobList& settled() noexcept { return settled_; }

 private:
  using Enclosure = Connection::Enclosure;

  bool run_once(Job& job) noexcept;
  void run_closure(Job& job, Connection& connection);
  void begin(const Job& job);
  [[nodiscard]] Enclosure enclosure_for(const Job& job);
  void undo(Job& job, Enclosure enclosure) noexcept;
  void abort_members(const Job& culprit) noexcept;
  [[nodiscard]] static bool is_worth_reconnecting(const Job& job, const std::exception_ptr& error) noexcept;
  void fail_members(TransactionState state) noexcept;
  void trace_commit(Clock::duration sync) noexcept;
  void settle(Job& job, TransactionState state) noexcept;
  void end() noexcept;

  Writer& writer_;
  const std::function<void()>& before_;
  LaneCounters& counters_;
  Clock& clock_;
  bool is_open_ = false;
  Claim first_ = Claim::job;
  std::size_t count_ = 0;
  JobList members_;
  Clock::time_point taken_at_;  // the job that runs, when it is traced
  bool is_traced_ = false;      // one of the members at least
  JobList again_;               // to be run again on a new connection
  JobList settled_;
};

}  // namespace sqlane::detail
