#include "cli/console.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <ostream>

#include "cli/screen.hpp"

namespace sqlane::cli {
namespace {

constexpr std::string_view kClearLine = "\r\033[K";

std::string_view code_of(Color color) {
  switch (color) {
    case Color::none: return "";
    case Color::red: return "\033[31m";
    case Color::green: return "\033[32m";
    case Color::yellow: return "\033[33m";
    case Color::bold: return "\033[1m";
    case Color::faint: return "\033[2m";
  }
  return "";
}

}  // namespace

std::string paint(const Console& console, Color color, std::string_view text) {
  if (!console.has_color || color == Color::none) return std::string(text);
  return fmt::format("{}{}\033[0m", code_of(color), text);
}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::show(double fraction, std::string_view raw) {
  const std::string text = printable(raw);
  constexpr int kWidth = 30;
  const double done = std::clamp(fraction, 0.0, 1.0);
  if (console_.is_terminal) {
    const int filled = static_cast<int>(done * kWidth);
    const std::string bar =
        fraction < 0 ? std::string(text)
                     : fmt::format("[{:=<{}}{:<{}}] {:3.0f} %  {}", "", filled, "", kWidth - filled, done * 100, text);
    console_.out << kClearLine << bar.substr(0, console_.columns - 1) << std::flush;
    is_open_ = true;
    return;
  }
  const int tenth = fraction < 0 ? -1 : static_cast<int>(done * 10);
  if (tenth == shown_tenth_ && (fraction >= 0 || text == shown_text_)) return;
  shown_tenth_ = tenth;
  shown_text_ = text;
  if (fraction >= 0) {
    console_.out << fmt::format("{:3.0f} %  {}\n", done * 100, text) << std::flush;
  } else {
    console_.out << text << "\n" << std::flush;
  }
}

void ProgressLine::clear() {
  if (is_open_) console_.out << kClearLine << std::flush;
  is_open_ = false;
}

}  // namespace sqlane::cli
