#include "sqlane/codec.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sqlane {
namespace {

using namespace std::chrono;  // NOLINT(google-build-using-namespace): a test of calendar types

using Seconds = sys_time<seconds>;
using Millis = sys_time<milliseconds>;
using Micros = sys_time<microseconds>;
using Nanos = sys_time<nanoseconds>;

constexpr sys_days kDay = 2026y / November / 21;

template <class Time>
std::string encode(Time time) {
  return Codec<Time>::encode(time);
}
template <class Time>
Time decode(std::string_view text) {
  return Codec<Time>::decode(text);
}

TEST(TimeCodec, WritesAFractionOnlyWhereThereIsOne) {
  EXPECT_EQ(encode(Seconds(kDay + 9h + 30min + 5s)), "2026-11-21 09:30:05");
  EXPECT_EQ(encode(Millis(kDay + 9h + 250ms)), "2026-11-21 09:00:00.25");
  EXPECT_EQ(encode(Millis(kDay + 10s)), "2026-11-21 00:00:10");
  EXPECT_EQ(encode(Millis(kDay)), "2026-11-21 00:00:00");
  EXPECT_EQ(encode(Micros(kDay + 1us)), "2026-11-21 00:00:00.000001");
  EXPECT_EQ(encode(Nanos(kDay + 23h + 59min + 59s + 999'999'999ns)), "2026-11-21 23:59:59.999999999");
  EXPECT_EQ(encode(sys_time<minutes>(kDay + 61min)), "2026-11-21 01:01:00");
}

TEST(TimeCodec, WritesTimesBefore1970) {
  EXPECT_EQ(encode(Nanos(-1ns)), "1969-12-31 23:59:59.999999999");
  EXPECT_EQ(encode(Seconds(-1s)), "1969-12-31 23:59:59");
  EXPECT_EQ(encode(Millis(sys_days(1600y / February / 29) + 1ms)), "1600-02-29 00:00:00.001");
}

TEST(TimeCodec, ReachesFromTheYear0000To9999) {
  const Seconds first = sys_days(0y / January / 1);
  const Seconds last = sys_days(9999y / December / 31) + 23h + 59min + 59s;
  EXPECT_EQ(encode(first), "0000-01-01 00:00:00");
  EXPECT_EQ(encode(last), "9999-12-31 23:59:59");
  EXPECT_EQ(decode<Seconds>("0000-01-01T00:00:00Z"), first);
  EXPECT_EQ(decode<Seconds>("9999-12-31T23:59:59Z"), last);
  EXPECT_THROW(encode(first - 1s), std::out_of_range);
  EXPECT_THROW(encode(last + 1s), std::out_of_range);
  EXPECT_THROW(encode(Seconds::min()), std::out_of_range);
  EXPECT_THROW(encode(Seconds::max()), std::out_of_range);
}

TEST(TimeCodec, ReadsTheUsualFormsOfIso8601) {
  struct Case {
    std::string_view text;
    Nanos time;
  };
  const Nanos nine = kDay + 9h;
  const Case cases[] = {
      {"2026-11-21T09:00:00Z", nine},
      {"2026-11-21 09:00:00", nine},
      {"2026-11-21 09:00:00Z", nine},
      {"2026-11-21T09:00:00", nine},
      {"2026-11-21T09:00", nine},
      {"2026-11-21T09:00Z", nine},
      {"2026-11-21", kDay},
      {"2026-11-21 09:00:00.25", nine + 250ms},
      {"2026-11-21T09:00:00.250Z", nine + 250ms},
      {"2026-11-21T09:00:00.5Z", nine + 500ms},
      {"2026-11-21T09:00:00.05", nine + 50ms},
      {"2026-11-21T09:00:00.123456789Z", nine + 123'456'789ns},
      {"2026-11-21T09:00:00.000000001Z", nine + 1ns},
      {"2026-11-21T11:30:00+02:30", nine},
      {"2026-11-21T07:00:00-02:00", nine},
      {"2026-11-21T09:00:00-00:00", nine},
      {"2026-11-21T09:00+00:00", nine},
      {"2026-11-22T08:00:00+23:00", nine},
      {"2026-11-20T10:00:00.25-23:00", nine + 250ms},
      {"2024-02-29T00:00:00Z", sys_days(2024y / February / 29)},
      {"2000-02-29", sys_days(2000y / February / 29)},
      {"2026-12-31T23:30:00-01:00", sys_days(2027y / January / 1) + 30min},
      {"2027-01-01T00:30:00+01:00", sys_days(2026y / December / 31) + 23h + 30min},
  };
  for (const Case& one : cases) EXPECT_EQ(decode<Nanos>(one.text), one.time) << one.text;
}

TEST(TimeCodec, RefusesEverythingElse) {
  for (const std::string_view text : {
           "",
           "now",
           "2026",
           "2026-11",
           "2026-1-21",
           "26-11-21",
           "12026-11-21",
           "+2026-11-21",
           "-2026-11-21",
           "2026-00-21",
           "2026-13-21",
           "2026-11-00",
           "2026-11-31",
           "2026-02-29",
           "1900-02-29",
           "2026-11-21T",
           "2026-11-21T09",
           "2026-11-21T9:00",
           "2026-11-21T09:",
           "2026-11-21T09:00:",
           "2026-11-21T24:00:00",
           "2026-11-21T09:60:00",
           "2026-11-21T09:00:60",
           "2026-11-21T09:00:00.",
           "2026-11-21T09:00:00.Z",
           "2026-11-21T09:00:00,5Z",
           "2026-11-21T09:00:00.1234567890Z",
           "2026-11-21T09:00:00z",
           "2026-11-21t09:00:00Z",
           "2026-11-21T09:00:00ZZ",
           "2026-11-21T09:00:00Z ",
           " 2026-11-21",
           "2026-11-21  09:00:00",
           "2026-11-21T09:00:00+",
           "2026-11-21T09:00:00+2",
           "2026-11-21T09:00:00+02",
           "2026-11-21T09:00:00+0200",
           "2026-11-21T09:00:00+24:00",
           "2026-11-21T09:00:00+02:60",
           "2026-11-21Z",
           "2026/11/21",
           "2026-11-2a",
           "２026-11-21",
           "2026-11-21T09:00:00 +02:00",
           "2460000.5",
       }) {
    EXPECT_THROW(decode<Nanos>(text), std::invalid_argument) << text;
  }
  EXPECT_THROW(decode<Nanos>(std::string_view("2026-11-21\0", 11)), std::invalid_argument);
}

TEST(TimeCodec, RefusesATimeThatAnOffsetMovesOutOfTheYears0000To9999) {
  EXPECT_THROW(decode<Seconds>("0000-01-01T00:00:00+01:00"), std::exception);
  EXPECT_THROW(decode<Seconds>("9999-12-31T23:30:00-01:00"), std::exception);
}

TEST(TimeCodec, RefusesToLoseWhatIsFinerThanTheType) {
  EXPECT_THROW(decode<Seconds>("2026-11-21T09:00:00.5Z"), std::out_of_range);
  EXPECT_THROW(decode<Millis>("2026-11-21T09:00:00.0005Z"), std::out_of_range);
  EXPECT_THROW(decode<Micros>("2026-11-21T09:00:00.0000005Z"), std::out_of_range);
  EXPECT_THROW(decode<sys_time<minutes>>("2026-11-21T09:00:01Z"), std::out_of_range);
  EXPECT_EQ(decode<Seconds>("2026-11-21T09:00:00.000000000Z"), Seconds(kDay + 9h));
}

TEST(TimeCodec, RefusesWhatTheTypeCannotReach) {
  for (const std::string_view text : {"0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1677-09-20", "2262-04-13"}) {
    EXPECT_THROW(decode<Nanos>(text), std::out_of_range) << text;
  }
  EXPECT_EQ(decode<Micros>("9999-12-31"), Micros(sys_days(9999y / December / 31)));
  EXPECT_EQ(decode<Nanos>("1700-01-01"), Nanos(sys_days(1700y / January / 1)));
  using Short = sys_time<duration<std::int32_t>>;
  EXPECT_THROW(decode<Short>("2039-01-01"), std::out_of_range);
  EXPECT_EQ(decode<Short>("2037-12-31"), Short(sys_days(2037y / December / 31)));
}

TEST(TimeCodec, ReadsTheLastMomentsThatTheTypeHolds) {
  const Nanos last = Nanos::max();
  const std::string text = encode(last);
  EXPECT_EQ(text, "2262-04-11 23:47:16.854775807");
  EXPECT_EQ(decode<Nanos>(text), last);
  EXPECT_EQ(encode(Nanos::min()), "1677-09-21 00:12:43.145224192");
  EXPECT_EQ(decode<Nanos>("1677-09-22T00:00:00Z"), Nanos(sys_days(1677y / September / 22)));
}

template <class Time>
void expect_round_trips() {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  using Duration = typename Time::duration;
  // What both the text and the type hold.
  const auto from = sys_days(std::is_same_v<Time, Nanos> ? 1678y / January / 1 : 0y / January / 1);
  const auto to = sys_days(std::is_same_v<Time, Nanos> ? 2262y / January / 1 : 9999y / December / 31);
  std::uniform_int_distribution<std::int64_t> ticks(Time(from).time_since_epoch().count(),
                                                    Time(to).time_since_epoch().count());
  std::string previous_text;
  for (int i = 0; i < 5000; ++i) {
    const Time time{Duration(ticks(random))};
    const Time other{Duration(ticks(random))};
    const std::string text = encode(time);
    ASSERT_EQ(decode<Time>(text), time) << text;
    ASSERT_EQ(text < encode(other), time < other) << text << " sorts as its time does";
  }
}

TEST(TimeCodec, ComesBackAsItWent) {
  expect_round_trips<Seconds>();
  expect_round_trips<Millis>();
  expect_round_trips<Micros>();
  expect_round_trips<Nanos>();
}

// One moment, as text, and as nanoseconds to compare with.
struct Moment {
  std::string text;
  Nanos time;
};

TEST(TimeCodec, SortsByTimeWhateverTheTypesAre) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  // A few seconds around midnight, so that many moments are equal or differ in their last digits alone.
  std::uniform_int_distribution<std::int64_t> around(-3'000'000'000, 3'000'000'000);
  // From the first whole day on: the part of one before it cannot be read.
  std::uniform_int_distribution<std::int64_t> anywhere(Nanos(ceil<days>(Nanos::min())).time_since_epoch().count(),
                                                       Nanos::max().time_since_epoch().count());
  std::uniform_int_distribution<int> unit(0, 4);
  const auto draw = [&](bool is_near) -> Moment {
    const Nanos time = is_near ? Nanos(kDay + nanoseconds(around(random))) : Nanos(nanoseconds(anywhere(random)));
    const auto as = [](auto rounded) { return Moment{encode(rounded), rounded}; };
    switch (unit(random)) {
      case 0: return as(floor<seconds>(time));
      case 1: return as(floor<duration<std::int64_t, std::deci>>(time));
      case 2: return as(floor<milliseconds>(time));
      case 3: return as(floor<microseconds>(time));
      default: return as(time);
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    const Moment one = draw(i % 4 != 0);
    const Moment other = draw(i % 4 != 0);
    ASSERT_EQ(one.text < other.text, one.time < other.time) << one.text << ", " << other.text;
    ASSERT_EQ(one.text == other.text, one.time == other.time) << one.text << ", " << other.text;
    ASSERT_EQ(decode<Nanos>(one.text), one.time);
  }
}

TEST(TimeCodec, TakesTicksOfAnyWholeNumber) {
  using Unsigned = sys_time<duration<std::uint32_t>>;
  EXPECT_EQ(encode(Unsigned(duration<std::uint32_t>(5))), "1970-01-01 00:00:05");
  EXPECT_EQ(decode<Unsigned>("1970-01-01 00:00:05"), Unsigned(duration<std::uint32_t>(5)));
  EXPECT_THROW(decode<Unsigned>("1969-12-31 23:59:59"), std::out_of_range);
  using Short = duration<std::int32_t, std::micro>;
  EXPECT_EQ(encode(sys_time<Short>(Short(-5))), "1969-12-31 23:59:59.999995");
  EXPECT_EQ(decode<sys_time<Short>>("1969-12-31 23:59:59.999995"), sys_time<Short>(Short(-5)));
  EXPECT_THROW(decode<sys_time<Short>>("1970-01-02"), std::out_of_range);
  using Huge = duration<std::uint64_t>;
  EXPECT_THROW(encode(sys_time<Huge>(Huge::max())), std::out_of_range);
  using Halves = duration<std::int64_t, std::ratio<1, 2>>;
  EXPECT_EQ(encode(sys_time<Halves>(Halves(-5))), "1969-12-31 23:59:57.5");
}

TEST(TimeCodec, RefusesWhatIsNoWholeNanosecond) {
  using Picos = duration<std::int64_t, std::pico>;
  EXPECT_EQ(encode(sys_time<Picos>(Picos(5000))), "1970-01-01 00:00:00.000000005");
  EXPECT_THROW(encode(sys_time<Picos>(Picos(5001))), std::out_of_range);
  using Thirds = duration<std::int64_t, std::ratio<1, 3>>;
  EXPECT_EQ(encode(sys_time<Thirds>(Thirds(-3))), "1969-12-31 23:59:59");
  EXPECT_THROW(encode(sys_time<Thirds>(Thirds(1))), std::out_of_range);
}

TEST(DateCodec, TakesDaysOfAnyWholeNumber) {
  using Short = duration<std::int16_t, days::period>;
  EXPECT_EQ(encode(sys_time<Short>(Short(-1))), "1969-12-31");
  EXPECT_EQ(decode<sys_time<Short>>("1970-01-02"), sys_time<Short>(Short(1)));
  EXPECT_THROW(decode<sys_time<Short>>("9999-12-31"), std::out_of_range);
}

TEST(DateCodec, WritesAndReadsDays) {
  EXPECT_EQ(encode(kDay), "2026-11-21");
  EXPECT_EQ(decode<sys_days>("2026-11-21"), kDay);
  EXPECT_EQ(encode(sys_days(0y / January / 1)), "0000-01-01");
  EXPECT_EQ(encode(sys_days(9999y / December / 31)), "9999-12-31");
  EXPECT_THROW(encode(sys_days(0y / January / 1) - days(1)), std::out_of_range);
  EXPECT_THROW(encode(sys_days(9999y / December / 31) + days(1)), std::out_of_range);
  EXPECT_EQ(encode(2024y / February / 29), "2024-02-29");
  EXPECT_EQ(decode<year_month_day>("2024-02-29"), 2024y / February / 29);
}

TEST(DateCodec, RefusesDatesThatDoNotExist) {
  EXPECT_THROW(encode(2026y / February / 29), std::out_of_range);
  EXPECT_THROW(encode(year_month_day(2026y, month(13), day(1))), std::out_of_range);
  EXPECT_THROW(decode<year_month_day>("2026-02-29"), std::invalid_argument);
  EXPECT_THROW(decode<sys_days>("2026-11-21T00:00:00Z"), std::invalid_argument);
  EXPECT_THROW(decode<sys_days>(""), std::invalid_argument);
}

TEST(DateCodec, ComesBackAsItWentOnEveryDay) {
  std::string previous;
  for (sys_days day = 0y / January / 1; day <= sys_days(9999y / December / 31); day += days(7)) {
    const std::string text = encode(day);
    ASSERT_EQ(decode<sys_days>(text), day) << text;
    ASSERT_LT(previous, text);
    previous = text;
  }
}

TEST(PathCodec, KeepsThePathAsItIs) {
  for (const std::filesystem::path path : {"", "a", "/a/b", "a/../b", "ä/日本.txt", "with space"}) {
    EXPECT_EQ(decode<std::filesystem::path>(encode(path)), path);
    EXPECT_EQ(encode(path), path.string());
  }
}

}  // namespace
}  // namespace sqlane
