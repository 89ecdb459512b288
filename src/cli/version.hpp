#pragma once

#include <cstdint>
#include <string>

namespace sqlane::cli {

// Of sqlane: "0.1.0".
[[nodiscard]] std::string version();
// As --version says it, with SQLite's.
[[nodiscard]] std::string version_line();
// Of SQLite, as its files keep it: 3040001.
[[nodiscard]] std::uint32_t engine_version();

// "3.40.1" of 3040001.
[[nodiscard]] std::string format_engine_version(std::uint32_t version);

}  // namespace sqlane::cli
