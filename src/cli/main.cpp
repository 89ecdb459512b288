#include <iostream>
#include <unistd.h>

#include "cli/command.hpp"

int main(int argc, char** argv) {
  sqlane::cli::Console console{std::cout, std::cerr, ::isatty(STDOUT_FILENO) == 1};
  return sqlane::cli::run_command(argc, argv, console);
}
