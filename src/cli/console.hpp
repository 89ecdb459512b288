#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace sqlane::cli {

// Where the command reads and writes; a test gives strings.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;   // `out` is one: then what is live overwrites itself
  std::size_t columns = 120;  // of the terminal
  std::size_t rows = 40;
  bool has_color = false;  // a terminal, and NO_COLOR is not set (https://no-color.org)
};

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;   // the work failed, or the proof did
inline constexpr int kExitUsage = 2;     // the arguments make no sense, in themselves or for this database
inline constexpr int kExitFindings = 3;  // the work was done, and found something that is wrong or differs

enum class Color : unsigned char { none, red, green, yellow, bold, faint };

// `text` in a colour, where the console shows colours.
[[nodiscard]] std::string paint(const Console& console, Color color, std::string_view text);

// What is under way: a bar that overwrites itself on a terminal, elsewhere a
// line for each tenth. Ends its line on destruction.
class ProgressLine {
 public:
  explicit ProgressLine(Console& console) : console_(console) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

  // `fraction` from 0 to 1, below 0 where it is not known; `text` is what is said beside it.
  void show(double fraction, std::string_view text);
  // Clears a bar; lines stay.
  void clear();

 private:
  Console& console_;
  int shown_tenth_ = -1;
  std::string shown_text_;
  bool is_open_ = false;
};

}  // namespace sqlane::cli
