#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace sqlane::cli {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

struct TerminalOfTest {
  bool is_terminal = false;
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// `sqlane` with these arguments, inside this process.
inline Outcome run_with(const TerminalOfTest& terminal, const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"sqlane"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err, terminal.is_terminal, terminal.columns, terminal.rows};
  const int code = run_command(static_cast<int>(argv.size()), argv.data(), console);
  return {code, out.str(), err.str()};
}
inline Outcome run(const std::vector<std::string>& arguments) { return run_with({}, arguments); }

}  // namespace sqlane::cli
