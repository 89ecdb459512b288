#include "cli/chart.hpp"

#include <gtest/gtest.h>
#include <string_view>

namespace sqlane::cli {
namespace {

using Ticks = std::vector<double>;

TEST(RoundTicks, OfALinearAxisAreOneTwoOrFiveTimesAPowerOfTen) {
  struct Case {
    double low, high;
    int count;
    Ticks ticks;
  };
  for (const auto& [low, high, count, ticks] : {
           Case{0, 100, 5, {0, 20, 40, 60, 80, 100}},
           Case{0, 87'900, 5, {0, 20'000, 40'000, 60'000, 80'000, 100'000}},
           Case{0, 3, 5, {0, 1, 2, 3}},
           Case{0, 0, 5, {0, 0.2, 0.4, 0.6, 0.8, 1.0}},
           Case{-7, 12, 4, {-10, -5, 0, 5, 10, 15}},
           Case{0, 1e9, 2, {0, 5e8, 1e9}},
       }) {
    const Ticks found = round_ticks(low, high, Scale::linear, count);
    ASSERT_EQ(found.size(), ticks.size()) << low << " to " << high;
    for (std::size_t i = 0; i < ticks.size(); ++i) EXPECT_NEAR(found[i], ticks[i], 1e-9 * std::max(1.0, high));
  }
}

TEST(RoundTicks, OfALogarithmicAxisArePowersOfTenOrPartsOfThem) {
  struct Case {
    double low, high;
    Ticks ticks;
  };
  for (const auto& [low, high, ticks] : {
           Case{1, 1'000'000, {1, 10, 100, 1000, 10'000, 100'000, 1'000'000}},
           Case{15, 80'000, {10, 100, 1000, 10'000, 100'000}},
           Case{3, 40, {2, 5, 10, 20, 50}},
           Case{5, 5, {5, 10}},
           Case{100, 200, {100, 200}},
           Case{90, 1001, {50, 100, 200, 500, 1000, 2000}},
       }) {
    const Ticks found = round_ticks(low, high, Scale::logarithmic, 5);
    ASSERT_EQ(found.size(), ticks.size()) << low << " to " << high << ": " << found.front() << ".." << found.back();
    for (std::size_t i = 0; i < ticks.size(); ++i) EXPECT_NEAR(found[i] / ticks[i], 1, 1e-9);
  }
}

TEST(RoundTicks, HoldTheValuesTheyAreMadeFor) {
  for (const Scale scale : {Scale::linear, Scale::logarithmic}) {
    for (double low = 1e-7; low < 1e7; low *= 3.7) {
      for (double high = low; high < 1e9; high *= 2.9) {
        const Ticks ticks = round_ticks(low, high, scale, 5);
        ASSERT_GE(ticks.size(), 2U) << low << " to " << high;
        EXPECT_LE(ticks.size(), 20U) << low << " to " << high;
        EXPECT_LE(ticks.front(), low * (1 + 1e-6));
        EXPECT_GE(ticks.back(), high * (1 - 1e-6));
      }
    }
  }
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Chart small_chart() {
  return {.title = "Tom & <Jerry>",
          .subtitle = "a \"quoted\" line\x01",
          .panels = {
              {.title = "rates",
               .x = {.label = "threads", .scale = Scale::logarithmic, .format = {}, .ticks = {1, 10, 100}},
               .y = {.label = "", .scale = Scale::linear, .format = {}, .ticks = {0, 50, 100}},
               .series = {{.name = "one", .points = {{1, 0}, {10, 50}, {100, 100}}}, {.name = "none", .points = {}}}}}};
}

TEST(Drawing, IsXmlWithoutScripts) {
  const std::string svg = draw_svg(small_chart());
  EXPECT_EQ(svg.find("<svg xmlns="), 0U);
  EXPECT_NE(svg.find("Tom &amp; &lt;Jerry&gt;"), std::string::npos);
  EXPECT_NE(svg.find("a &quot;quoted&quot; line?"), std::string::npos);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
  EXPECT_EQ(count(svg, "<svg"), count(svg, "</svg>"));
  EXPECT_NE(svg.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(Drawing, PutsPointsWhereTheirTicksAre) {
  const std::string svg = draw_svg(small_chart());
  // Three points on a straight line: each at the place of its tick, on both scales.
  const std::size_t at = svg.find(" d=\"M");
  ASSERT_NE(at, std::string::npos);
  double x[3];
  double y[3];
  ASSERT_EQ(
      std::sscanf(svg.c_str() + at, " d=\"M%lf %lf L%lf %lf L%lf %lf\"", &x[0], &y[0], &x[1], &y[1], &x[2], &y[2]), 6);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_NEAR(y[0] - y[1], y[1] - y[2], 0.11);
  EXPECT_GT(x[1], x[0]);
  EXPECT_GT(y[0], y[1]);                      // upwards is less on a picture
  EXPECT_EQ(count(svg, "<circle"), 3U + 2U);  // the points, and the legend
}

TEST(Drawing, OfNothingIsStillAPicture) {
  EXPECT_NE(draw_svg({.title = "empty", .subtitle = "", .panels = {}}).find("</svg>"), std::string::npos);
  Chart chart = small_chart();
  chart.panels[0].x.ticks.clear();
  chart.panels[0].y.ticks.clear();
  for (ChartSeries& series : chart.panels[0].series) series.points.clear();
  EXPECT_EQ(draw_svg(chart).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace sqlane::cli
