#pragma once

#include <string>
#include <vector>

#include "cli/measurements.hpp"

namespace sqlane::cli {

// What to set, and why, in plain words with the figures that say so.
struct Recommendation {
  std::string setting;  // "durability"
  std::string advice;   // "full"
  std::string reason;
};

// What was not measured is not recommended.
[[nodiscard]] std::vector<Recommendation> recommend(const BenchMeasurements& found);

}  // namespace sqlane::cli
