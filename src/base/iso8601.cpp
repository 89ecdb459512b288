// The text form of dates and times, https://www.rfc-editor.org/rfc/rfc3339.

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "sqlane/codec.hpp"

namespace sqlane::detail {
namespace {

constexpr std::int64_t kNanosecondsASecond = 1'000'000'000;
constexpr std::int64_t kFirstDay = -719'528;  // 0000-01-01
constexpr std::int64_t kLastDay = 2'932'896;  // 9999-12-31

// Takes a text apart from the left; what does not fit is an invalid_argument.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return text_.empty(); }

  bool accept(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail();
  }

  // Exactly `digits` digits, a number from `least` to `most`.
  std::int64_t number(int digits, std::int64_t least, std::int64_t most) {
    std::int64_t value = 0;
    for (int i = 0; i < digits; ++i) value = value * 10 + digit();
    if (value < least || value > most) fail();
    return value;
  }

  // One to nine digits behind the point.
  std::int64_t fraction() {
    std::int64_t nanoseconds = 0;
    std::int64_t unit = kNanosecondsASecond / 10;
    do {
      nanoseconds += digit() * unit;
      unit /= 10;
    } while (unit > 0 && !text_.empty() && is_digit(text_.front()));
    return nanoseconds;
  }

  [[noreturn]] static void fail() { throw std::invalid_argument("the text is no ISO 8601 date or time"); }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  std::int64_t digit() {
    if (text_.empty() || !is_digit(text_.front())) fail();
    const std::int64_t value = text_.front() - '0';
    text_.remove_prefix(1);
    return value;
  }

  std::string_view text_;
};

std::int64_t read_date(Reader& reader) {
  const auto year = static_cast<int>(reader.number(4, 0, 9999));
  reader.expect('-');
  const auto month = static_cast<unsigned>(reader.number(2, 1, 12));
  reader.expect('-');
  const auto day = static_cast<unsigned>(reader.number(2, 1, 31));
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) Reader::fail();
  return std::chrono::sys_days(date).time_since_epoch().count();
}

// Nanoseconds east of UTC: "", "Z", "+02:00".
std::int64_t read_offset(Reader& reader) {
  if (reader.at_end() || reader.accept('Z')) return 0;
  const bool west = reader.accept('-');
  if (!west) reader.expect('+');
  const std::int64_t hours = reader.number(2, 0, 23);
  reader.expect(':');
  const std::int64_t minutes = reader.number(2, 0, 59);
  const std::int64_t offset = (hours * 60 + minutes) * 60 * kNanosecondsASecond;
  return west ? -offset : offset;
}

}  // namespace

std::string format_date(std::int64_t days) {
  if (days < kFirstDay || days > kLastDay) throw std::out_of_range("ISO 8601 text holds the years 0000 to 9999");
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(static_cast<int>(days)))};
  std::array<char, 16> text{};
  const int size = std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string format_timestamp(CivilTime time) {
  const std::int64_t seconds = time.nanoseconds / kNanosecondsASecond;
  const std::int64_t fraction = time.nanoseconds % kNanosecondsASecond;
  std::array<char, 32> clock{};
  const int size =
      std::snprintf(clock.data(), clock.size(), " %02d:%02d:%02d.%09d", static_cast<int>(seconds / 3600),
                    static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60), static_cast<int>(fraction));
  constexpr std::size_t kSizeOfWholeSeconds = 9;
  const std::string_view digits(clock.data(), static_cast<std::size_t>(size));
  const std::size_t kept = fraction == 0 ? kSizeOfWholeSeconds : digits.find_last_not_of('0') + 1;
  return format_date(time.days).append(digits.substr(0, kept));
}

std::int64_t parse_date(std::string_view text) {
  Reader reader(text);
  const std::int64_t days = read_date(reader);
  if (!reader.at_end()) Reader::fail();
  return days;
}

CivilTime parse_timestamp(std::string_view text) {
  Reader reader(text);
  CivilTime time{read_date(reader), 0};
  if (reader.at_end()) return time;
  if (!reader.accept('T')) reader.expect(' ');
  const std::int64_t hours = reader.number(2, 0, 23);
  reader.expect(':');
  const std::int64_t minutes = reader.number(2, 0, 59);
  std::int64_t seconds = 0;
  std::int64_t fraction = 0;
  if (reader.accept(':')) {
    seconds = reader.number(2, 0, 59);
    if (reader.accept('.')) fraction = reader.fraction();
  }
  time.nanoseconds = ((hours * 60 + minutes) * 60 + seconds) * kNanosecondsASecond + fraction - read_offset(reader);
  if (!reader.at_end()) Reader::fail();
  if (time.nanoseconds < 0) {
    time.nanoseconds += kNanosecondsADay;
    --time.days;
  } else if (time.nanoseconds >= kNanosecondsADay) {
    time.nanoseconds -= kNanosecondsADay;
    ++time.days;
  }
  if (time.days < kFirstDay || time.days > kLastDay) Reader::fail();  // moved there by its offset
  return time;
}

}  // namespace sqlane::detail
