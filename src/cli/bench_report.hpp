#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "cli/chart.hpp"
#include "cli/recommendations.hpp"
#include "cli/screen.hpp"

namespace sqlane::cli {

[[nodiscard]] std::vector<ScreenLine> bench_lines(const BenchMeasurements& found,
                                                  std::span<const Recommendation> recommendations, std::size_t columns);

// Latencies in nanoseconds.
[[nodiscard]] nlohmann::json to_json(const BenchMeasurements& found, std::span<const Recommendation> recommendations);

[[nodiscard]] Chart chart_of(const BenchMeasurements& found);

// Lines of at most `columns` characters, broken at blanks; a word that is longer has a line for itself.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t columns);

}  // namespace sqlane::cli
