#pragma once

#include <chrono>
#include <gtest/gtest.h>
#include <sqlane/sqlane.hpp>
#include <vector>

#include "support/temporary_folder.hpp"

namespace sqlane::testing {

inline constexpr CallSite kHere{"notes.cpp", 12, "save_note"};
inline constexpr CallSite kThere{"index.cpp", 7, "rebuild"};

// With an hour to wait, what waits in vain shows as a test that hangs; and no
// batch ends early because its thread had to wait for a processor.
class AsyncWrite : public ::testing::Test {
 protected:
  [[nodiscard]] Database open(Options options = {}) const {
    options.path = folder_ / "a.db";
    options.durability = Durability::normal;
    if (options.acquire_timeout == Options{}.acquire_timeout) options.acquire_timeout = std::chrono::hours(1);
    options.batch.run_time = std::chrono::hours(1);
    Database db = Database::open(options);
    db.execute("CREATE TABLE IF NOT EXISTS t (a)");
    return db;
  }

  static void add_one(Transaction& tx) { tx.execute("INSERT INTO t VALUES (1)"); }
  static auto adding(int value) {
    return [value](Transaction& tx) { tx.execute("INSERT INTO t VALUES (?)", value); };
  }
  [[nodiscard]] std::vector<int> values() const {
    return Database::open(folder_ / "a.db").query<int>("SELECT a FROM t ORDER BY rowid");
  }
  [[nodiscard]] int count() const { return static_cast<int>(values().size()); }

  const TemporaryFolder folder_;
};

}  // namespace sqlane::testing
