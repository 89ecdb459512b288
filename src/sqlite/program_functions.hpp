#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace sqlane::detail {

// SQL functions that the program brings along by sqlite3_auto_extension() and has not
// declared SQLITE_INNOCUOUS: what they do is not known, so a schema may not use
// them. A name that the program shares with SQLite counts as the program's.
// https://sqlite.org/c3ref/c_deterministic.html#sqliteinnocuous
class ProgramFunctions {
 public:
  // Looks for them at its first call, on a connection of its own. False where SQLite
  // was built without a list of functions; true where it could not be read now.
  [[nodiscard]] bool contains(std::string_view name);

 private:
  [[nodiscard]] static std::optional<std::set<std::string, std::less<>>> find();

  std::optional<std::set<std::string, std::less<>>> names_;  // in lower case
};

}  // namespace sqlane::detail
