#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace sqlane::cli {

// What is wrong with the arguments that `app` did not parse, as one line, with
// the help that leads on: `sqlane: unknown command "bakup"; did you mean "backup"?  sqlane --help lists all`.
[[nodiscard]] std::string explain(const CLI::App& app, const CLI::ParseError& error);

// The one of `words` that somebody may have meant by `typed`. Pure.
[[nodiscard]] std::optional<std::string> find_similar(std::string_view typed, std::span<const std::string> words);

}  // namespace sqlane::cli
