#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sqlane {

// How a type of your own is stored. Specialise it:
//
//   template <>
//   struct sqlane::Codec<Money> {
//     using Stored = std::int64_t;                                  // what the column holds
//     static std::int64_t encode(Money m) { return m.cents; }       // anything that can be bound
//     static Money decode(std::int64_t cents) { return {cents}; }   // takes a Stored
//   };
//
// An exception that leaves decode() reaches the caller as a TypeError with the
// column and row added.
template <class T>
struct Codec;

// A value and a NULL go together as std::optional<T>; integers, floating point,
// bool, enums, text and blobs need no codec. The ones below are sqlane's own.

// UTF-8 text, as the operating system spells the path.
template <>
struct Codec<std::filesystem::path> {
  using Stored = std::string_view;
  static std::string encode(const std::filesystem::path& path) { return path.string(); }
  static std::filesystem::path decode(std::string_view text) { return std::filesystem::path(text); }
};

namespace detail {

// A point in time taken apart: days since 1970-01-01, then nanoseconds since midnight UTC.
struct CivilTime {
  std::int64_t days = 0;
  std::int64_t nanoseconds = 0;
};

inline constexpr std::int64_t kNanosecondsADay = 86'400'000'000'000;

// "2026-11-21T09:30:00.250Z"; `fraction_digits` is 0, 3, 6 or 9.
// Throws std::out_of_range outside the years 0000 to 9999.
std::string format_timestamp(CivilTime time, int fraction_digits);
std::string format_date(std::int64_t days);

// Accepts what format_timestamp writes, a blank for the T, any number of
// fraction digits up to nine, a missing Z (UTC then), an offset such as +02:00, and a date alone.
// Throws std::invalid_argument.
CivilTime parse_timestamp(std::string_view text);
std::int64_t parse_date(std::string_view text);

}  // namespace detail

// ISO 8601 text in UTC, which sorts by time and which SQLite's date functions
// read (https://sqlite.org/lang_datefunc.html). Seconds and finer.
template <class Duration>
requires std::ratio_less_v<typename Duration::period, std::chrono::days::period>
struct Codec<std::chrono::sys_time<Duration>> {
  using Stored = std::string_view;
  using Time = std::chrono::sys_time<Duration>;

  static std::string encode(Time time) {
    constexpr std::chrono::days kDay(1);
    auto rest = time.time_since_epoch() % kDay;  // not time - midnight: near Time::min(), midnight is out of range
    if (rest < rest.zero()) rest += kDay;
    const std::int64_t nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(rest).count();
    const std::int64_t days = std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
    return detail::format_timestamp({days, nanoseconds}, kFractionDigits);
  }

  static Time decode(std::string_view text) {
    const detail::CivilTime time = detail::parse_timestamp(text);
    const std::chrono::nanoseconds rest(time.nanoseconds);
    const auto fitting = std::chrono::duration_cast<Duration>(rest);
    if (std::chrono::duration_cast<std::chrono::nanoseconds>(fitting) != rest) {
      throw std::out_of_range("the time is finer than the type");
    }
    const std::chrono::sys_days day{std::chrono::days(static_cast<int>(time.days))};
    constexpr auto kLast = std::chrono::floor<std::chrono::days>(Time::max());
    constexpr auto kFirst =
        std::chrono::ceil<std::chrono::days>(Time::min());  // the part of a day before it is given up
    if (day < kFirst || day > kLast || (day == kLast && fitting > Time::max() - kLast)) {
      throw std::out_of_range("the time is outside the type's range");
    }
    return day + fitting;
  }

 private:
  static constexpr int kFractionDigits = [] {
    using Period = typename Duration::period;
    if (std::ratio_greater_equal_v<Period, std::ratio<1>>) return 0;
    if (std::ratio_greater_equal_v<Period, std::milli>) return 3;
    return std::ratio_greater_equal_v<Period, std::micro> ? 6 : 9;
  }();
};

// "2026-11-21"
template <>
struct Codec<std::chrono::sys_days> {
  using Stored = std::string_view;
  static std::string encode(std::chrono::sys_days day) { return detail::format_date(day.time_since_epoch().count()); }
  static std::chrono::sys_days decode(std::string_view text) {
    return std::chrono::sys_days(std::chrono::days(static_cast<int>(detail::parse_date(text))));
  }
};

template <>
struct Codec<std::chrono::year_month_day> {
  using Stored = std::string_view;
  static std::string encode(std::chrono::year_month_day date) {
    if (!date.ok()) throw std::out_of_range("there is no such date");
    return Codec<std::chrono::sys_days>::encode(std::chrono::sys_days(date));
  }
  static std::chrono::year_month_day decode(std::string_view text) {
    return std::chrono::year_month_day(Codec<std::chrono::sys_days>::decode(text));
  }
};

}  // namespace sqlane
