#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/file_stats.hpp"
#include "cli/screen.hpp"
#include "cli/workload.hpp"

namespace sqlane::cli {

struct ReportLayout {
  std::size_t columns = 80;
  std::size_t rows = 24;    // of a screen
  std::size_t tables = 15;  // at most so many tables and indexes
  Charset charset = Charset::ascii;
};

[[nodiscard]] std::vector<ScreenLine> stats_lines(const FileStats& stats, const ReportLayout& layout);
[[nodiscard]] nlohmann::json to_json(const FileStats& stats, std::size_t tables);

[[nodiscard]] std::vector<ScreenLine> workload_screen(const Workload& workload, const ReportLayout& layout);
// One line for an interval, where there is no screen.
[[nodiscard]] std::string workload_line(const Workload& workload);
[[nodiscard]] nlohmann::json to_json(const Workload& workload, std::size_t tables);

}  // namespace sqlane::cli
