#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sqlane::cli {

// For people: three or four digits and a unit.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);  // "12.3 us"
[[nodiscard]] std::string format_rate(double per_second);                      // "45.6 k/s"
[[nodiscard]] std::string format_bytes(std::uintmax_t bytes);                  // "78.9 MB", powers of ten

}  // namespace sqlane::cli
