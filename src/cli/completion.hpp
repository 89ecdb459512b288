#pragma once

#include <string>

namespace CLI {
class App;
}

namespace sqlane::cli {

// Scripts by which a shell completes what `app` understands: commands at any
// depth, options with their choices, and names of files and folders.
[[nodiscard]] std::string make_bash_completion(const CLI::App& app);
[[nodiscard]] std::string make_zsh_completion(const CLI::App& app);

}  // namespace sqlane::cli
