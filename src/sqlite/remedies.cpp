#include "sqlite/remedies.hpp"

#include <algorithm>
#include <array>

namespace sqlane::detail {
namespace {

struct Remedy {
  std::string_view part;  // of SQLite's message
  std::string_view text;
};

// The first that fits counts.
constexpr std::array kRemedies{
    Remedy{"unsafe use of load_extension()", "; no schema may use it"},
    Remedy{"unsafe use of fts3_tokenizer()", "; no schema may use it"},
    Remedy{"unsafe use of ", "; with Options::sql.trusted_schema the schema may use all that SQLite allows"},
    Remedy{"foreign key mismatch",
           "; the parent's columns need a UNIQUE index or a PRIMARY KEY, or turn keys off "
           "by Options::sql.foreign_keys"},
    Remedy{"too many levels of trigger recursion",
           "; Options::sql.trigger_depth says how many, and SQLite's own limit is 1000"},
    Remedy{"LIKE or GLOB pattern too complex", "; Options::sql.like_pattern_length says how long it may be"},
};

}  // namespace

std::string_view remedy_for(std::string_view engine_message) noexcept {
  const auto* const found = std::ranges::find_if(
      kRemedies, [&](const Remedy& one) { return engine_message.find(one.part) != std::string_view::npos; });
  return found == kRemedies.end() ? std::string_view() : found->text;
}

std::string_view missing_column(std::string_view engine_message) noexcept {
  constexpr std::string_view kPrefix = "no such column: ";
  const std::size_t at = engine_message.find(kPrefix);
  if (at == std::string_view::npos) return {};
  std::string_view name = engine_message.substr(at + kPrefix.size());
  if (!name.starts_with('"')) return name;
  name.remove_prefix(1);
  return name.substr(0, name.find('"'));
}

}  // namespace sqlane::detail
