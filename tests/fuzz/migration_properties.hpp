#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sqlane::testing {

// Takes `bytes` apart as a migration, and checks what has to be true of every
// text. What is not, in words; unset when all is well. Texts that are refused
// are fine, with a MigrationError that has a problem, the file, and a line
// inside the text.
[[nodiscard]] std::optional<std::string> fault_with_migration(std::string_view bytes);

// How SQLite itself took the texts of so many calls.
struct Comparison {
  long refused = 0;     // by us
  long statements = 0;  // of the others
  long prepared = 0;    // of those, by SQLite, with the same end
};

// As above, and counts.
[[nodiscard]] std::optional<std::string> fault_with_migration(std::string_view bytes, Comparison& comparison);

}  // namespace sqlane::testing
