#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

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

// "2026-11-21 09:30:00.25": a fraction only where it is not zero, and without zeros at its end.
// Throws std::out_of_range outside the years 0000 to 9999.
std::string format_timestamp(CivilTime time);
std::string format_date(std::int64_t days);

// Accepts what format_timestamp writes, a T for the blank, any number of
// fraction digits up to nine, a Z, an offset such as +02:00, and a date alone.
// Throws std::invalid_argument.
CivilTime parse_timestamp(std::string_view text);
std::int64_t parse_date(std::string_view text);

// Whole days, in 64 bits with every standard library.
using Days = std::chrono::duration<std::int64_t, std::chrono::days::period>;

template <std::integral To, std::integral From>
constexpr To in_range_or_throw(From ticks) {
  if (!std::in_range<To>(ticks)) throw std::out_of_range("the time is outside the type's range");
  return static_cast<To>(ticks);
}

}  // namespace detail

// Text in UTC, with a fraction only where there is one: "2026-11-21 09:30:00",
// "2026-11-21 09:30:00.25". It sorts by time whatever the period of the type is,
// equal moments are equal texts, and both hold against CURRENT_TIMESTAMP and
// datetime('now'). SQLite's date functions read it (https://sqlite.org/lang_datefunc.html).
//
// Other forms of ISO 8601 are read too: "2026-11-21T09:30:00.250Z", an offset such
// as +02:00, a date alone. They do not sort with the form above; and a date, as
// sys_days writes it, sorts before every time of its day, midnight included.
//
// The years are 0000 to 9999. Others are a TypeError, and so is what is finer than
// the type that it is read into, or than a nanosecond.
template <class Duration>
requires std::ratio_less_v<typename Duration::period, std::chrono::days::period>
struct Codec<std::chrono::sys_time<Duration>> {
  static_assert(std::integral<typename Duration::rep>,
                "sqlane stores times in whole ticks, since a rounded one would equal no other: bind "
                "std::chrono::floor<std::chrono::milliseconds>(time), and read such a type");

  using Stored = std::string_view;
  using Time = std::chrono::sys_time<Duration>;

  static std::string encode(Time time) {
    const Ticks ticks(detail::in_range_or_throw<std::int64_t>(time.time_since_epoch().count()));
    const auto days = std::chrono::floor<detail::Days>(ticks);
    constexpr detail::Days kDay(1);
    auto rest = ticks % kDay;  // not ticks - days: near Ticks::min(), midnight is out of range
    if (rest < rest.zero()) rest += kDay;
    const auto nanoseconds = std::chrono::duration_cast<Nanoseconds>(rest);
    if (std::chrono::duration_cast<Ticks>(nanoseconds) != rest)
      throw std::out_of_range("the time is no whole nanosecond");
    return detail::format_timestamp({days.count(), nanoseconds.count()});
  }

  static Time decode(std::string_view text) {
    const detail::CivilTime time = detail::parse_timestamp(text);
    const Nanoseconds rest(time.nanoseconds);
    const auto fitting = std::chrono::duration_cast<Ticks>(rest);
    if (std::chrono::duration_cast<Nanoseconds>(fitting) != rest) {
      throw std::out_of_range("the time is finer than the type");
    }
    const detail::Days day(time.days);
    constexpr auto kLast = std::chrono::floor<detail::Days>(Ticks::max());
    constexpr auto kFirst = std::chrono::ceil<detail::Days>(Ticks::min());  // the part of a day before it is given up
    if (day < kFirst || day > kLast || (day == kLast && fitting > Ticks::max() - kLast)) {
      throw std::out_of_range("the time is outside the type's range");
    }
    const Ticks ticks = day + fitting;
    return Time(Duration(detail::in_range_or_throw<typename Duration::rep>(ticks.count())));
  }

 private:
  using Ticks = std::chrono::duration<std::int64_t, typename Duration::period>;
  using Nanoseconds = std::chrono::duration<std::int64_t, std::nano>;
};

// "2026-11-21"
template <class Rep>
struct Codec<std::chrono::sys_time<std::chrono::duration<Rep, std::chrono::days::period>>> {
  static_assert(std::integral<Rep>, "sqlane stores whole days: bind std::chrono::floor<std::chrono::days>(time)");

  using Stored = std::string_view;
  using Time = std::chrono::sys_time<std::chrono::duration<Rep, std::chrono::days::period>>;

  static std::string encode(Time day) {
    return detail::format_date(detail::in_range_or_throw<std::int64_t>(day.time_since_epoch().count()));
  }
  static Time decode(std::string_view text) {
    return Time(typename Time::duration(detail::in_range_or_throw<Rep>(detail::parse_date(text))));
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
