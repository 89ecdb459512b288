#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sqlane {

class Database;

// A table that could not be compared with its indexes and its CHECKs, because they need a function, a collation or a
// module that only the program that made the file has.
struct UncheckedTable {
  std::string table;   // empty: what no table can tell, such as pages that are used twice
  std::string reason;  // "no such collation sequence: german"
};

struct IntegrityReport {
  std::vector<std::string> damage{};        // messages of SQLite; none: nothing is damaged
  std::vector<UncheckedTable> unchecked{};  // of these, only the pages were read, as far as that could be done
};

enum class IntegrityDepth : std::uint8_t {
  full,   // PRAGMA integrity_check
  quick,  // PRAGMA quick_check: does not compare indexes with their tables
};

// Reads the whole database and looks for damage. Where SQLite refuses to check all of it at once, table by table: what
// a table needs and this program does not have hides nothing of the others. The first hundred messages are given.
// Throws what reading throws, but CorruptError.
[[nodiscard]] IntegrityReport check_integrity(const Database& database, IntegrityDepth depth = IntegrityDepth::full);

}  // namespace sqlane
