#pragma once

#include <string>

namespace sqlane::cli {

// Of sqlane: "0.1.0".
[[nodiscard]] std::string version();
// As --version says it, with SQLite's.
[[nodiscard]] std::string version_line();

}  // namespace sqlane::cli
