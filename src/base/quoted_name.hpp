#pragma once

#include <string>
#include <string_view>

namespace sqlane::detail {

// The name of a table or a column as SQL text. https://sqlite.org/lang_keywords.html
[[nodiscard]] inline std::string quote_name(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + "\"";
}

}  // namespace sqlane::detail
