#include "sqlane/error.hpp"
#include "sqlane/transaction.hpp"
#include "sqlite/connection.hpp"

namespace sqlane {

Savepoint::Savepoint(Transaction& transaction)
    : transaction_(&transaction), older_(transaction.newest_savepoint_), callbacks_(transaction.callbacks_.size()) {
  transaction.connection().open_savepoint();
  transaction.newest_savepoint_ = this;
}

Savepoint::~Savepoint() {
  if (transaction_ != nullptr && transaction_->connection_->is_of_another_process()) return;
  // Newer savepoints that still stand lie inside this one and go with it.
  while (transaction_ != nullptr) {
    try {
      transaction_->undo_newest_savepoint();
    } catch (const std::exception& error) {
      // What cannot be undone alone is undone with all the rest.
      transaction_->abort(error);
    }
  }
}

void Savepoint::release() {
  expect_newest();
  transaction_->connection().release_savepoint();
  transaction_->newest_savepoint_ = older_;
  transaction_ = nullptr;
}

void Savepoint::rollback() {
  expect_newest();
  transaction_->undo_newest_savepoint();
}

void Savepoint::expect_newest() const {
  if (transaction_ == nullptr) throw UsageError("the savepoint has ended already");
  if (transaction_->newest_savepoint_ != this) {
    throw UsageError("savepoints end in the reverse order of their making: a newer one is still open");
  }
}

}  // namespace sqlane
