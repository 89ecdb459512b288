#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <string>

namespace sqlane::cli {

// To check beside CLI::Range, which lets "nan" through: it is neither below nor above.
inline CLI::Validator no_nan() {
  return {[](std::string& text) {
            double number = 0;
            const bool is_nan = CLI::detail::lexical_cast(text, number) && std::isnan(number);
            return is_nan ? "\"" + text + "\" is no number" : std::string();
          },
          ""};
}

}  // namespace sqlane::cli
