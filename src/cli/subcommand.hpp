#pragma once

#include <functional>

#include "cli/console.hpp"

namespace CLI {
class App;
}

namespace sqlane::cli {

// What the arguments ask for; set by the subcommand that was given. Returns the exit code.
using Run = std::function<int(Console& console)>;

// One function for each subcommand, in a file of its name: adds it to `app`, with
// a description, an example as its footer, and a callback that sets `run`, which
// lives as long as `app`.
void add_backup(CLI::App& app, Run& run);
void add_bench(CLI::App& app, Run& run);
void add_check(CLI::App& app, Run& run);
void add_check_sql(CLI::App& app, Run& run);
void add_completion(CLI::App& app, Run& run);
void add_demo(CLI::App& app, Run& run);
void add_man(CLI::App& app, Run& run);
void add_migrate(CLI::App& app, Run& run);
void add_restore(CLI::App& app, Run& run);
void add_stats(CLI::App& app, Run& run);

}  // namespace sqlane::cli
