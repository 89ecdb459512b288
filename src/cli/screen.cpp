#include "cli/screen.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ostream>

namespace sqlane::cli {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }

// How many bytes of UTF-8 there control a terminal, or the direction of what it shows; 0: none.
std::size_t control_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto is_within = [](unsigned number, unsigned low, unsigned high) { return number >= low && number <= high; };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (byte(0) == 0xc2 && is_within(byte(1), 0x80, 0x9f)) return 2;  // U+0080 to U+009F
  if (byte(0) == 0xd8 && byte(1) == 0x9c) return 2;                 // U+061C
  if (byte(0) != 0xe2) return 0;
  // U+200E, U+200F, and U+2028 to U+202E, with the ends of lines and paragraphs
  if (byte(1) == 0x80 && (is_within(byte(2), 0x8e, 0x8f) || is_within(byte(2), 0xa8, 0xae))) return 3;
  return byte(1) == 0x81 && is_within(byte(2), 0xa6, 0xa9) ? 3 : 0;  // U+2066 to U+2069
}

std::string without_controls(std::string_view text, std::string_view kept) {
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t control = kept.find(text[i]) == std::string_view::npos ? control_at(text.substr(i)) : 0;
    shown += control > 0 ? '?' : text[i];
    i += std::max<std::size_t>(control, 1);
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
