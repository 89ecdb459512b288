#pragma once

// Which SQLite is under us, and which of its faults we have to work around.
// The library may be newer than the header it was compiled against, so these
// ask the running one: sqlite3_libversion_number().

namespace sqlane::detail {

// Below it, a savepoint rolled back with temp_store=MEMORY can corrupt the database.
inline constexpr int kOldestEngine = 3'037'002;

constexpr bool is_supported_engine(int version) { return version >= kOldestEngine; }

// Below 3.50.2, ROLLBACK TO after a cache spill leaves frames with wrong
// checksums in the write-ahead log: everything committed after it is lost at
// the next recovery, although it was acknowledged.
constexpr bool spill_breaks_savepoints(int version) { return version < 3'050'002; }

// Throws OpenError unless the running engine is new enough and thread-safe.
void expect_supported_engine();

}  // namespace sqlane::detail
