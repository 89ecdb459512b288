#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

// The commands and their options as CLI11 has them: what help, completion and the
// man page are made of.
namespace sqlane::cli {

[[nodiscard]] std::vector<const CLI::App*> subcommands_of(const CLI::App& app);
[[nodiscard]] std::vector<std::string> names_of(const std::vector<const CLI::App*>& apps);

// "sqlane migrate up"
[[nodiscard]] std::string path_of(const CLI::App& app);

// What its user may give it.
enum class Expects : unsigned char { nothing, value, choice, file, folder };

struct Argument {
  std::vector<std::string> names;  // "--json", "-j"; of a positional argument its one name
  std::string value;               // what the value is called; empty for a flag
  std::string description;
  std::string default_value;
  Expects expects = Expects::value;
  std::vector<std::string> choices{};
  bool is_required = false;
  bool takes_several = false;
};

// In the order of their definition.
[[nodiscard]] std::vector<Argument> options_of(const CLI::App& app);
[[nodiscard]] std::vector<Argument> positionals_of(const CLI::App& app);
[[nodiscard]] std::vector<std::string> option_names_of(const CLI::App& app);

// "sqlane backup [OPTIONS] FILE TO"
[[nodiscard]] std::string synopsis_of(const CLI::App& app);

// Of its footer: "sqlane backup app.db copy.db"; empty where there is none.
[[nodiscard]] std::string example_of(const CLI::App& app);

}  // namespace sqlane::cli
