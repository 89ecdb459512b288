#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sqlite/connection.hpp"

namespace sqlane::detail {

// The tables whose foreign keys are checked after a migration; unset: all of them.
using CheckedTables = std::optional<std::vector<std::string>>;

// What is wrong with a foreign key, as it can be told again after its table was
// rebuilt, and its rows have other rowids.
struct KeyFault {
  enum class Kind : std::uint8_t {
    dangling,  // a row refers to nothing
    mismatch,  // what the key refers to is no key, so that no row of `table` can be checked
  };
  Kind kind = Kind::dangling;
  std::string table{};
  std::string parent{};
  std::string values{};  // of the key's columns in that row

  friend auto operator<=>(const KeyFault&, const KeyFault&) = default;
};

// Rows of the same fault.
struct FaultyRows {
  std::uint64_t count = 0;
  std::vector<std::string> examples{};  // in words; a few
};

// What PRAGMA foreign_key_check says of a database. https://sqlite.org/pragma.html#pragma_foreign_key_check
struct KeyFaults {
  std::map<KeyFault, FaultyRows> faults{};
  std::set<std::string> tables{};  // that are there, in small letters

  [[nodiscard]] bool empty() const { return faults.empty(); }
  [[nodiscard]] std::uint64_t count(KeyFault::Kind kind) const;
  // "visit row 2 to no row of place, visit row 4 to no row of place, …"
  [[nodiscard]] std::string examples(KeyFault::Kind kind) const;
};

// Throws a MigrationError (failed) without a file where `checked` names a table that is not there.
[[nodiscard]] KeyFaults find_key_faults(Connection& connection, const CheckedTables& checked);

struct KeyComparison {
  KeyFaults made;  // what was not there before
  KeyFaults old;
};

// Pure. A table or a parent that is there no more stands for any: it was renamed.
// Where a table could not be checked before, all that is found in it is old.
[[nodiscard]] KeyComparison compare_key_faults(const KeyFaults& before, const KeyFaults& after);

}  // namespace sqlane::detail
