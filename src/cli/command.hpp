#pragma once

#include "cli/console.hpp"

namespace sqlane::cli {

// The `sqlane` command. Returns its exit code.
int run_command(int argc, const char* const* argv, Console& console);

}  // namespace sqlane::cli
