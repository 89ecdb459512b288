#include "cli/format.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sqlane::cli {

std::string format_duration(std::chrono::nanoseconds duration) {
  const auto count = static_cast<double>(duration.count());
  if (count < 1e3) return fmt::format("{:.0f} ns", count);
  if (count < 1e6) return fmt::format("{:.1f} us", count / 1e3);
  if (count < 1e9) return fmt::format("{:.1f} ms", count / 1e6);
  return fmt::format("{:.2f} s", count / 1e9);
}

std::string format_rate(double per_second) {
  return per_second < 1e4 ? fmt::format("{:.0f}/s", per_second) : fmt::format("{:.1f} k/s", per_second / 1e3);
}

std::string format_bytes(std::uintmax_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (count < 1e3) return fmt::format("{} B", bytes);
  if (count < 1e6) return fmt::format("{:.1f} kB", count / 1e3);
  if (count < 1e9) return fmt::format("{:.1f} MB", count / 1e6);
  return fmt::format("{:.2f} GB", count / 1e9);
}

std::string format_json(const nlohmann::json& json, JsonLayout layout) {
  return json.dump(layout == JsonLayout::indented ? 2 : -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sqlane::cli
