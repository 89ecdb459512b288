#include "cli/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace sqlane::cli {
namespace {

constexpr double kWidth = 960;
constexpr double kMargin = 28;
constexpr double kHeading = 78;
constexpr double kGap = 24;
constexpr double kPanelWidth = (kWidth - 2 * kMargin - kGap) / 2;
constexpr double kPanelHeight = 300;
constexpr double kPlotLeft = 62;  // inside a panel
constexpr double kPlotRight = 26;
constexpr double kPlotTop = 64;      // below title and legend
constexpr double kPlotBottom = 48;   // above ticks and label
constexpr std::size_t kMarked = 20;  // points of a series
constexpr std::size_t kColors = 4;

constexpr std::string_view kStyle = R"(
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; fill: #52606d; }
  .paper { fill: #f4f6f8; } .card { fill: #ffffff; stroke: #e1e6eb; }
  .title { font-size: 20px; font-weight: 600; fill: #1f2933; } .panel { font-size: 14px; font-weight: 600; fill: #1f2933; }
  .grid { stroke: #e4e9ee; stroke-width: 1; } .axis { stroke: #9aa5b1; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
  .l0 { stroke: #2563eb; } .l1 { stroke: #d97706; } .l2 { stroke: #059669; } .l3 { stroke: #9333ea; }
  .d0 { fill: #2563eb; } .d1 { fill: #d97706; } .d2 { fill: #059669; } .d3 { fill: #9333ea; }
  @media (prefers-color-scheme: dark) {
    text { fill: #a9b4c0; } .title, .panel { fill: #f0f4f8; }
    .paper { fill: #12171d; } .card { fill: #1b222b; stroke: #2b3540; }
    .grid { stroke: #2a333d; } .axis { stroke: #5f6c7b; }
    .l0 { stroke: #60a5fa; } .l1 { stroke: #fbbf24; } .l2 { stroke: #34d399; } .l3 { stroke: #c084fc; }
    .d0 { fill: #60a5fa; } .d1 { fill: #fbbf24; } .d2 { fill: #34d399; } .d3 { fill: #c084fc; }
  }
)";

// Characters that XML does not allow at all become '?'.
std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

std::string format_tick(const ChartAxis& axis, double value) {
  return axis.format ? axis.format(value) : fmt::format("{:g}", value);
}

// From values to a place on the picture.
class Ruler {
 public:
  Ruler(const ChartAxis& axis, std::vector<double> ticks, double from, double to)
      : scale_(axis.scale), ticks_(std::move(ticks)), from_(from), to_(to) {}

  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }
  [[nodiscard]] double place(double value) const {
    const double low = on_scale(ticks_.front());
    const double high = on_scale(ticks_.back());
    const double share = high > low ? (on_scale(value) - low) / (high - low) : 0.5;
    return from_ + std::clamp(share, 0.0, 1.0) * (to_ - from_);
  }

 private:
  [[nodiscard]] double on_scale(double value) const {
    return scale_ == Scale::logarithmic ? std::log10(std::max(value, 1e-300)) : value;
  }

  Scale scale_;
  std::vector<double> ticks_;
  double from_;
  double to_;
};

template <class Get>
Ruler make_ruler(const ChartPanel& panel, const ChartAxis& axis, int ticks, double from, double to, Get get) {
  if (!axis.ticks.empty()) return {axis, axis.ticks, from, to};
  std::optional<double> low;
  std::optional<double> high;
  for (const ChartSeries& series : panel.series) {
    for (const auto& point : series.points) {
      const double value = get(point);
      low = low ? std::min(*low, value) : value;
      high = high ? std::max(*high, value) : value;
    }
  }
  const bool begins_at_zero = axis.scale == Scale::linear && low.value_or(0) > 0;
  return {axis, round_ticks(begins_at_zero ? 0 : low.value_or(0), high.value_or(1), axis.scale, ticks), from, to};
}

void draw_axes(const ChartPanel& panel, const Ruler& x, const Ruler& y, double left, double right, double bottom,
               std::string& svg) {
  for (const double tick : y.ticks()) {
    const double at = y.place(tick);
    svg += fmt::format(R"(<line class="grid" x1="{0:.1f}" y1="{2:.1f}" x2="{1:.1f}" y2="{2:.1f}"/>)"
                       R"(<text x="{3:.1f}" y="{4:.1f}" text-anchor="end">{5}</text>)"
                       "\n",
                       left, right, at, left - 8, at + 4, escape(format_tick(panel.y, tick)));
  }
  for (const double tick : x.ticks()) {
    const double at = x.place(tick);
    svg += fmt::format(R"(<line class="axis" x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}"/>)"
                       R"(<text x="{0:.1f}" y="{3:.1f}" text-anchor="middle">{4}</text>)"
                       "\n",
                       at, bottom, bottom + 4, bottom + 18, escape(format_tick(panel.x, tick)));
  }
  svg += fmt::format(R"(<line class="axis" x1="{0:.1f}" y1="{2:.1f}" x2="{1:.1f}" y2="{2:.1f}"/>)"
                     R"(<text x="{3:.1f}" y="{4:.1f}" text-anchor="middle">{5}</text>)"
                     "\n",
                     left, right, bottom, (left + right) / 2, bottom + 37, escape(panel.x.label));
}

void draw_series(const ChartSeries& series, std::size_t color, const Ruler& x, const Ruler& y, std::string& svg) {
  std::string path;
  for (const auto& [at, value] : series.points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x.place(at), y.place(value));
  }
  if (path.empty()) return;
  svg += fmt::format(R"(<path class="line l{}" d="{}"/>)"
                     "\n",
                     color, path);
  if (series.points.size() > kMarked) return;
  for (const auto& [at, value] : series.points) {
    svg +=
        fmt::format(R"(<circle class="d{}" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>)"
                    "\n",
                    color, x.place(at), y.place(value), escape(fmt::format("{}: {:g}, {:g}", series.name, at, value)));
  }
}

void draw_legend(const ChartPanel& panel, double left, double y, std::string& svg) {
  constexpr double kCharacter = 6.6;  // about as wide
  double at = left;
  for (std::size_t i = 0; i < panel.series.size(); ++i) {
    const std::string& name = panel.series[i].name;
    svg += fmt::format(R"(<circle class="d{}" cx="{:.1f}" cy="{:.1f}" r="4"/><text x="{:.1f}" y="{:.1f}">{}</text>)"
                       "\n",
                       i % kColors, at + 4, y - 4, at + 13, y, escape(name));
    at += 13 + kCharacter * static_cast<double>(name.size()) + 18;
  }
}

void draw_panel(const ChartPanel& panel, double left, double top, std::string& svg) {
  const double plot_left = left + kPlotLeft;
  const double plot_right = left + kPanelWidth - kPlotRight;
  const double plot_top = top + kPlotTop;
  const double plot_bottom = top + kPanelHeight - kPlotBottom;
  svg += fmt::format(R"(<rect class="card" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="8"/>)"
                     R"(<text class="panel" x="{:.1f}" y="{:.1f}">{}</text>)"
                     "\n",
                     left, top, kPanelWidth, kPanelHeight, left + 18, top + 27, escape(panel.title));
  draw_legend(panel, left + 18, top + 47, svg);
  const Ruler x = make_ruler(panel, panel.x, 6, plot_left, plot_right, [](const auto& point) { return point.first; });
  const Ruler y = make_ruler(panel, panel.y, 5, plot_bottom, plot_top, [](const auto& point) { return point.second; });
  draw_axes(panel, x, y, plot_left, plot_right, plot_bottom, svg);
  for (std::size_t i = 0; i < panel.series.size(); ++i) draw_series(panel.series[i], i % kColors, x, y, svg);
}

std::vector<double> linear_ticks(double low, double high, int count) {
  if (!(high > low)) high = low + (low == 0 ? 1 : std::abs(low));
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double round : {1.0, 2.0, 5.0}) {
    if (round * power >= raw * (1 - 1e-9)) {
      step = round * power;
      break;
    }
  }
  const double first = std::floor(low / step * (1 + 1e-12));
  std::vector<double> ticks;
  for (double i = first;; ++i) {
    ticks.push_back(i * step);
    if (i * step >= high - step * 1e-9) return ticks;
  }
}

std::vector<double> logarithmic_ticks(double low, double high, int count) {
  low = std::max(low, 1e-12);
  high = std::max(high, low);
  const bool is_wide = std::log10(high / low) >= count / 2.0;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  std::vector<double> all;
  for (int power = first; power <= last; ++power) {
    for (const double round : {1.0, 2.0, 5.0}) {
      if (round == 1.0 || !is_wide) all.push_back(round * std::pow(10, power));
    }
  }
  const auto is_low = [&](double tick) { return tick <= low * (1 + 1e-9); };
  const auto is_high = [&](double tick) { return tick >= high * (1 - 1e-9); };
  const auto begin = std::find_if(all.rbegin(), all.rend(), is_low).base() - 1;
  auto end = std::find_if(begin, all.end(), is_high);
  if (end == begin) ++end;
  return {begin, end == all.end() ? end : end + 1};
}

}  // namespace

std::vector<double> round_ticks(double low, double high, Scale scale, int count) {
  return scale == Scale::linear ? linear_ticks(low, high, count) : logarithmic_ticks(low, high, count);
}

std::string draw_svg(const Chart& chart) {
  const std::size_t rows = (chart.panels.size() + 1) / 2;
  const double height = kHeading + static_cast<double>(rows) * (kPanelHeight + kGap) - kGap + kMargin;
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" role="img" aria-label="{2}">)"
      "\n<style>{3}</style>\n"
      R"(<rect class="paper" width="{0:.0f}" height="{1:.0f}"/>)"
      R"(<text class="title" x="{4:.0f}" y="40">{2}</text><text x="{4:.0f}" y="61">{5}</text>)"
      "\n",
      kWidth, height, escape(chart.title), kStyle, kMargin, escape(chart.subtitle));
  for (std::size_t i = 0; i < chart.panels.size(); ++i) {
    const std::size_t column = i % 2;
    const std::size_t row = i / 2;
    const double left = kMargin + static_cast<double>(column) * (kPanelWidth + kGap);
    const double top = kHeading + static_cast<double>(row) * (kPanelHeight + kGap);
    draw_panel(chart.panels[i], left, top, svg);
  }
  return svg + "</svg>\n";
}

}  // namespace sqlane::cli
