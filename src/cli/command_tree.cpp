#include "cli/command_tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

namespace sqlane::cli {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Of "{full,normal}", as a validator for a set describes itself.
std::vector<std::string> choices_in(const std::string& type) {
  const std::size_t begin = type.find('{');
  const std::size_t end = type.find('}', begin);
  std::vector<std::string> choices;
  if (begin == std::string::npos || end == std::string::npos) return choices;
  for (std::string choice : CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',')) {
    choice = choice.substr(0, choice.find("->"));  // with what it stands for
    choices.push_back(CLI::detail::trim_copy(choice));
  }
  return choices;
}

Expects expected_by(std::string_view name, std::string_view type) {
  for (const std::string_view folder : {"FOLDER", "DIR"}) {
    if (contains(name, folder) || contains(type, folder)) return Expects::folder;
  }
  for (const std::string_view file : {"FILE", "DATABASE", "PATH"}) {
    if (contains(name, file) || contains(type, file)) return Expects::file;
  }
  return name == "TO" || name == "FROM" ? Expects::file : Expects::value;
}

Argument describe(const CLI::Option& option) {
  Argument argument;
  argument.description = option.get_description();
  argument.default_value = option.get_default_str();
  argument.is_required = option.get_required();
  const std::string type = option.get_type_name();
  std::string name;
  if (option.get_positional()) {
    name = option.get_name(true);
    argument.names = {name};
  } else {
    for (const std::string& word : option.get_lnames()) argument.names.push_back("--" + word);
    for (const std::string& letter : option.get_snames()) argument.names.push_back("-" + letter);
  }
  argument.takes_several = option.get_items_expected_max() > 1;
  if (option.get_items_expected_max() == 0) {
    argument.expects = Expects::nothing;
    return argument;
  }
  argument.choices = choices_in(type);
  argument.expects = argument.choices.empty() ? expected_by(name, type) : Expects::choice;
  argument.value = option.get_positional() ? name : type.substr(0, type.find(':'));
  return argument;
}

std::vector<Argument> arguments_of(const CLI::App& app, bool (*wanted)(const CLI::Option&)) {
  std::vector<Argument> arguments;
  for (const CLI::Option* const option :
       app.get_options([&](const CLI::Option* candidate) { return wanted(*candidate); })) {
    arguments.push_back(describe(*option));
  }
  return arguments;
}

}  // namespace

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& apps) {
  std::vector<std::string> names;
  for (const CLI::App* const app : apps) names.push_back(app->get_name());
  return names;
}

std::string path_of(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return parent == nullptr ? app.get_name() : path_of(*parent) + " " + app.get_name();
}

std::vector<Argument> options_of(const CLI::App& app) {
  return arguments_of(app, [](const CLI::Option& option) { return !option.get_positional(); });
}

std::vector<Argument> positionals_of(const CLI::App& app) {
  return arguments_of(app, [](const CLI::Option& option) { return option.get_positional(); });
}

std::vector<std::string> option_names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const Argument& option : options_of(app)) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::string synopsis_of(const CLI::App& app) {
  std::string text = path_of(app);
  if (!subcommands_of(app).empty()) return text + " COMMAND";
  for (const Argument& argument : positionals_of(app)) {
    const std::string name = argument.names.front() + (argument.takes_several ? "..." : "");
    text += argument.is_required ? " " + name : " [" + name + "]";
  }
  return text + " [OPTIONS]";
}

std::string example_of(const CLI::App& app) {
  constexpr std::string_view kMark = "Example: ";
  const std::string footer = app.get_footer();
  const std::size_t at = footer.find(kMark);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + kMark.size();
  return footer.substr(begin, footer.find('\n', begin) - begin);
}

}  // namespace sqlane::cli
