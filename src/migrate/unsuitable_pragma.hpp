#pragma once

#include <string>
#include <string_view>

namespace sqlane::detail {

// A PRAGMA that has no place in a migration, or in none that runs in a transaction.
struct UnsuitablePragma {
  std::string_view name;    // in small letters
  bool needs_value;         // without one it only asks, which does no harm
  bool is_for_outside;      // works where there is no transaction, and only there
  std::string_view reason;  // "does nothing inside a transaction"
  std::string_view remedy;
};

// Null for any other; `name` in letters of either case. Pure.
[[nodiscard]] const UnsuitablePragma* find_unsuitable_pragma(std::string_view name);

}  // namespace sqlane::detail
