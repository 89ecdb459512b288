#pragma once

#include <string_view>

namespace sqlane::detail {

// What to do about an error whose cause SQLite names, beginning with "; "; empty
// where its words say enough. Pure.
[[nodiscard]] std::string_view remedy_for(std::string_view engine_message) noexcept;

// The name in "no such column: name", however SQLite quotes it; empty for another message. Pure.
[[nodiscard]] std::string_view missing_column(std::string_view engine_message) noexcept;

// Whether the statement `sql` has this name in double quotes itself. Pure.
[[nodiscard]] bool has_in_double_quotes(std::string_view sql, std::string_view name) noexcept;

}  // namespace sqlane::detail
