#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sqlane {

class Database;

// A table that could not be compared with its indexes and its CHECKs, because they need a function, a collation or a
// module that only the program that made the file has.
struct UncheckedTable {
  std::string table;    // empty: what no table can tell, such as pages that are used twice
  std::string reason;   // "no such collation sequence: german"
  bool is_read = true;  // each page of it and of its indexes was; otherwise damage may be there that was not seen
};

struct IntegrityReport {
  std::vector<std::string> damage{};      // messages of SQLite; none: nothing is damaged
  std::vector<std::string> violations{};  // values that their column does not allow, in pages that are whole
  std::vector<UncheckedTable> unchecked{};
};

enum class IntegrityDepth : std::uint8_t {
  full,   // PRAGMA integrity_check
  quick,  // PRAGMA quick_check: does not compare indexes with their tables
};

// Reads the whole database and looks for damage, and for values that their columns do not allow: NULL in a NOT NULL
// column, another type in a STRICT table, what violates a CHECK. (SQLite leaves CHECKs out where it only reads, so each
// is asked for by itself; one that needs what this program does not have is passed over.) Where SQLite refuses to check
// all of it at once, table by table: what a table needs and this program does not have hides nothing of the others. The
// first hundred messages are given. Throws what reading throws, but CorruptError.
[[nodiscard]] IntegrityReport check_integrity(const Database& database, IntegrityDepth depth = IntegrityDepth::full);

}  // namespace sqlane
