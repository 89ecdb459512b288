#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.hpp"

namespace sqlane::cli {

struct ScreenLine {
  std::string text;
  Color color = Color::none;
};

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// For a terminal: what comes from a file could hold control characters, which
// are shown as '?'.
[[nodiscard]] std::string printable(std::string_view text);
// The same for text that may have several lines: line ends and tabs stay.
[[nodiscard]] std::string printable_lines(std::string_view text);

// The first `columns` characters of UTF-8 text, and how many it has.
[[nodiscard]] std::string_view first_characters(std::string_view text, std::size_t columns);
[[nodiscard]] std::size_t count_characters(std::string_view text);
// `text` in a column of so many characters: cut with "..", or filled up with blanks.
[[nodiscard]] std::string fit(std::string_view text, std::size_t columns);

enum class Charset : unsigned char { ascii, unicode };
// That of the locale in the environment.
[[nodiscard]] Charset charset_of_environment();

// One character for each value, from 0 to the largest; the newest `columns` ones.
[[nodiscard]] std::string sparkline(std::span<const double> values, std::size_t columns, Charset charset);

// Draws `lines` over what is on the terminal, from its upper left corner; what
// does not fit is left out.
[[nodiscard]] std::string redraw(const Console& console, std::span<const ScreenLine> lines, ScreenSize size);

// The terminal's other screen, with the cursor hidden, and back on destruction.
class LiveScreen {
 public:
  explicit LiveScreen(Console& console);
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;
  ~LiveScreen();

 private:
  Console& console_;
};

}  // namespace sqlane::cli
