#include "cli/man_page.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command_tree.hpp"

namespace sqlane::cli {
namespace {

// As text of a line: a backslash, a hyphen that is typed, and what would be a request.
std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (c == '\n') {
      escaped += "\n.br\n";
    } else {
      escaped += c;
    }
  }
  return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string describe(const Argument& argument) {
  std::string tag = fmt::format("\\fB{}\\fR", escape(fmt::format("{}", fmt::join(argument.names, ", "))));
  const bool is_option = argument.names.front().starts_with('-');
  if (is_option && !argument.value.empty()) {
    tag += argument.choices.empty() ? fmt::format(" \\fI{}\\fR", escape(argument.value))
                                    : " " + escape(fmt::format("{}", fmt::join(argument.choices, "|")));
  }
  std::string text = argument.description;
  if (!argument.default_value.empty()) text += fmt::format(" (default: {})", argument.default_value);
  return fmt::format(".TP\n{}\n{}\n", tag, escape(text.empty() ? " " : text));
}

void describe_command(const CLI::App& command, std::string& page) {
  const auto subcommands = subcommands_of(command);
  if (!subcommands.empty()) {
    for (const CLI::App* const subcommand : subcommands) describe_command(*subcommand, page);
    return;
  }
  page += fmt::format(".SS \"{}\"\n{}\n", escape(synopsis_of(command)), escape(command.get_description()));
  for (const Argument& positional : positionals_of(command)) page += describe(positional);
  for (const Argument& option : options_of(command)) {
    if (option.names.front() != "--help") page += describe(option);
  }
  if (const std::string example = example_of(command); !example.empty()) {
    page += fmt::format(".PP\nExample:\n.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", escape(example));
  }
}

}  // namespace

std::string make_man_page(const CLI::App& app, const std::string& version) {
  const std::string name = app.get_name();
  std::string title = name;
  for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string page = fmt::format(".TH {} 1 \"\" \"{} {}\" \"User Commands\"\n", title, name, version);
  std::string purpose = app.get_description();
  if (purpose.ends_with('.')) purpose.pop_back();
  if (!purpose.empty()) purpose[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(purpose[0])));
  page += fmt::format(".SH NAME\n{} \\- {}\n", name, escape(purpose));
  page += fmt::format(
      ".SH SYNOPSIS\n\\fB{0}\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] \\fIARGUMENTS\\fR\n.br\n"
      "\\fB{0}\\fR \\fICOMMAND\\fR \\fB\\-\\-help\\fR\n",
      name);
  page += ".SH OPTIONS\n";
  for (const Argument& option : options_of(app)) page += describe(option);
  page += ".SH COMMANDS\nEach command has \\fB\\-\\-help\\fR.\n";
  for (const CLI::App* const command : subcommands_of(app)) describe_command(*command, page);
  page +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nSuccess.\n"
      ".TP\n1\nThe work failed.\n"
      ".TP\n2\nThe arguments make no sense, in themselves or for this database.\n"
      ".TP\n3\nThe work was done, and found something that is wrong or differs.\n"
      ".TP\n130\nInterrupted.\n";
  page +=
      ".SH ENVIRONMENT\n.TP\nNO_COLOR\nIf it is set to anything, nothing is coloured. See https://no\\-color.org.\n";
  return page;
}

}  // namespace sqlane::cli
