#include <sqlite3.h>
#include <stdexcept>

#include "support/sqlite_faults.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

// 2 is FULL, 1 is NORMAL. https://sqlite.org/pragma.html#pragma_synchronous
int synchronous(Database& db) {
  return db.write([](Transaction& tx) { return tx.query_one<int>("PRAGMA synchronous"); });
}

TEST(DurabilityFault, TheWriterThatReplacesABrokenOneIsAsDurable) {
  const testing::TemporaryFolder folder;
  Database first = Database::open(folder / "a.db", {.durability = Durability::normal});
  const Database second = Database::open(folder / "a.db", {.durability = Durability::full});
  EXPECT_EQ(synchronous(first), 2);
  const long opened = testing::handles().connections_opened;
  {
    const testing::FaultInjection fault({.sql = "ROLLBACK", .code = SQLITE_IOERR});
    EXPECT_THROW(first.write([](Transaction&) { throw std::runtime_error("undo it"); }), std::runtime_error);
    EXPECT_EQ(fault.failures(), 1);
  }
  EXPECT_EQ(synchronous(first), 2);
  EXPECT_EQ(testing::handles().connections_opened, opened + 1);
}

}  // namespace
}  // namespace sqlane
