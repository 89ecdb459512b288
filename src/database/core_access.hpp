#pragma once

#include <memory>

#include "database/core.hpp"
#include "sqlane/database.hpp"

namespace sqlane::detail {

// Behind a Database, for the library's own rooms.
struct CoreAccess {
  [[nodiscard]] static Core& core(const Database& database) { return database.core(); }

  [[nodiscard]] static Connection& connection(const Transaction& transaction) { return transaction.connection(); }

  // A memory database without a name, with what `store` has already.
  [[nodiscard]] static Database in_memory(Options options, std::shared_ptr<MemoryStore> store);
};

}  // namespace sqlane::detail
