#pragma once

#include "sqlane/integrity.hpp"

namespace sqlane::detail {

class Connection;

// check_integrity() on a connection, in the transaction that it has.
[[nodiscard]] IntegrityReport check_integrity(Connection& connection, IntegrityDepth depth);

}  // namespace sqlane::detail
