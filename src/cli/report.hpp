#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/demo.hpp"

namespace sqlane::cli {

[[nodiscard]] std::string format_glance(const std::string& subject, const LoadGlance& glance, std::uintmax_t wal_bytes);
[[nodiscard]] std::string format_report(const DemoReport& report);

// Latencies in nanoseconds, lengths of time in seconds.
[[nodiscard]] nlohmann::json to_json(const DemoReport& report);

}  // namespace sqlane::cli
