#pragma once

// Which SQLite is under us, and which of its faults we have to work around.
// The library may be newer than the header it was compiled against, so these
// ask the running one: sqlite3_libversion_number().

#include <string_view>

namespace sqlane::detail {

// Below it, an INSERT with RETURNING that violates a foreign key is acknowledged, and the row is not there.
inline constexpr int kOldestEngine = 3'039'000;

constexpr bool is_supported_engine(int version) { return version >= kOldestEngine; }

// Below 3.50.2, ROLLBACK TO after a cache spill leaves frames with wrong
// checksums in the write-ahead log: everything committed after it is lost at
// the next recovery, although it was acknowledged.
constexpr bool spill_breaks_savepoints(int version) { return version < 3'050'002; }

// Says of the compile option "OMIT_WAL", say, whether the engine was built with it.
using HasCompileOption = int (*)(const char* option);

// The compile option that takes something away which sqlane promises; empty where
// there is none. Pure.
[[nodiscard]] std::string_view missing_part(HasCompileOption has_option) noexcept;

// Throws OpenError unless the running engine is new enough, thread-safe and whole.
void expect_supported_engine();

}  // namespace sqlane::detail
