#pragma once

#include <cstddef>
#include <iosfwd>

namespace sqlane::cli {

// Where the command reads and writes; a test gives strings.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;   // of `out`: then progress overwrites its line
  std::size_t columns = 120;  // of the terminal
};

inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;  // the work failed, or the proof did
inline constexpr int kExitUsage = 2;    // the arguments make no sense

// The `sqlane` command. Returns its exit code.
int run_command(int argc, const char* const* argv, Console& console);

}  // namespace sqlane::cli
