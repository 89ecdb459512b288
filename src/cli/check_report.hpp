#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/check.hpp"
#include "cli/console.hpp"

namespace sqlane::cli {

[[nodiscard]] std::string format_check(const CheckReport& report, const Console& console);
[[nodiscard]] nlohmann::json to_json(const CheckReport& report);

}  // namespace sqlane::cli
