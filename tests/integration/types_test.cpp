#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <sqlite3.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"
#include "support/foreign_connection.hpp"
#include "support/temporary_folder.hpp"

namespace sqlane {
namespace {

enum class Colour : std::uint8_t { red = 1, blue = 200 };
enum class Signed : std::int16_t { low = -300 };

struct Money {
  std::int64_t cents;
  bool operator==(const Money&) const = default;
};

// Two letters; everything else is refused.
struct Country {
  std::string code;
  bool operator==(const Country&) const = default;
};

// Asks the database while it is stored or read, which goes wrong.
struct Nosy {};

}  // namespace

template <>
struct Codec<Money> {
  using Stored = std::int64_t;
  static std::int64_t encode(Money money) { return money.cents; }
  static Money decode(std::int64_t cents) { return {cents}; }
};

template <>
struct Codec<Nosy> {
  using Stored = std::int64_t;
  static std::int64_t encode(const Nosy&) { throw UsageError("encoding asked too much"); }
  static Nosy decode(std::int64_t) { throw ClosedError("decoding asked too late"); }
};

template <>
struct Codec<Country> {
  using Stored = std::string_view;
  static std::string_view encode(const Country& country) {
    if (country.code.size() != 2) throw std::invalid_argument("a country has two letters");
    return country.code;
  }
  static Country decode(std::string_view text) {
    if (text.size() != 2) throw std::runtime_error("a country has two letters");
    return {std::string(text)};
  }
};

namespace {

using namespace std::chrono_literals;
using std::string_view_literals::operator""sv;
using testing::error_of;
using testing::mentions;

using Bytes = std::vector<std::byte>;

Bytes bytes(std::initializer_list<int> values) {
  Bytes all;
  for (const int value : values) all.push_back(static_cast<std::byte>(value));
  return all;
}

class Types : public ::testing::Test {
 protected:
  // Through a column without affinity and back, by position and by name.
  template <class T, class Value>
  T through(const Value& value) {
    db.write([&](Transaction& tx) {
      tx.execute("DELETE FROM box");
      tx.execute("INSERT INTO box (content) VALUES (?)", value);
      tx.execute("INSERT INTO box (content) VALUES (:value)", bind(":value", value));
      tx.execute_many("INSERT INTO box (content) VALUES (?)", std::array<std::decay_t<const Value&>, 1>{value});
    });
    EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM box"), 3);
    EXPECT_EQ(db.query_one<int>("SELECT count(DISTINCT typeof(content) || '/' || quote(content)) FROM box"), 1);
    return db.query_one<T>("SELECT content FROM box LIMIT 1");
  }
  template <class T>
  T round(const T& value) {
    return through<T>(value);
  }
  std::string stored() {
    return db.query_one<std::string>("SELECT typeof(content) || ' ' || quote(content) FROM box LIMIT 1");
  }

  // The error that reading `literal` as a T gives.
  template <class T>
  TypeError misfit(const std::string& literal) {
    const TypeError error =
        error_of<TypeError>([&] { static_cast<void>(db.query<T>(runtime_sql("SELECT " + literal + " AS content"))); });
    EXPECT_TRUE(mentions(error, "\"content\"")) << error.what();
    EXPECT_TRUE(mentions(error, "row 1")) << error.what();
    EXPECT_TRUE(mentions(error.sql(), "AS content"));
    EXPECT_FALSE(error.transaction_ended());
    return error;
  }

  template <class T>
  void expect_limits() {
    using Limits = std::numeric_limits<T>;
    EXPECT_EQ(round(Limits::max()), Limits::max());
    EXPECT_EQ(round(Limits::min()), Limits::min());
    if constexpr (sizeof(T) < 8) {
      const std::string above = std::to_string(static_cast<std::int64_t>(Limits::max()) + 1);
      const std::string below = std::to_string(static_cast<std::int64_t>(Limits::min()) - 1);
      EXPECT_TRUE(mentions(misfit<T>(above), "out of range"));
      EXPECT_TRUE(mentions(misfit<T>(below), "out of range"));
    }
  }

  static Database make() {
    Database db = Database::in_memory();
    db.execute("CREATE TABLE box (content)");
    return db;
  }

  Database db = make();
};

TEST_F(Types, CarryIntegersOfEveryWidth) {
  expect_limits<std::int8_t>();
  expect_limits<std::uint8_t>();
  expect_limits<std::int16_t>();
  expect_limits<std::uint16_t>();
  expect_limits<std::int32_t>();
  expect_limits<std::uint32_t>();
  expect_limits<std::int64_t>();
  expect_limits<long>();
  expect_limits<long long>();
}

TEST_F(Types, CarryUnsignedIntegersUpToSqlitesLimit) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(round(kMost), kMost);
  for (const std::uint64_t value : {kMost + 1, std::numeric_limits<std::uint64_t>::max()}) {
    const TypeError error = error_of<TypeError>([&] { db.execute("INSERT INTO box VALUES (?)", value); });
    EXPECT_TRUE(mentions(error, "parameter 1")) << error.what();
    EXPECT_TRUE(mentions(error, "2^63")) << error.what();
  }
  EXPECT_TRUE(mentions(misfit<std::uint64_t>("-1"), "out of range"));
}

TEST_F(Types, CarryFloatingPoint) {
  for (const double value : {0.0, -1.5, 1e300, std::numeric_limits<double>::denorm_min(),
                             std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(round(value), value);
    EXPECT_EQ(stored().substr(0, 4), "real");
  }
  EXPECT_EQ(round(1.5F), 1.5F);
  EXPECT_EQ(round(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(mentions(misfit<float>("1e300"), "out of range"));
}

TEST_F(Types, RefuseWhatIsNotANumber) {
  for (const double value : {std::nan(""), -std::nan("")}) {
    EXPECT_TRUE(mentions(error_of<TypeError>([&] { db.execute("INSERT INTO box VALUES (?)", value); }), "NaN"));
  }
  EXPECT_THROW(db.execute("INSERT INTO box VALUES (?)", std::nanf("")), TypeError);
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM box"), 0);
}

TEST_F(Types, ReadIntegersAsFloatingPointWhereNothingIsRounded) {
  EXPECT_EQ(through<double>(std::int64_t{1} << 53), std::ldexp(1.0, 53));
  EXPECT_TRUE(mentions(misfit<double>("9007199254740993"), "rounded"));
}

TEST_F(Types, ReadIntegersAsFloatWhereNothingIsRounded) {
  EXPECT_EQ(through<float>(1 << 24), std::ldexp(1.0F, 24));
  EXPECT_TRUE(mentions(misfit<float>("16777217"), "rounded"));
}

TEST_F(Types, CarryTruth) {
  EXPECT_EQ(round(true), true);
  EXPECT_EQ(stored(), "integer 1");
  EXPECT_EQ(through<bool>(0), false);
  EXPECT_TRUE(mentions(misfit<bool>("2"), "bool"));
  misfit<bool>("'true'");
}

TEST_F(Types, CarryEnums) {
  EXPECT_EQ(round(Colour::blue), Colour::blue);
  EXPECT_EQ(stored(), "integer 200");
  EXPECT_EQ(round(Signed::low), Signed::low);
  EXPECT_EQ(round(std::byte{255}), std::byte{255});
  misfit<Colour>("256");
  misfit<Colour>("-1");
}

TEST_F(Types, CarryText) {
  EXPECT_EQ(round(std::string("Grüße, 世界")), "Grüße, 世界");
  EXPECT_EQ(through<std::string>("from a literal"), "from a literal");
  EXPECT_EQ(through<std::string>("from a view"sv), "from a view");
  const std::string long_text(1'000'000, 'x');
  EXPECT_EQ(round(long_text), long_text);
  char buffer[] = "from an array";
  db.execute("INSERT INTO box VALUES (?)", buffer);
  EXPECT_EQ(db.query_one<std::string>("SELECT content FROM box WHERE content LIKE 'from an a%'"), "from an array");
}

TEST_F(Types, CarryTextWithANulByteInside) {
  const std::string text("before\0after\0", 13);
  EXPECT_EQ(round(text), text);
  db.read([&](const Snapshot& s) {
    for (const std::string_view view : s.query<std::string_view>("SELECT content FROM box")) EXPECT_EQ(view, text);
  });
}

TEST_F(Types, TellEmptyTextFromNull) {
  EXPECT_EQ(round(std::string()), "");
  EXPECT_EQ(stored(), "text ''");
  EXPECT_EQ(through<std::string>(std::string_view()), "") << "a view of nothing is empty text";
  EXPECT_EQ(stored(), "text ''");
  EXPECT_EQ(through<std::optional<std::string>>(std::string()), std::optional<std::string>(""));
}

TEST_F(Types, CarryBlobs) {
  const Bytes value = bytes({0, 1, 255, 0});
  EXPECT_EQ(round(value), value);
  EXPECT_EQ(stored(), "blob X'0001FF00'");
  EXPECT_EQ(through<Bytes>(std::span<const std::byte>(value)), value);
  db.read([&](const Snapshot& s) {
    for (const auto view : s.query<std::span<const std::byte>>("SELECT content FROM box")) {
      EXPECT_TRUE(std::equal(view.begin(), view.end(), value.begin(), value.end()));
    }
  });
}

TEST_F(Types, TellAnEmptyBlobFromNull) {
  EXPECT_EQ(round(Bytes()), Bytes());
  EXPECT_EQ(stored(), "blob X''");
  EXPECT_EQ(through<std::optional<Bytes>>(std::span<const std::byte>()), std::optional<Bytes>(Bytes()));
}

TEST_F(Types, CarryOptionals) {
  EXPECT_EQ(round(std::optional<int>(7)), 7);
  EXPECT_EQ(round(std::optional<int>()), std::nullopt);
  EXPECT_EQ(stored(), "null NULL");
  EXPECT_EQ(through<std::optional<int>>(std::nullopt), std::nullopt);
  EXPECT_EQ(through<std::optional<Bytes>>(nullptr), std::nullopt);
  EXPECT_EQ(round(std::optional<std::string>("x")), "x");
  EXPECT_EQ(round(std::optional<Money>(Money{5})), Money{5});
  EXPECT_EQ(round(std::optional<std::chrono::sys_days>()), std::nullopt);
}

TEST_F(Types, RefuseNullPointersAsText) {
  const char* nothing = nullptr;
  EXPECT_TRUE(
      mentions(error_of<TypeError>([&] { db.execute("INSERT INTO box VALUES (?)", nothing); }), "null pointer"));
}

TEST_F(Types, CarryPointsInTime) {
  using Clock = std::chrono::system_clock;
  const std::chrono::sys_days day = std::chrono::year(2026) / 11 / 21;
  const std::chrono::sys_seconds seconds = day + 9h + 30min + 5s;
  EXPECT_EQ(round(seconds), seconds);
  EXPECT_EQ(stored(), "text '2026-11-21 09:30:05'");
  const std::chrono::sys_time<std::chrono::milliseconds> milliseconds = seconds + 250ms;
  EXPECT_EQ(round(milliseconds), milliseconds);
  EXPECT_EQ(stored(), "text '2026-11-21 09:30:05.25'");
  const std::chrono::sys_time<std::chrono::nanoseconds> nanoseconds = seconds + 1ns;
  EXPECT_EQ(round(nanoseconds), nanoseconds);
  const Clock::time_point now = Clock::now();
  EXPECT_EQ(round(now), now);
  const std::chrono::sys_seconds before_1970 = std::chrono::sys_days(std::chrono::year(1912) / 6 / 23) + 1s;
  EXPECT_EQ(round(before_1970), before_1970);
  EXPECT_TRUE(mentions(misfit<std::chrono::sys_seconds>("'2026-11-21T09:30:05.250Z'"), "finer"));
  misfit<std::chrono::sys_seconds>("'yesterday'");
  misfit<std::chrono::sys_seconds>("1");
}

TEST_F(Types, CompareTimesAsSqliteWritesThem) {
  const auto holds = [&](const std::string& condition, const auto& time) {
    return db.query_one<bool>(runtime_sql("SELECT " + condition), time);
  };
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  for (const char* sqlites : {"CURRENT_TIMESTAMP", "datetime('now')"}) {
    EXPECT_TRUE(holds(std::string(sqlites) + " >= ?", now)) << sqlites;
    EXPECT_TRUE(holds(std::string(sqlites) + " < ?", now + 1h)) << sqlites;
    EXPECT_TRUE(holds(std::string(sqlites) + " > ?", now - 1ms)) << sqlites;
  }
  const std::chrono::sys_seconds seconds = std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 9h + 30min + 5s;
  EXPECT_TRUE(holds("datetime('2026-11-21 09:30:05') = ?", seconds));
  EXPECT_TRUE(holds("datetime('2026-11-21 09:30:05') = ?", std::chrono::sys_time<std::chrono::nanoseconds>(seconds)));
  EXPECT_TRUE(holds("strftime('%Y-%m-%d %H:%M:%f', '2026-11-21 09:30:05.125') = ?", seconds + 125ms));
  EXPECT_TRUE(holds("datetime('2026-11-21 09:30:06') > ?", seconds + 999ms));
  EXPECT_TRUE(
      holds("date('2026-11-21') <= ?", std::chrono::sys_seconds(std::chrono::floor<std::chrono::days>(seconds))));
}

TEST_F(Types, AreTimesThatSqlitesDateFunctionsRead) {
  const auto time = std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 9h + 30min + 5s + 250ms;
  EXPECT_EQ(db.query_one<std::string>("SELECT datetime(?)", time), "2026-11-21 09:30:05");
  EXPECT_EQ(db.query_one<std::string>("SELECT datetime(?, '+1 day')", time), "2026-11-22 09:30:05");
  EXPECT_EQ(db.query_one<std::string>("SELECT strftime('%H:%M:%f', ?)", time), "09:30:05.250");
  EXPECT_EQ(db.query_one<std::int64_t>("SELECT CAST(strftime('%s', ?) AS INTEGER)", time),
            std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
  EXPECT_TRUE(db.query_one<bool>("SELECT julianday(?) = julianday('2026-11-21T09:30:05.250Z')", time));
  if (sqlite3_libversion_number() >= 3'042'000) {
    EXPECT_EQ(db.query_one<std::string>("SELECT datetime(?, 'subsec')", time), "2026-11-21 09:30:05.250");
  }
}

// What CHANGELOG.md says to those who have times in the form of before.
TEST_F(Types, AreTimesThatOneStatementBringsIntoOneForm) {
  db.execute("DELETE FROM box");
  for (const char* text : {"2026-11-21T09:30:10Z", "2026-11-21T09:30:10.000Z", "2026-11-21T09:30:10.250000Z",
                           "2026-11-21T09:30:00.000000100Z", "2026-11-21 09:30:10", "2026-11-21", "TZ"}) {
    db.execute("INSERT INTO box VALUES (?)", text);
  }
  const auto bring = [&] {
    return db
        .execute(
            "UPDATE box SET content = replace(rtrim(rtrim(rtrim(content, 'Z'), CASE WHEN content LIKE '%.%' THEN '0' "
            "ELSE '' "
            "END), '.'), 'T', ' ') WHERE content LIKE '____-__-__T__:__:__%Z'")
        .changes;
  };
  EXPECT_EQ(bring(), 4);
  EXPECT_EQ(bring(), 0);
  EXPECT_EQ(db.query<std::string>("SELECT content FROM box ORDER BY rowid"),
            (std::vector<std::string>{"2026-11-21 09:30:10", "2026-11-21 09:30:10", "2026-11-21 09:30:10.25",
                                      "2026-11-21 09:30:00.0000001", "2026-11-21 09:30:10", "2026-11-21", "TZ"}));
}

TEST_F(Types, CarryDates) {
  const std::chrono::year_month_day date = std::chrono::year(2024) / 2 / 29;
  EXPECT_EQ(round(date), date);
  EXPECT_EQ(stored(), "text '2024-02-29'");
  EXPECT_EQ(round(std::chrono::sys_days(date)), std::chrono::sys_days(date));
  EXPECT_EQ(db.query_one<std::chrono::year_month_day>("SELECT date('2024-02-28', '+1 day')"), date);
  misfit<std::chrono::year_month_day>("'2023-02-29'");
  const std::chrono::year_month_day none = std::chrono::year(2023) / 2 / 29;
  EXPECT_TRUE(mentions(error_of<TypeError>([&] { db.execute("INSERT INTO box VALUES (?)", none); }), "no such date"));
}

TEST_F(Types, CarryPaths) {
  const std::filesystem::path path = "/tmp/Grüße/a b.txt";
  EXPECT_EQ(round(path), path);
  EXPECT_EQ(stored(), "text '/tmp/Grüße/a b.txt'");
}

TEST_F(Types, CarryTypesOfTheUsersOwn) {
  EXPECT_EQ(round(Money{1999}), Money{1999});
  EXPECT_EQ(stored(), "integer 1999");
  EXPECT_EQ(round(Country{"de"}), Country{"de"});
}

TEST_F(Types, TurnWhatACodecThrowsIntoATypeError) {
  const TypeError reading = error_of<TypeError>(
      [&] { static_cast<void>(db.query<Country>("SELECT 'de' AS country UNION ALL SELECT 'Germany'")); });
  EXPECT_TRUE(mentions(reading, "two letters")) << reading.what();
  EXPECT_TRUE(mentions(reading, "row 2")) << reading.what();
  EXPECT_TRUE(mentions(reading, "column 0 (\"country\")")) << reading.what();
  EXPECT_TRUE(mentions(reading, "Country")) << reading.what();
  const TypeError writing = error_of<TypeError>([&] { db.execute("INSERT INTO box VALUES (?)", Country{"Germany"}); });
  EXPECT_TRUE(mentions(writing, "two letters")) << writing.what();
  EXPECT_TRUE(mentions(writing, "parameter 1")) << writing.what();
}

struct Shipment {
  std::int64_t id;
  std::string title;
  std::optional<Money> price;
  Country country;
  std::chrono::year_month_day day;
  Bytes label;
  Colour colour;
  double weight;

  bool operator==(const Shipment&) const = default;
};

struct ConstantNote {
  const int id;
  const std::string title;
  const std::optional<double> weight;
};

TEST_F(Types, CarryRowsWhoseFieldsAreConstants) {
  db.execute("CREATE TABLE note (id, title, weight)");
  db.write([](Transaction& tx) {
    tx.execute_many("INSERT INTO note VALUES (?, ?, ?)", std::vector<ConstantNote>{{1, "a", 0.5}, {2, "b", {}}});
    std::string titles;
    for (const ConstantNote& note : tx.query<ConstantNote>("SELECT * FROM note ORDER BY id")) titles += note.title;
    EXPECT_EQ(titles, "ab");
  });
  EXPECT_EQ(db.query<ConstantNote>("SELECT * FROM note ORDER BY id").at(1).id, 2);
  EXPECT_EQ(db.query_one<ConstantNote>("SELECT * FROM note ORDER BY id").weight, 0.5);
  EXPECT_EQ((db.query_optional<std::tuple<const int, const std::string>>("SELECT id, title FROM note ORDER BY id")),
            std::tuple(1, "a"));
}

TEST_F(Types, CarryRowsAsStructsTuplesAndPairs) {
  db.execute("CREATE TABLE shipment (id INTEGER PRIMARY KEY, title, price, country, day, label, colour, weight)");
  const std::vector<Shipment> shipments{
      {1, "a", Money{5}, {"de"}, std::chrono::year(2026) / 1 / 1, bytes({1, 2}), Colour::red, 1.5},
      {2, "", std::nullopt, {"fr"}, std::chrono::year(2026) / 1 / 2, {}, Colour::blue, 0}};
  db.write(
      [&](Transaction& tx) { tx.execute_many("INSERT INTO shipment VALUES (?, ?, ?, ?, ?, ?, ?, ?)", shipments); });
  EXPECT_EQ(db.query<Shipment>("SELECT * FROM shipment ORDER BY id"), shipments);
  using Some = std::tuple<std::string, std::optional<Money>>;
  EXPECT_EQ(db.query_one<Some>("SELECT title, price FROM shipment WHERE id = 2"), Some("", std::nullopt));
  using Pair = std::pair<int, Country>;
  EXPECT_EQ(db.query_one<Pair>("SELECT id, country FROM shipment WHERE id = 2"), Pair(2, Country{"fr"}));
}

TEST_F(Types, NameColumnRowAndTypeOfWhatDoesNotFit) {
  const TypeError error = error_of<TypeError>([&] {
    using Row = std::tuple<int, int>;
    static_cast<void>(db.query<Row>("SELECT 1 AS a, 2 AS b UNION ALL SELECT 3, 'x' UNION ALL SELECT 5, 6"));
  });
  EXPECT_TRUE(mentions(error, "column 1")) << error.what();
  EXPECT_TRUE(mentions(error, "\"b\"")) << error.what();
  EXPECT_TRUE(mentions(error, "row 2")) << error.what();
  EXPECT_TRUE(mentions(error, "TEXT")) << error.what();
  EXPECT_TRUE(mentions(error, "int")) << error.what();
  EXPECT_EQ(error.database(), ":memory:");
}

TEST_F(Types, NeverCastSilently) {
  EXPECT_TRUE(mentions(misfit<int>("NULL"), "NULL"));
  EXPECT_TRUE(mentions(misfit<std::string>("NULL"), "NULL"));
  EXPECT_TRUE(mentions(misfit<Bytes>("NULL"), "NULL"));
  EXPECT_TRUE(mentions(misfit<double>("NULL"), "NULL"));
  EXPECT_TRUE(mentions(misfit<Money>("NULL"), "NULL"));
  EXPECT_TRUE(mentions(misfit<int>("1.0"), "REAL"));
  EXPECT_TRUE(mentions(misfit<int>("'1'"), "TEXT"));
  EXPECT_TRUE(mentions(misfit<double>("'1.5'"), "TEXT"));
  EXPECT_TRUE(mentions(misfit<std::string>("1"), "INTEGER"));
  EXPECT_TRUE(mentions(misfit<std::string>("x'61'"), "BLOB"));
  EXPECT_TRUE(mentions(misfit<Bytes>("'a'"), "TEXT"));
  EXPECT_TRUE(mentions(misfit<std::int32_t>("1099511627776"), "out of range"));
  misfit<std::optional<int>>("'x'");
}

TEST_F(Types, LeaveTheTransactionUsableAfterAMisfit) {
  db.write([](Transaction& tx) {
    tx.execute("INSERT INTO box VALUES ('text')");
    EXPECT_THROW(tx.query_one<int>("SELECT content FROM box"), TypeError);
    EXPECT_THROW(tx.execute("INSERT INTO box VALUES (?)", std::nan("")), TypeError);
    EXPECT_THROW(tx.execute("INSERT INTO box VALUES (?)", Country{"Germany"}), TypeError);
    for (const Row& row : tx.query("SELECT content FROM box")) {
      EXPECT_THROW(static_cast<void>(row.get<int>(0)), TypeError);
      EXPECT_THROW(static_cast<void>(row.get<bool>("content")), TypeError);
      EXPECT_EQ(row.get<std::string>(0), "text");
    }
    tx.execute("INSERT INTO box VALUES (?)", "more");
  });
  EXPECT_EQ(db.query_one<int>("SELECT count(*) FROM box"), 2);
}

TEST(TypesOfAFile, CarryTextOfADatabaseInUtf16) {
  const testing::TemporaryFolder folder;
  testing::ForeignConnection(folder / "wide.db").run("PRAGMA encoding='UTF-16'; CREATE TABLE box (content TEXT)");
  Database wide = Database::open(folder / "wide.db");
  const std::string text = "Grüße, 世界";
  wide.execute("INSERT INTO box VALUES (?)", text);
  EXPECT_EQ(wide.query_one<std::string>("PRAGMA encoding").substr(0, 6), "UTF-16");
  EXPECT_EQ(wide.query_one<std::string>("SELECT content FROM box"), text);
}

TEST_F(Types, CarryRandomValues) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  db.execute("CREATE TABLE random (integer, small, real, text, blob, maybe)");
  using Row = std::tuple<std::int64_t, std::int16_t, double, std::string, Bytes, std::optional<std::uint32_t>>;
  std::vector<Row> all;
  for (int i = 0; i < 2000; ++i) {
    double real = std::bit_cast<double>(random());
    if (std::isnan(real)) real = 0;
    std::string text(random() % 40, ' ');
    for (char& c : text) c = static_cast<char>(random() % 128);
    Bytes blob(random() % 40);
    for (std::byte& byte : blob) byte = static_cast<std::byte>(random());
    std::optional<std::uint32_t> maybe;
    if (random() % 2 == 0) maybe = static_cast<std::uint32_t>(random());
    const auto integer = static_cast<std::int64_t>(random()) >> (random() % 64);
    all.emplace_back(integer, static_cast<std::int16_t>(random()), real, text, blob, maybe);
  }
  db.write([&](Transaction& tx) { tx.execute_many("INSERT INTO random VALUES (?, ?, ?, ?, ?, ?)", all); });
  EXPECT_EQ(db.query<Row>("SELECT * FROM random ORDER BY rowid"), all);
}

// Not a TypeError: the value is not to blame.
TEST_F(Types, LetTheDatabasesOwnErrorsPassThroughACodec) {
  EXPECT_THROW(static_cast<void>(db.query_one<int>("SELECT ?", Nosy{})), UsageError);
  EXPECT_THROW(static_cast<void>(db.query_one<Nosy>("SELECT 1")), ClosedError);
}

}  // namespace
}  // namespace sqlane
