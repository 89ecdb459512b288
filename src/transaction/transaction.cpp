#include "sqlane/transaction.hpp"

#include <string>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"
#include "transaction/state.hpp"

namespace sqlane {

using detail::TransactionEvent;

Transaction::Transaction(detail::Lease lease, Behavior behavior)
    : lease_(std::move(lease)), connection_(&lease_.connection()), owner_(Owner::caller) {
  connection_->begin(behavior);
}

// What goes wrong with rolling back costs the connection, never the caller.
Transaction::~Transaction() {
  if (connection_ == nullptr || connection_->is_of_another_process()) return;
  const TransactionEvent how =
      connection_->lost_transaction() ? TransactionEvent::engine_ended : TransactionEvent::rolled_back;
  end(*detail::next_state(state_, how));
}

detail::Connection& Transaction::connection() const {
  switch (state_) {
    case TransactionState::open: break;
    case TransactionState::committed: throw UsageError("the transaction has been committed already");
    case TransactionState::rolled_back: throw UsageError("the transaction has been rolled back already");
    case TransactionState::aborted: std::rethrow_exception(abort_error_);
    case TransactionState::outcome_unknown: throw UsageError("the transaction has ended, in a COMMIT that failed");
  }
  if (connection_ == nullptr) throw UsageError("the closure that this transaction belongs to has ended");
  connection_->expect_live_transaction();
  return *connection_;
}

TransactionState Transaction::state() const noexcept {
  return connection_ != nullptr && connection_->lost_transaction() ? TransactionState::aborted : state_;
}

std::int64_t Transaction::last_insert_rowid() const noexcept {
  return connection_ != nullptr ? connection_->last_insert_rowid() : last_insert_rowid_;
}

void Transaction::commit() {
  expect_control();
  expect_complete();
  detail::Connection::Committed committed{};
  try {
    committed = connection_->commit();
  } catch (const CommitOutcomeUnknown&) {
    end(*detail::next_state(state_, TransactionEvent::commit_lost));
    throw;
  } catch (const Error& error) {  // refused, unless SQLite rolled back before the commit began
    if (connection_->lost_transaction()) abort(error);
    throw;
  }
  try {
    if (committed == detail::Connection::Committed::changes) connection_->expect_reachable_commit();
  } catch (const IoError&) {  // committed, but to a file that nobody finds
    end(*detail::next_state(state_, TransactionEvent::commit_lost));
    throw;
  }
  end(*detail::next_state(state_, TransactionEvent::commit_succeeded));
}

void Transaction::rollback() {
  expect_control();
  static_cast<void>(connection());  // throws unless open
  end(*detail::next_state(state_, TransactionEvent::rolled_back));
}

void Transaction::expect_control() const {
  if (owner_ == Owner::library) {
    throw UsageError("inside write() the library commits when the closure returns, and rolls back when it throws");
  }
}

void Transaction::expect_complete() const {
  const detail::Connection& connection = this->connection();
  if (newest_savepoint_ != nullptr) throw UsageError("a savepoint is still open: release() or rollback() it first");
  if (connection.has_statements_in_use()) throw UsageError("rows of this transaction are still being read");
}

// Ends it because a part of it could not be undone alone.
void Transaction::abort(const std::exception& reason) noexcept {
  if (connection_ == nullptr) return;
  connection_->lose_transaction(reason.what());
  try {
    connection_->expect_live_transaction();
  } catch (const TransactionAborted&) {
    abort_error_ = std::current_exception();
  }
  const TransactionState aborted = *detail::next_state(state_, TransactionEvent::engine_ended);
  if (owner_ == Owner::caller) {
    end(aborted);
  } else {  // whoever runs the closure sees what happened to the connection
    state_ = aborted;
    detach();
  }
}

// Giving the lease back tidies the connection, which rolls back what is open.
// Callbacks come last: by then the lane is free, so they may use the database.
void Transaction::end(TransactionState state) noexcept {
  state_ = state;
  detach();
  lease_.give_back();
  call_back();
}

void Transaction::detach() noexcept {
  if (connection_ != nullptr) last_insert_rowid_ = std::exchange(connection_, nullptr)->last_insert_rowid();
  for (Savepoint* savepoint = std::exchange(newest_savepoint_, nullptr); savepoint != nullptr;) {
    savepoint->transaction_ = nullptr;
    savepoint = savepoint->older_;
  }
}

void Transaction::call_back() noexcept {
  const bool is_undone = state_ == TransactionState::rolled_back || state_ == TransactionState::aborted;
  for (const Callback& callback : std::exchange(callbacks_, {})) {
    const bool is_due = callback.when == When::undone || (callback.when == When::rollback && is_undone) ||
                        (callback.when == When::commit && state_ == TransactionState::committed);
    if (is_due) callback.run();
  }
}

void Transaction::add_callback(When when, std::function<void()> callback) {
  static_cast<void>(connection());  // throws unless open
  callbacks_.push_back({when, std::move(callback)});
}

void Transaction::undo_newest_savepoint() {
  Savepoint& savepoint = *newest_savepoint_;
  connection().undo_savepoint();
  newest_savepoint_ = savepoint.older_;
  savepoint.transaction_ = nullptr;
  // Their changes are gone, whatever becomes of the rest.
  for (std::size_t i = savepoint.callbacks_; i < callbacks_.size(); ++i) {
    Callback& callback = callbacks_[i];
    callback.when = callback.when == When::commit ? When::never : When::undone;
  }
}

}  // namespace sqlane
