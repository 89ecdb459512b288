#include "sqlane/snapshot.hpp"

#include <utility>

#include "sqlane/error.hpp"
#include "sqlite/connection.hpp"

namespace sqlane {

Snapshot::Snapshot(detail::Lease lease, Pin pin) : lease_(std::move(lease)) {
  if (pin == Pin::at_once) {
    lease_.connection().begin_snapshot();
  } else {
    lease_.connection().begin(Behavior::deferred);
  }
}

// Without this, statements after the end would each see a state of their own.
detail::Connection& Snapshot::connection() const {
  if (!lease_.is_live()) throw UsageError("the snapshot is over: the thread that began it has ended");
  lease_.connection().expect_live_transaction();
  return lease_.connection();
}

// Giving the lease back ends the read transaction.
Snapshot::~Snapshot() = default;

}  // namespace sqlane
