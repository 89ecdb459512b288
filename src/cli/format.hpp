#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sqlane::cli {

// For people: three or four digits and a unit.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);  // "12.3 us"
[[nodiscard]] std::string format_rate(double per_second);                      // "45.6 k/s"
[[nodiscard]] std::string format_bytes(std::uintmax_t bytes);                  // "78.9 MB", powers of ten

// JSON is UTF-8, and a path or a name need not be: what is none is replaced.
enum class JsonLayout : unsigned char { indented, one_line };
[[nodiscard]] std::string format_json(const nlohmann::json& json, JsonLayout layout = JsonLayout::indented);

}  // namespace sqlane::cli
