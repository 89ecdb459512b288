#pragma once

#include <optional>

#include "sqlane/transaction.hpp"

// The life of a transaction. Pure.
//
//            commit_succeeded
//   open ───────────────────────► committed
//    │ │ ├── rolled_back ───────► rolled_back
//    │ │ ├── engine_ended ──────► aborted           (disk full, I/O error, out of memory, …)
//    │ │ └── commit_lost ───────► outcome_unknown   (COMMIT failed half-way)
//    └─┘ commit_refused                             (BUSY, a deferred foreign key: still open)
//
// Nothing leads out of the four at the right.

namespace sqlane::detail {

enum class TransactionEvent : unsigned char {
  commit_succeeded,
  commit_refused,
  commit_lost,
  engine_ended,
  rolled_back
};

// The state after `event`, or nothing when it cannot happen there.
[[nodiscard]] constexpr std::optional<TransactionState> next_state(TransactionState state, TransactionEvent event) {
  if (state != TransactionState::open) return std::nullopt;
  switch (event) {
    case TransactionEvent::commit_succeeded: return TransactionState::committed;
    case TransactionEvent::commit_refused: return TransactionState::open;
    case TransactionEvent::commit_lost: return TransactionState::outcome_unknown;
    case TransactionEvent::engine_ended: return TransactionState::aborted;
    case TransactionEvent::rolled_back: return TransactionState::rolled_back;
  }
  return std::nullopt;
}

}  // namespace sqlane::detail
