#include "cli/screen.hpp"

#include <gtest/gtest.h>
#include <sstream>
#include <vector>

namespace sqlane::cli {
namespace {

TEST(Screen, ShowsNoControlCharacters) {
  EXPECT_EQ(printable("plain"), "plain");
  EXPECT_EQ(printable("a\033[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(printable("gr\xc3\xb6\xc3\x9f"
                      "e"),
            "gr\xc3\xb6\xc3\x9f"
            "e");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "2J"),
            "a?2J");  // one that UTF-8 spells in two bytes
  EXPECT_EQ(printable("a\xe2\x80\xae"
                      "b\xe2\x81\xa6"
                      "c\xd8\x9c"
                      "d\xe2\x80\xa8"
                      "e\xe2\x80\x8f"),
            "a?b?c?d?e?");  // they change the direction of what follows, or end a line
  EXPECT_EQ(printable("\xe2\x80\xa6 \xe2\x80"), "\xe2\x80\xa6 \xe2\x80");
}

TEST(Screen, FitsTextIntoColumnsByCharacters) {
  EXPECT_EQ(fit("visit", 8), "visit   ");
  EXPECT_EQ(fit("visit", 5), "visit");
  EXPECT_EQ(fit("visits", 5), "vis..");
  EXPECT_EQ(fit("gr\xc3\xb6\xc3\x9f"
                "er",
                6),
            "gr\xc3\xb6\xc3\x9f"
            "er");
  EXPECT_EQ(fit("gr\xc3\xb6\xc3\x9f"
                "er",
                5),
            "gr\xc3\xb6..");
  EXPECT_EQ(fit("visit", 2), "vi");
  EXPECT_EQ(fit("visit", 0), "");
}

TEST(Screen, DrawsTheNewestValuesFromZeroToTheLargest) {
  const std::vector<double> values{9, 0, 7, 3.5};
  EXPECT_EQ(sparkline(values, 3, Charset::ascii), "_#=");
  EXPECT_EQ(sparkline(values, 3, Charset::unicode), "\xe2\x96\x81\xe2\x96\x88\xe2\x96\x85");
  EXPECT_EQ(count_characters(sparkline(values, 10, Charset::unicode)), 4U);
  EXPECT_EQ(sparkline(std::vector<double>{0, 0}, 10, Charset::ascii), "__");
  EXPECT_EQ(sparkline({}, 10, Charset::ascii), "");
}

class RedrawnScreen : public ::testing::Test {
 protected:
  std::ostringstream out;
  Console console{out, out, true};
};

TEST_F(RedrawnScreen, BeginsAtTheUpperLeftCornerAndClearsWhatWasThere) {
  const std::vector<ScreenLine> lines{{"one"}, {"two"}};
  EXPECT_EQ(redraw(console, lines, {.columns = 80, .rows = 24}), "\033[Hone\033[K\r\ntwo\033[K\033[J");
}

TEST_F(RedrawnScreen, FitsTheTerminal) {
  const std::vector<ScreenLine> lines{{"a line that is long"}, {"two"}, {"three"}};
  EXPECT_EQ(redraw(console, lines, {.columns = 6, .rows = 2}), "\033[Ha line\033[K\r\ntwo\033[K\033[J");
}

TEST_F(RedrawnScreen, CutsBeforeItColours) {
  console.has_color = true;
  EXPECT_EQ(redraw(console, std::vector<ScreenLine>{{"green", Color::green}}, {.columns = 3, .rows = 1}),
            "\033[H\033[32mgre\033[0m\033[K\033[J");
}

TEST_F(RedrawnScreen, GivesTheTerminalBack) {
  { const LiveScreen screen(console); }
  EXPECT_EQ(out.str(), "\033[?1049h\033[?25l\033[?25h\033[?1049l");
}

}  // namespace
}  // namespace sqlane::cli
