#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <vector>

#include "cli/command_tree.hpp"

namespace sqlane::cli {
namespace {

// How many letters have to be put in, left out, changed, or swapped with the next.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> older;
  std::vector<std::size_t> above(to.size() + 1);
  std::iota(above.begin(), above.end(), 0U);
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::vector<std::size_t> row(to.size() + 1);
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t change = from[i - 1] == to[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        row[j] = std::min(row[j], older[j - 2] + 1);
      }
    }
    older = std::move(above);
    above = std::move(row);
  }
  return above.back();
}

std::string unknown(const char* what, const std::string& typed, const std::vector<std::string>& known) {
  const std::optional<std::string> similar = find_similar(typed, known);
  return fmt::format("unknown {} \"{}\"", what, typed) +
         (similar ? fmt::format("; did you mean \"{}\"?", *similar) : "");
}

// The command that the arguments have come to.
const CLI::App& reached(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  return *at;
}

// What nobody knew, from there upwards.
std::vector<std::string> left_over(const CLI::App& app, const CLI::App& at) {
  std::vector<std::string> words = at.remaining();
  for (const CLI::App* above = at.get_parent(); above != nullptr && &at != &app; above = above->get_parent()) {
    const std::vector<std::string> more = above->remaining();
    words.insert(words.end(), more.begin(), more.end());
  }
  return words;
}

// Of CLI11's sentences: the first line, beginning in lower case unless with a name.
std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

std::string describe(const CLI::App& app, const CLI::App& at, const CLI::ParseError& error) {
  const std::vector<std::string> extra = left_over(app, at);
  const auto option =
      std::ranges::find_if(extra, [](const std::string& word) { return word.starts_with('-') && word.size() > 1; });
  if (option != extra.end()) return unknown("option", option->substr(0, option->find('=')), option_names_of(at));
  if (!subcommands_of(at).empty()) {
    if (extra.empty()) return "a command is missing";
    return unknown("command", extra.front(), names_of(subcommands_of(at)));
  }
  if (const auto* const missing = dynamic_cast<const CLI::RequiredError*>(&error)) {
    const std::string message = missing->what();  // "FILE is required"
    const std::size_t end = message.find(" is required");
    if (end != std::string::npos) return message.substr(0, end) + " is missing";
  }
  if (!extra.empty()) return fmt::format("unexpected argument \"{}\"", extra.front());
  return first_line(error.what());
}

}  // namespace

std::optional<std::string> find_similar(std::string_view typed, std::span<const std::string> words) {
  std::optional<std::string> best;
  std::size_t least = std::max<std::size_t>(1, std::min<std::size_t>(3, typed.size() / 2)) + 1;
  for (const std::string& word : words) {
    const bool is_beginning = typed.size() >= 2 && word.starts_with(typed);
    const std::size_t changes = is_beginning ? 1 : distance(typed, word);
    if (changes >= least) continue;
    least = changes;
    best = word;
  }
  return best;
}

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& at = reached(app);
  const std::string path = path_of(at);
  const std::string problem = describe(app, at, error);
  const char* const hint = subcommands_of(at).empty() ? "says more" : "lists all";
  return fmt::format("{}: {}  {} --help {}", path, problem.ends_with('?') ? problem : problem + ".", path, hint);
}

}  // namespace sqlane::cli
