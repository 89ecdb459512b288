#include "cli/screen.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ostream>

namespace sqlane::cli {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }

std::string without_controls(std::string_view text, std::string_view kept) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F control a terminal as well.
    const bool is_control = (byte < 0x20 && kept.find(text[i]) == std::string_view::npos) || byte == 0x7f ||
                            (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0);
    if (is_control && byte == 0xc2) ++i;
    shown += is_control ? '?' : text[i];
  }
  return shown;
}

}  // namespace

std::string printable(std::string_view text) { return without_controls(text, ""); }

std::string printable_lines(std::string_view text) { return without_controls(text, "\n\t"); }

std::string_view first_characters(std::string_view text, std::size_t columns) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && characters++ == columns) return text.substr(0, i);
  }
  return text;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string fit(std::string_view text, std::size_t columns) {
  const std::size_t characters = count_characters(text);
  if (characters <= columns) return std::string(text) + std::string(columns - characters, ' ');
  if (columns < 3) return std::string(first_characters(text, columns));
  return std::string(first_characters(text, columns - 2)) + "..";
}

Charset charset_of_environment() {
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    const bool is_utf8 = locale.find("UTF-8") != std::string_view::npos ||
                         locale.find("utf8") != std::string_view::npos || locale.find("UTF8") != std::string_view::npos;
    return is_utf8 ? Charset::unicode : Charset::ascii;
  }
  return Charset::ascii;
}

std::string sparkline(std::span<const double> values, std::size_t columns, Charset charset) {
  constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<std::string_view, 8> kAscii{"_", ".", "-", ":", "=", "+", "*", "#"};
  const auto& steps = charset == Charset::unicode ? kBlocks : kAscii;
  const auto shown = values.last(std::min(columns, values.size()));
  const double most = shown.empty() ? 0 : *std::max_element(shown.begin(), shown.end());
  std::string line;
  for (const double value : shown) {
    const double height = most > 0 ? std::clamp(value / most, 0.0, 1.0) * 7 : 0;
    line += steps[static_cast<std::size_t>(height + 0.5)];
  }
  return line;
}

std::string redraw(const Console& console, std::span<const ScreenLine> lines, ScreenSize size) {
  std::string text = "\033[H";
  const std::size_t count = std::min(lines.size(), size.rows);
  for (std::size_t i = 0; i < count; ++i) {
    text += paint(console, lines[i].color, first_characters(lines[i].text, size.columns));
    text += "\033[K";
    if (i + 1 < count) text += "\r\n";  // after the last one the terminal would scroll
  }
  return text + "\033[J";
}

LiveScreen::LiveScreen(Console& console) : console_(console) { console_.out << "\033[?1049h\033[?25l" << std::flush; }

LiveScreen::~LiveScreen() { console_.out << "\033[?25h\033[?1049l" << std::flush; }

}  // namespace sqlane::cli
