#include "sqlane/transaction.hpp"

#include <string>
#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"
#include "transaction/state.hpp"

namespace sqlane {

using detail::TransactionEvent;

Transaction::Transaction(detail::Lease lease, Behavior behavior, Owner owner)
    : lease_(std::move(lease)), owner_(owner) {
  lease_.connection().begin(behavior);
}

Transaction::~Transaction() { abandon(); }

detail::Connection& Transaction::connection() const {
  switch (state_) {
    case TransactionState::open: break;
    case TransactionState::committed: throw UsageError("the transaction has been committed already");
    case TransactionState::rolled_back: throw UsageError("the transaction has been rolled back already");
    case TransactionState::aborted: std::rethrow_exception(abort_error_);
    case TransactionState::outcome_unknown: throw UsageError("the transaction has ended, in a COMMIT that failed");
  }
  lease_.connection().expect_live_transaction();
  return lease_.connection();
}

TransactionState Transaction::state() const noexcept {
  const bool is_lost = state_ == TransactionState::open && lease_.connection().lost_transaction();
  return is_lost ? TransactionState::aborted : state_;
}

std::int64_t Transaction::last_insert_rowid() const noexcept {
  return state_ == TransactionState::open ? lease_.connection().last_insert_rowid() : last_insert_rowid_;
}

void Transaction::commit() {
  expect_control();
  finish();
}

void Transaction::rollback() {
  expect_control();
  static_cast<void>(connection());  // throws unless open
  abandon();
}

void Transaction::expect_control() const {
  if (owner_ == Owner::library) {
    throw UsageError("inside write() the library commits when the closure returns, and rolls back when it throws");
  }
}

void Transaction::finish() {
  detail::Connection& connection = this->connection();
  if (newest_savepoint_ != nullptr) throw UsageError("a savepoint is still open: release() or rollback() it first");
  if (connection.has_statements_in_use()) throw UsageError("rows of this transaction are still being read");
  try {
    connection.commit();
  } catch (const CommitOutcomeUnknown&) {
    end(*detail::next_state(state_, TransactionEvent::commit_lost));
    throw;
  } catch (const Error& error) {  // refused, unless SQLite rolled back before the commit began
    if (connection.lost_transaction()) abort(error);
    throw;
  }
  try {
    connection.expect_reachable();
  } catch (const IoError&) {  // committed, but to a file that nobody finds
    end(*detail::next_state(state_, TransactionEvent::commit_lost));
    throw;
  }
  end(*detail::next_state(state_, TransactionEvent::commit_succeeded));
}

// Rolls back whatever is open. What goes wrong here costs the connection, never the caller.
void Transaction::abandon() noexcept {
  if (state_ != TransactionState::open) return;
  const bool was_lost = lease_.connection().lost_transaction();
  end(*detail::next_state(state_, was_lost ? TransactionEvent::engine_ended : TransactionEvent::rolled_back));
}

void Transaction::abort(const std::exception& reason) noexcept {
  if (state_ != TransactionState::open) return;
  const detail::Connection& connection = lease_.connection();
  try {
    connection.expect_live_transaction();
    throw TransactionAborted("the transaction was rolled back: " + std::string(reason.what()),
                             {.database = connection.settings().database, .transaction_ended = true});
  } catch (const TransactionAborted&) {
    abort_error_ = std::current_exception();
  }
  end(*detail::next_state(state_, TransactionEvent::engine_ended));
}

// Giving the lease back tidies the connection, which rolls back what is open.
// Callbacks come last: by then the lane is free, so they may use the database.
void Transaction::end(TransactionState state) noexcept {
  state_ = state;
  last_insert_rowid_ = lease_.connection().last_insert_rowid();
  for (Savepoint* savepoint = std::exchange(newest_savepoint_, nullptr); savepoint != nullptr;) {
    savepoint->transaction_ = nullptr;
    savepoint = savepoint->older_;
  }
  lease_.give_back();
  const bool is_undone = state == TransactionState::rolled_back || state == TransactionState::aborted;
  for (const Callback& callback : std::exchange(callbacks_, {})) {
    const bool is_due = callback.when == When::undone || (callback.when == When::rollback && is_undone) ||
                        (callback.when == When::commit && state == TransactionState::committed);
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
