#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace sqlane::cli {

enum class Scale : unsigned char { linear, logarithmic };

struct ChartAxis {
  std::string label;
  Scale scale = Scale::linear;
  std::function<std::string(double)> format{};  // of a tick; unset: as a number
  std::vector<double> ticks{};                  // unset: round numbers
};

struct ChartSeries {
  std::string name;
  std::vector<std::pair<double, double>> points;  // ascending x; above 0 on a logarithmic axis
};

// Where its points lie is marked, unless there are very many.
struct ChartPanel {
  std::string title;
  ChartAxis x;
  ChartAxis y;
  std::vector<ChartSeries> series;
};

struct Chart {
  std::string title;
  std::string subtitle;
  std::vector<ChartPanel> panels;  // two in a row
};

// One SVG without scripts, readable on light and dark backgrounds.
[[nodiscard]] std::string draw_svg(const Chart& chart);

// Round numbers, ascending, from at or below `low` to at or above `high`: some
// `count` of them. On a logarithmic scale powers of ten, or 1, 2 and 5 of them
// where those are few.
[[nodiscard]] std::vector<double> round_ticks(double low, double high, Scale scale, int count);

}  // namespace sqlane::cli
