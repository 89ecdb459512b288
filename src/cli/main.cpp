#include <csignal>
#include <cstdlib>
#include <iostream>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.hpp"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk, after which all is tidied up
  sqlane::cli::Console console{std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1};
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    console.columns = size.ws_col;
    console.rows = size.ws_row;
  }
  const char* const no_color = std::getenv("NO_COLOR");
  console.has_color = console.is_terminal && (no_color == nullptr || *no_color == '\0');
  const int code = sqlane::cli::run_command(argc, argv, console);
  if (std::cout.flush()) return code;
  std::cerr << "sqlane: its output could not be written\n";
  return code == sqlane::cli::kExitSuccess ? sqlane::cli::kExitFailure : code;
}
