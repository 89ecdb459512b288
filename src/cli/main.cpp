#include <iostream>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.hpp"

int main(int argc, char** argv) {
  sqlane::cli::Console console{std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1};
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) console.columns = size.ws_col;
  return sqlane::cli::run_command(argc, argv, console);
}
