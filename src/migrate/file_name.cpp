#include "migrate/file_name.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "sqlane/detail/sql_scanner.hpp"
#include "sqlane/error.hpp"

namespace sqlane::detail {
namespace {

constexpr std::string_view kSuffix = ".sql";
constexpr std::string_view kDownSuffix = ".down.sql";
constexpr std::size_t kDigits = 4;

bool is_in_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
}

[[noreturn]] void refuse(std::string_view file, const std::string& message) {
  throw MigrationError(MigrationProblem::malformed, std::string(file), message);
}

}  // namespace

std::optional<MigrationFileName> parse_file_name(std::string_view file) {
  const auto is_suffix_letter = [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); };
  if (file.starts_with('.') || file.size() < kSuffix.size() ||
      !std::equal(kSuffix.begin(), kSuffix.end(), file.end() - kSuffix.size(), is_suffix_letter)) {
    return std::nullopt;
  }
  if (!file.ends_with(kSuffix)) refuse(file, "its name does not end in \".sql\", in small letters: rename it");

  const bool is_down = file.ends_with(kDownSuffix);
  const std::string_view stem = file.substr(0, file.size() - (is_down ? kDownSuffix : kSuffix).size());
  const auto digits_end = std::find_if_not(stem.begin(), stem.end(), is_digit);
  const auto digits = static_cast<std::size_t>(digits_end - stem.begin());
  const std::string_view name = stem.substr(std::min(digits + 1, stem.size()));
  if (digits == 0 || digits == stem.size() || stem[digits] != '_' || name.empty() ||
      !std::all_of(name.begin(), name.end(), is_in_name)) {
    refuse(
        file,
        "its name is no migration's: rename it to a number, \"_\", a name of letters, digits, \"_\", \"-\" and \".\", "
        "and \".sql\", as in \"0001_create_visit.sql\"");
  }
  std::int32_t version = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + digits, version);
  if (error != std::errc() || version < 1) {
    refuse(file, "its number is not one from 1 to 2147483647: rename it");
  }
  return MigrationFileName{version, is_down ? MigrationDirection::down : MigrationDirection::up, std::string(name)};
}

std::string file_name_of(std::int32_t version, std::string_view name) {
  std::string number = std::to_string(version);
  if (number.size() < kDigits) number.insert(0, kDigits - number.size(), '0');
  return number.append("_").append(name).append(kSuffix);
}

std::string down_file_of(std::string_view file) {
  if (file.ends_with(kSuffix)) file.remove_suffix(kSuffix.size());
  return std::string(file).append(kDownSuffix);
}

}  // namespace sqlane::detail
