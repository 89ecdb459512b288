#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/console.hpp"
#include "cli/opening.hpp"
#include "cli/subcommand.hpp"

namespace CLI {
class App;
}

namespace sqlane::cli {

// What `sqlane backup` and `sqlane restore` are told.
struct CopyArguments {
  std::filesystem::path file;   // the database
  std::filesystem::path other;  // where its copy goes to, or comes from
  bool is_unverified = false;
  bool is_json = false;
  Sharing sharing = Sharing::usual;  // of `file`
};

enum class CopyDirection : unsigned char { backup, restore };

// Adds the arguments that both have to `command`.
void add_copy_options(CLI::App& command, CopyArguments& arguments, const char* other, const char* other_description);

// Does it, with a bar as it goes on, and says what came of it. Ctrl-C ends it and
// leaves nothing. Returns the exit code.
int run_copy(CopyDirection direction, const CopyArguments& arguments, Console& console);

}  // namespace sqlane::cli
