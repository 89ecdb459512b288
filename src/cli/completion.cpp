#include "cli/completion.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>

#include "cli/command_tree.hpp"

namespace sqlane::cli {
namespace {

// In single quotes, for either shell.
std::string quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// Below the program's name: "migrate up"; empty for the program itself.
std::string key_of(const CLI::App& app) {
  const std::string path = path_of(app);
  const std::size_t blank = path.find(' ');
  return blank == std::string::npos ? "" : path.substr(blank + 1);
}

void visit(const CLI::App& app, const std::function<void(const CLI::App&)>& action) {
  action(app);
  for (const CLI::App* const command : subcommands_of(app)) visit(*command, action);
}

// What a value is completed to: the words of a kind that the scripts know.
std::string kind_of(const Argument& argument) {
  switch (argument.expects) {
    case Expects::nothing: return "nothing";
    case Expects::value: return "value";
    case Expects::file: return "file";
    case Expects::folder: return "folder";
    case Expects::choice: return fmt::format("choice {}", fmt::join(argument.choices, " "));
  }
  return "value";
}

// Branches of a `case` that find the command which a word leads to.
std::string command_branches(const CLI::App& app) {
  std::string text;
  visit(app, [&](const CLI::App& at) {
    for (const CLI::App* const command : subcommands_of(at)) {
      text += fmt::format("      {}) command={} ;;\n", quote(key_of(at) + " " + command->get_name()),
                          quote(key_of(*command)));
    }
  });
  return text;
}

// Branches that say of which kind the value after an option is.
std::string option_branches(const CLI::App& app) {
  std::string text;
  visit(app, [&](const CLI::App& at) {
    for (const Argument& option : options_of(at)) {
      if (option.expects == Expects::nothing) continue;
      for (const std::string& name : option.names) {
        text += fmt::format("      {}) expects={} ;;\n", quote(key_of(at) + " " + name), quote(kind_of(option)));
      }
    }
  });
  return text;
}

// Branches that say of which kind the positional argument of a number is, from 0.
std::string positional_branches(const CLI::App& app) {
  std::string text;
  visit(app, [&](const CLI::App& at) {
    std::size_t number = 0;
    for (const Argument& positional : positionals_of(at)) {
      const std::string pattern = positional.takes_several ? "*" : quote(std::to_string(number));
      text += fmt::format("      {}{}) expects={} ;;\n", quote(key_of(at) + " "), pattern, quote(kind_of(positional)));
      ++number;
    }
  });
  return text;
}

}  // namespace

std::string make_bash_completion(const CLI::App& app) {
  const std::string name = app.get_name();
  std::string lists;
  visit(app, [&](const CLI::App& at) {
    lists += fmt::format("    {}) commands={} options={} ;;\n", quote(key_of(at)),
                         quote(fmt::format("{}", fmt::join(names_of(subcommands_of(at)), " "))),
                         quote(fmt::format("{}", fmt::join(option_names_of(at), " "))));
  });
  return fmt::format(
      R"sh(# bash completion for {name}; made by "{name} completion bash"
_{name}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command= expects= word commands= options= number=0 i
  [[ $current == = ]] && current=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    [[ $word == = ]] && continue
    if [[ -n $expects ]]; then
      expects=
      continue
    fi
    case "$command $word" in
{commands}{options}      *" -"*) ;;
      *) number=$((number + 1)) ;;
    esac
  done
  case $command in
{lists}  esac
  if [[ -z $expects && $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  if [[ -z $expects && -n $commands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    return
  fi
  if [[ -z $expects ]]; then
    case "$command $number" in
{positionals}      *) ;;
    esac
  fi
  COMPREPLY=()
  case $expects in
    file)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    folder)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
    choice*) mapfile -t COMPREPLY < <(compgen -W "${{expects#choice }}" -- "$current") ;;
  esac
}}
complete -F _{name} {name}
)sh",
      fmt::arg("name", name), fmt::arg("commands", command_branches(app)), fmt::arg("options", option_branches(app)),
      fmt::arg("lists", lists), fmt::arg("positionals", positional_branches(app)));
}

std::string make_zsh_completion(const CLI::App& app) {
  // As _describe wants them: "name:what it does".
  const auto entry = [](const std::string& word, std::string description) {
    std::string text;
    for (const char c : word + '\0' + description) text += c == ':' ? std::string("\\:") : std::string(1, c);
    text[text.find('\0')] = ':';
    return quote(text);
  };
  std::string lists;
  visit(app, [&](const CLI::App& at) {
    std::vector<std::string> commands;
    for (const CLI::App* const command : subcommands_of(at)) {
      commands.push_back(entry(command->get_name(), command->get_description()));
    }
    std::vector<std::string> options;
    for (const Argument& option : options_of(at)) {
      for (const std::string& word : option.names) options.push_back(entry(word, option.description));
    }
    lists += fmt::format("    {})\n      commands=({})\n      options=({}) ;;\n", quote(key_of(at)),
                         fmt::join(commands, " "), fmt::join(options, " "));
  });
  const std::string name = app.get_name();
  return fmt::format(
      R"sh(#compdef {name}
# zsh completion for {name}; made by "{name} completion zsh"
_{name}() {{
  local current=${{words[CURRENT]}} command= expects= word number=0 i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    word=${{words[i]}}
    if [[ -n $expects ]]; then
      expects=
      continue
    fi
    case "$command $word" in
{commands}{options}      *" -"*) ;;
      *) number=$((number + 1)) ;;
    esac
  done
  case $command in
{lists}  esac
  if [[ -z $expects && $current == -* ]]; then
    _describe -o option options
    return
  fi
  if [[ -z $expects && ${{#commands}} -gt 0 ]]; then
    _describe command commands
    return
  fi
  if [[ -z $expects ]]; then
    case "$command $number" in
{positionals}      *) ;;
    esac
  fi
  case $expects in
    file) _files ;;
    folder) _files -/ ;;
    choice*) compadd -- ${{=expects#choice }} ;;
    *) _message value ;;
  esac
}}
if [[ $funcstack[1] == _{name} ]]; then
  _{name} "$@"
else
  compdef _{name} {name}
fi
)sh",
      fmt::arg("name", name), fmt::arg("commands", command_branches(app)), fmt::arg("options", option_branches(app)),
      fmt::arg("lists", lists), fmt::arg("positionals", positional_branches(app)));
}

}  // namespace sqlane::cli
