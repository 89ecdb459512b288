#pragma once

#include "sqlane/transaction.hpp"

namespace sqlane::detail {

// The transaction of one closure, as whoever runs the closure sees it. Between
// attach() and detach() it is a part of the connection's transaction, which may
// hold others' parts as well; what became of that comes with settle(). Its
// callbacks are left to its owner.
class JobTransaction {
 public:
  JobTransaction() = default;

  void attach(Connection& connection) noexcept {
    transaction_.connection_ = &connection;
    transaction_.state_ = TransactionState::open;
    transaction_.callbacks_.clear();  // of an attempt before
  }

  // Valid until detach().
  [[nodiscard]] Transaction& transaction() noexcept { return transaction_; }

  // Throws UsageError when its closure has left something open.
  void expect_complete() const { transaction_.expect_complete(); }

  void detach() noexcept { transaction_.detach(); }

  // Requires: detached.
  void settle(TransactionState state) noexcept { transaction_.state_ = state; }

  void call_back() noexcept { transaction_.call_back(); }

 private:
  Transaction transaction_;
};

}  // namespace sqlane::detail
