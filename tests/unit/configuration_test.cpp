#include "database/configuration.hpp"

#include <algorithm>
#include <boost/pfr.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::mentions;
using namespace std::chrono_literals;

using Map = std::map<std::string, std::string>;
using Random = std::mt19937_64;

constexpr std::string_view kPrefix = "SQLANE_TEST_";

// --- every field that text can hold, found by the compiler and not by the table

template <class T>
constexpr bool is_text_itself = std::is_same_v<T, std::filesystem::path> || std::is_same_v<T, std::string>;
template <class T>
constexpr bool is_text = std::is_arithmetic_v<T> || std::is_enum_v<T> || is_text_itself<T>;
template <class T>
constexpr bool is_text<std::optional<T>> = is_text<T>;
template <class Rep, class Period>
constexpr bool is_text<std::chrono::duration<Rep, Period>> = true;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;
template <class T>
constexpr bool is_callback = false;
template <class T>
constexpr bool is_callback<std::function<T>> = true;
template <class T>
constexpr bool is_callback<std::shared_ptr<T>> = true;

// Where an optional struct is switched on or off.
template <class Struct>
struct Switch {
  std::optional<Struct>& at;
};

// Calls visit(field) for each, and visit(Switch) before those of a struct that
// is there. A field of a new kind does not compile.
template <class T, class Visit>
void for_each_text(T& object, const Visit& visit) {
  if constexpr (is_text<T>) {
    visit(object);
  } else if constexpr (is_optional<T>) {
    visit(Switch<typename T::value_type>{object});
    if (object) for_each_text(*object, visit);
  } else if constexpr (!is_callback<T>) {
    boost::pfr::for_each_field(object, [&](auto& field) { for_each_text(field, visit); });
  }
}

template <class T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_same_v<T, std::filesystem::path>) {
    text << value.native();  // not as paths compare: a//b is another text than a/b
  } else if constexpr (std::is_same_v<T, std::string>) {
    text << value;
  } else if constexpr (std::is_enum_v<T>) {
    text << static_cast<int>(value);
  } else if constexpr (std::is_arithmetic_v<T>) {
    text << std::hexfloat << value;
  } else if constexpr (is_optional<T>) {
    text << (value ? show(*value) : "unset");
  } else {
    text << value.count();
  }
  return text.str();
}

std::vector<std::string> shown(Options options) {
  std::vector<std::string> all;
  for_each_text(options, [&]<class T>(T&& field) {
    if constexpr (requires { field.at; }) {
      all.emplace_back(field.at ? "on" : "off");
    } else {
      all.push_back(show(field));
    }
  });
  return all;
}

// With all that is switched.
Options everything_on() {
  Options options;
  options.upkeep.breaker.emplace();
  options.upkeep.adaptive_size.emplace();
  return options;
}

template <class E>
constexpr int kEnumerators = 2;
template <>
constexpr int kEnumerators<ValidateOnAcquire> = 3;

// --- sources

Options from(const std::string& key, const std::string& value) { return Options::from_map({{key, value}}); }

std::string refusal(const std::string& key, const std::string& value) {
  return error_of<UsageError>([&] { static_cast<void>(from(key, value)); }).what();
}

std::string refusal_of_uri(std::string_view uri) {
  return error_of<UsageError>([&] { static_cast<void>(Options::from_uri(uri)); }).what();
}

std::string path_of(std::string_view uri) { return Options::from_uri(uri).path.native(); }

// A variable that is gone with it. The name is behind the prefix.
class Variable {
 public:
  Variable(std::string_view name, const std::string& value) : name_(std::string(kPrefix).append(name)) {
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_.c_str()); }

 private:
  std::string name_;
};

std::string refusal_of_environment() {
  return error_of<UsageError>([] { static_cast<void>(Options::from_environment(kPrefix)); }).what();
}

// --- the table

TEST(Configuration, HasAKeyForEveryFieldThatIsNoCallback) {
  std::size_t fields = 0;
  Options options = everything_on();
  for_each_text(options, [&](auto&&) { ++fields; });
  EXPECT_EQ(detail::configuration_keys().size(), fields);
}

TEST(Configuration, HasNoKeyTwice) {
  std::set<std::string_view> names;
  for (const detail::ConfigurationKey& key : detail::configuration_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_TRUE(key.part_of.empty() || names.contains(key.part_of)) << key.name;
  }
}

// One field after another is changed; what is read back differs from the
// defaults there, and nowhere else.
TEST(Configuration, WritesAndReadsEachFieldByItself) {
  const auto change = []<class T>(T&& field) {
    using Field = std::remove_cvref_t<T>;
    if constexpr (requires { field.at; }) {
      field.at ? field.at.reset() : static_cast<void>(field.at.emplace());
    } else if constexpr (std::is_enum_v<Field>) {
      field = static_cast<Field>(static_cast<int>(field) + 1);
    } else if constexpr (is_optional<Field>) {
      field = typename Field::value_type(7);
    } else if constexpr (std::is_same_v<Field, double>) {
      field = 0.625;
    } else if constexpr (std::is_integral_v<Field>) {
      field += 7;
    } else if constexpr (is_text_itself<Field>) {
      field = "a?b";
    } else {
      field += Field(7);
    }
  };
  std::set<std::string> uris;
  for (std::size_t changed = 0; changed < detail::configuration_keys().size(); ++changed) {
    Options options = everything_on();
    std::size_t at = 0;
    for_each_text(options, [&](auto&& field) {
      if (at++ == changed) change(field);
    });
    const std::string uri = options.to_uri();
    EXPECT_NE(uri, everything_on().to_uri());
    EXPECT_TRUE(uris.insert(uri).second) << uri;
    EXPECT_EQ(shown(Options::from_uri(uri)), shown(options)) << uri;
  }
}

TEST(Configuration, IsDocumentedKeyByKey) {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "../../docs/configuration.md");
  ASSERT_TRUE(file);
  std::map<std::string, std::string> rows;
  std::vector<std::string> order;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    order.push_back(line.substr(3, line.find('`', 3) - 3));
    rows[order.back()] = line;
  }
  std::vector<std::string> keys;
  for (const detail::ConfigurationKey& key : detail::configuration_keys()) {
    keys.emplace_back(key.name);
    std::istringstream cells(rows[keys.back()]);
    std::string cell;
    for (int column = 0; column < 4; ++column) std::getline(cells, cell, '|');
    const std::string text = key.write(Options());
    EXPECT_EQ(cell, text.empty() ? " " : " `" + text + "` ") << key.name;
  }
  EXPECT_EQ(order, keys);
}

TEST(Configuration, ReadsTheSameFromMapUriAndEnvironment) {
  const Map values{{"path", "a b.db"},      {"mode", "existing"},      {"readers", "8"},    {"durability", "normal"},
                   {"page_cache", "64MiB"}, {"batch_run_time", "1ms"}, {"max_uses", "100"}, {"lifetime_jitter", ".5"},
                   {"adaptive_least", "2"}, {"fallback", "r&d.db"},    {"breaker", "off"},  {"locking", "exclusive"},
                   {"memory_limit", "1GiB"}};
  Options expected;
  expected.path = "a b.db";
  expected.mode = OpenMode::existing;
  expected.readers = 8;
  expected.durability = Durability::normal;
  expected.locking = Locking::exclusive;
  expected.memory_limit = 1U << 30U;
  expected.page_cache = 64U << 20U;
  expected.batch.run_time = 1000us;
  expected.upkeep.max_uses = 100;
  expected.upkeep.lifetime_jitter = 0.5;
  expected.upkeep.adaptive_size = {.least = 2};
  expected.upkeep.breaker.reset();
  expected.fallback = "r&d.db";

  EXPECT_EQ(shown(Options::from_map(values)), shown(expected));
  EXPECT_EQ(
      shown(Options::from_uri(
          "file:a%20b.db?mode=existing&readers=8&durability=normal&page_cache=64MiB&batch_run_time=1ms&max_uses="
          "100&lifetime_jitter=.5&adaptive_least=2&fallback=r%26d.db&breaker=off&locking=exclusive&memory_limit=1GiB")),
      shown(expected));
  std::vector<std::unique_ptr<Variable>> variables;
  for (const auto& [key, value] : values) {
    std::string name = key;
    std::ranges::transform(name, name.begin(), [](char c) { return c == '_' ? c : static_cast<char>(c - 'a' + 'A'); });
    variables.push_back(std::make_unique<Variable>(name, value));
  }
  EXPECT_EQ(shown(Options::from_environment(kPrefix)), shown(expected));
}

// --- profiles

TEST(Profiles, BuildOnEachOther) {
  Options defaults;
  defaults.busy_timeout = 10s;
  defaults.on_slow_write.callback = [](const LaneHolder&) {};
  defaults.metrics = std::make_shared<MetricsListener>();
  const Variable readers("READERS", "8");
  const Variable durability("DURABILITY", "normal");
  const Options program = Options::from_environment(kPrefix, defaults);
  const Options archive = Options::from_uri("file:archive.db?readers=2", program);

  EXPECT_EQ(archive.path, "archive.db");
  EXPECT_EQ(archive.readers, 2U);
  EXPECT_EQ(archive.durability, Durability::normal);
  EXPECT_EQ(archive.busy_timeout, 10s);
  EXPECT_TRUE(archive.on_slow_write.callback);
  EXPECT_EQ(archive.metrics, defaults.metrics);
  EXPECT_EQ(program.readers, 8U);
  EXPECT_EQ(defaults.readers, 0U);
}

TEST(Profiles, CanTakeBackWhatTheirBaseHasSet) {
  const Options base = Options::from_map({{"idle_timeout", "1min"},
                                          {"max_uses", "5"},
                                          {"health_interval", "1s"},
                                          {"fallback", "replica.db"},
                                          {"adaptive_least", "2"}});
  EXPECT_EQ(base.upkeep.idle_timeout, 1min);
  const Options back = Options::from_map({{"idle_timeout", "never"},
                                          {"max_uses", "none"},
                                          {"health_interval", "none"},
                                          {"fallback", ""},
                                          {"adaptive_size", "off"}},
                                         base);
  EXPECT_EQ(shown(back), shown(Options()));
}

TEST(Profiles, KeepTheirPathUnlessTheUriHasOne) {
  Options base;
  base.path = "base.db";
  EXPECT_EQ(Options::from_uri("file:?readers=3", base).path, "base.db");
  EXPECT_EQ(Options::from_uri("file://localhost?readers=3", base).path, "base.db");
  EXPECT_EQ(Options::from_uri("file:other.db", base).path, "other.db");
}

TEST(Profiles, SwitchOnWhatHasAPartSet) {
  Options base;
  base.upkeep.breaker.reset();
  const Options options = Options::from_map({{"breaker_failures", "9"}, {"adaptive_rounds", "4"}}, base);
  ASSERT_TRUE(options.upkeep.breaker);
  EXPECT_EQ(options.upkeep.breaker->failures, 9U);
  EXPECT_EQ(options.upkeep.breaker->open_for, Breaker().open_for);
  ASSERT_TRUE(options.upkeep.adaptive_size);
  EXPECT_EQ(options.upkeep.adaptive_size->rounds, 4U);
  EXPECT_TRUE(Options::from_map({{"breaker", "on"}}, base).upkeep.breaker);
  EXPECT_EQ(Options::from_map({{"breaker", "on"}}, options).upkeep.breaker->failures, 9U);
}

TEST(Profiles, RefuseAPartOfWhatTheySwitchOff) {
  for (const std::string_view uri :
       {"file:a?breaker=off&breaker_open_for=1s", "file:a?breaker_open_for=1s&breaker=off"}) {
    const std::string message = refusal_of_uri(uri);
    EXPECT_TRUE(mentions(message, "breaker_open_for is part of breaker, which is off")) << message;
  }
  EXPECT_TRUE(Options::from_uri("file:a?breaker=on&breaker_open_for=2s").upkeep.breaker);
  const std::string message =
      error_of<UsageError>([] {
        static_cast<void>(Options::from_map({{"adaptive_size", "off"}, {"adaptive_rounds", "1"}}));
      }).what();
  EXPECT_TRUE(mentions(message, "adaptive_rounds is part of adaptive_size")) << message;
}

// --- values

TEST(ConfiguredNumbers, AreRefusedUnlessTheyAreDigitsThatFit) {
  EXPECT_EQ(from("readers", "0").readers, 0U);
  EXPECT_EQ(from("readers", "007").readers, 7U);
  EXPECT_EQ(from("readers", "18446744073709551615").readers, std::numeric_limits<std::size_t>::max());
  EXPECT_EQ(from("max_errors", "18446744073709551615").upkeep.max_errors, std::numeric_limits<std::uint64_t>::max());
  for (const char* const text :
       {"", " 1", "1 ", "-1", "-0", "+1", "1.0", "1e3", "0x10", "1k", "1\n", "eight", "1,000", "none"}) {
    EXPECT_TRUE(mentions(refusal("readers", text), "readers must be a whole number from 0 to 18446744073709551615"))
        << text;
  }
  EXPECT_THROW(from("readers", std::string("1\0", 2)), UsageError);
  EXPECT_TRUE(mentions(refusal("readers", "18446744073709551616"), "too large"));
  EXPECT_TRUE(mentions(refusal("max_uses", "x"), "or \"none\""));
}

TEST(ConfiguredBytes, HaveBinaryUnits) {
  EXPECT_EQ(from("page_cache", "0").page_cache, 0U);
  EXPECT_EQ(from("page_cache", "4096").page_cache, 4096U);
  EXPECT_EQ(from("page_cache", "3KiB").page_cache, 3072U);
  EXPECT_EQ(from("page_cache", "3MiB").page_cache, std::size_t{3} << 20U);
  EXPECT_EQ(from("batch_bytes", "3GiB").batch.bytes, std::size_t{3} << 30U);
  EXPECT_EQ(from("page_cache", "17179869183GiB").page_cache, std::size_t{17'179'869'183} << 30U);
  EXPECT_TRUE(mentions(refusal("page_cache", "17179869184GiB"), "too large"));
  for (const char* const text : {"", "KiB", "1kib", "1KB", "1M", "1 MiB", "1.5MiB", "-1", "1MiB "}) {
    EXPECT_TRUE(mentions(refusal("page_cache", text), "page_cache must be a whole number of bytes, such as")) << text;
  }
}

TEST(ConfiguredDurations, HaveAUnit) {
  EXPECT_EQ(from("acquire_timeout", "250ms").acquire_timeout, 250ms);
  EXPECT_EQ(from("acquire_timeout", "5s").acquire_timeout, 5s);
  EXPECT_EQ(from("acquire_timeout", "2min").acquire_timeout, 2min);
  EXPECT_EQ(from("acquire_timeout", "3h").acquire_timeout, 3h);
  EXPECT_EQ(from("acquire_timeout", "2000us").acquire_timeout, 2ms);
  EXPECT_EQ(from("acquire_timeout", "0").acquire_timeout, 0ms);
  EXPECT_EQ(from("acquire_timeout", "0us").acquire_timeout, 0ms);
  EXPECT_EQ(from("batch_run_time", "1500us").batch.run_time, 1500us);
  EXPECT_EQ(from("batch_run_time", "1ms").batch.run_time, 1ms);
  EXPECT_EQ(from("batch_run_time", "1h").batch.run_time, 1h);
  EXPECT_EQ(from("leak_threshold", "0").upkeep.leak_threshold, 0ms);

  EXPECT_TRUE(mentions(refusal("acquire_timeout", "5"), "; what was given has no unit"));
  EXPECT_TRUE(mentions(refusal("leak_threshold", "5"), "; what was given has no unit"));
  EXPECT_TRUE(mentions(refusal("acquire_timeout", "1500us"), "; what was given is finer"));
  for (const char* const text :
       {"", "ms", "-1ms", "+1ms", "5 s", "5s ", "5S", "5m", "1.5s", "1d", "5ns", "none", "0x"}) {
    EXPECT_TRUE(mentions(refusal("acquire_timeout", text), "acquire_timeout must be a duration in whole milliseconds"))
        << text;
  }
  EXPECT_TRUE(mentions(refusal("batch_run_time", "x"), "batch_run_time must be a duration in whole microseconds"));
}

TEST(ConfiguredDurations, AreNeverCutShort) {
  EXPECT_EQ(from("acquire_timeout", "9223372036854775807ms").acquire_timeout, std::chrono::milliseconds::max());
  EXPECT_EQ(from("acquire_timeout", "2562047788015h").acquire_timeout, 2562047788015h);
  EXPECT_EQ(from("batch_run_time", "9223372036854775807us").batch.run_time, std::chrono::microseconds::max());
  EXPECT_EQ(from("batch_run_time", "9223372036854775ms").batch.run_time, 9223372036854775ms);
  for (const char* const text : {"9223372036854775808ms", "2562047788016h", "99999999999999999999ms"}) {
    EXPECT_TRUE(mentions(refusal("acquire_timeout", text), "; what was given is too large")) << text;
  }
  EXPECT_TRUE(mentions(refusal("batch_run_time", "9223372036854776ms"), "; what was given is too large"));
}

TEST(ConfiguredShares, AreFromZeroToOne) {
  EXPECT_EQ(from("lifetime_jitter", "0").upkeep.lifetime_jitter, 0);
  EXPECT_EQ(from("lifetime_jitter", "1").upkeep.lifetime_jitter, 1);
  EXPECT_EQ(from("lifetime_jitter", "2.5e-1").upkeep.lifetime_jitter, 0.25);
  EXPECT_EQ(from("adaptive_grow_above", "0.9").upkeep.adaptive_size->grow_above, 0.9);
  for (const char* const text :
       {"", "1.0000001", "-0.1", "nan", "inf", "1e400", "0,5", " 0.5", "0.5 ", "50%", "0x1p-1", "+0.5"}) {
    EXPECT_TRUE(mentions(refusal("lifetime_jitter", text), "lifetime_jitter must be a number from 0 to 1")) << text;
  }
}

TEST(ConfiguredChoices, AreNamedAsInTheHeader) {
  EXPECT_EQ(from("durability", "normal").durability, Durability::normal);
  EXPECT_EQ(from("locking", "exclusive").locking, Locking::exclusive);
  EXPECT_EQ(from("locking", "shared").locking, Locking::shared);
  EXPECT_EQ(from("warm_up", "at_start").upkeep.warm_up, WarmUp::at_start);
  EXPECT_EQ(from("validate_on_acquire", "if_idle_longer_than").upkeep.validate_on_acquire,
            ValidateOnAcquire::if_idle_longer_than);
  EXPECT_EQ(from("validate_on_acquire", "always").upkeep.validate_on_acquire, ValidateOnAcquire::always);
  EXPECT_EQ(from("validate_on_release", "yes").upkeep.validate_on_release, ValidateOnRelease::yes);
  EXPECT_EQ(from("overstaying", "interrupted").upkeep.overstaying, Overstaying::interrupted);
  EXPECT_EQ(from("maintenance", "by_hand").upkeep.maintenance, Maintenance::by_hand);
  EXPECT_EQ(refusal("durability", "Full"), "durability must be full or normal");
  EXPECT_EQ(refusal("locking", "Exclusive"), "locking must be shared or exclusive");
  EXPECT_EQ(refusal("validate_on_acquire", ""), "validate_on_acquire must be never, if_idle_longer_than or always");
  EXPECT_EQ(refusal("breaker", "true"), "breaker must be on or off");
}

TEST(ConfiguredPaths, HoldNoNulByte) {
  EXPECT_EQ(from("path", "file:a?b=c").path, "file:a?b=c");
  EXPECT_EQ(refusal("path", std::string("a\0b", 3)), "path must be a path without NUL bytes");
}

// --- keys

TEST(UnknownKeys, AreNamedWithTheOnesThatAreAllowed) {
  const std::string message = refusal("colour", "blue");
  EXPECT_TRUE(mentions(message, R"(there is no key "colour". Allowed are path, mode, readers, )")) << message;
  EXPECT_TRUE(mentions(message, "fallback and health_interval")) << message;
  EXPECT_FALSE(mentions(message, "did you mean")) << message;
}

TEST(UnknownKeys, AreComparedWithThoseThatAreKnown) {
  struct Case {
    std::string given;
    std::string meant;
  };
  const Case kCases[] = {{"reader", "readers"},
                         {"Readers", "readers"},
                         {"raeders", "readers"},
                         {"reeders", "readers"},
                         {"READERS", "readers"},
                         {"busy-timeout", "busy_timeout"},
                         {"busytimeout", "busy_timeout"},
                         {"min_idle_", "min_idle"},
                         {"pth", "path"},
                         {"paht", "path"},
                         {"aquire_timeoutt", "acquire_timeout"}};
  for (const Case& one : kCases) {
    EXPECT_TRUE(mentions(refusal(one.given, "1"), "; did you mean " + one.meant + "? Allowed are ")) << one.given;
  }
  for (const char* const far : {"", "p", "pt", "rds", "breakfast", "busy_timeout_ms"}) {
    EXPECT_FALSE(mentions(refusal(far, "1"), "did you mean")) << far;
  }
}

TEST(UnknownKeys, AreShownShortenedAndWithoutControlCharacters) {
  EXPECT_TRUE(mentions(refusal(std::string(60, 'k'), ""), "\"" + std::string(60, 'k') + "\""));
  EXPECT_TRUE(mentions(refusal(std::string(61, 'k'), ""), "\"" + std::string(60, 'k') + "...\""));
  EXPECT_TRUE(mentions(refusal("a\n\x1b[31m\x7f\xc3\xbc", ""), "\"a??[31m???\""));
  EXPECT_TRUE(mentions(refusal_of_uri("file:a?%0Ab=1"), "\"?b\""));
  EXPECT_TRUE(mentions(refusal(std::string("a\0b", 3), ""), "\"a?b\""));
}

// --- the environment

TEST(Environment, RefusesAVariableThatIsNoKey) {
  const Variable variable("REDERS", "hunter2");
  const std::string message = refusal_of_environment();
  EXPECT_TRUE(mentions(message,
                       R"(there is no key "SQLANE_TEST_REDERS"; did you mean SQLANE_TEST_READERS? Allowed are )"
                       "SQLANE_TEST_PATH, SQLANE_TEST_MODE, SQLANE_TEST_READERS"))
      << message;
  EXPECT_FALSE(mentions(message, "hunter2"));
}

TEST(Environment, RefusesKeysInSmallLettersAndThePrefixAlone) {
  {
    const Variable variable("readers", "1");
    EXPECT_TRUE(mentions(refusal_of_environment(), "there is no key \"SQLANE_TEST_readers\""));
  }
  const Variable variable("", "1");
  EXPECT_TRUE(mentions(refusal_of_environment(), "there is no key \"SQLANE_TEST_\""));
}

TEST(Environment, NamesTheVariableWhoseValueIsRefused) {
  const Variable variable("READERS", "hunter2");
  const std::string message = refusal_of_environment();
  EXPECT_TRUE(message.starts_with("SQLANE_TEST_READERS must be a whole number")) << message;
  EXPECT_FALSE(mentions(message, "hunter2"));
}

TEST(Environment, LeavesOthersAlone) {
  const Variable variable("READERS", "3=4");
  EXPECT_EQ(shown(Options::from_environment("SQLANE_ELSE_")), shown(Options()));
  EXPECT_EQ(shown(Options::from_environment("QLANE_TEST_")), shown(Options()));
  EXPECT_EQ(shown(Options::from_environment("SQLANE_TEST_READERS_OF_ANOTHER_PROGRAM_")), shown(Options()));
}

TEST(Environment, TakesValuesWithAnEqualsSign) {
  const Variable variable("PATH", "a=b");
  EXPECT_EQ(Options::from_environment(kPrefix).path, "a=b");
}

TEST(Environment, NeedsAPrefixThatANameCanBeginWith) {
  for (const char* const prefix : {"", "SQLANE_TEST_PATH="}) {
    const UsageError error = error_of<UsageError>([&] { static_cast<void>(Options::from_environment(prefix)); });
    EXPECT_TRUE(mentions(error, "prefix of environment variables must not be empty")) << error.what();
  }
}

// An environment made by hand, as another program can leave it to this one.
class EnvironmentTest : public ::testing::Test {
 protected:
  ~EnvironmentTest() override { environ = before_; }

  std::string first = "SQLANE_TEST_READERS=1";
  std::string second = "SQLANE_TEST_READERS=2";
  std::string no_variable = "SQLANE_TEST_READERS";

 private:
  char** const before_ = environ;
};

TEST_F(EnvironmentTest, IsRefusedWithAVariableThatIsThereTwice) {
  char* variables[] = {first.data(), second.data(), nullptr};
  environ = variables;
  EXPECT_EQ(refusal_of_environment(), "SQLANE_TEST_READERS is given twice");
}

TEST_F(EnvironmentTest, MayHoldWhatIsNoVariable) {
  char* variables[] = {no_variable.data(), second.data(), nullptr};
  environ = variables;
  EXPECT_EQ(Options::from_environment(kPrefix).readers, 2U);
}

TEST_F(EnvironmentTest, MayBeMissing) {
  environ = nullptr;  // as clearenv() leaves it
  EXPECT_EQ(shown(Options::from_environment(kPrefix)), shown(Options()));
}

// --- URIs

TEST(Uri, HoldsAPath) {
  EXPECT_EQ(path_of("file:app.db"), "app.db");
  EXPECT_EQ(path_of("file:folder/app.db"), "folder/app.db");
  EXPECT_EQ(path_of("file:/a/b"), "/a/b");
  EXPECT_EQ(path_of("file:///a/b"), "/a/b");
  EXPECT_EQ(path_of("file://localhost/a/b"), "/a/b");
  EXPECT_EQ(path_of("file:////a/b"), "//a/b");
  EXPECT_EQ(path_of("file:a:b"), "a:b");
  EXPECT_EQ(path_of("file:a//b"), "a//b");
  EXPECT_EQ(path_of("file:"), "");
  EXPECT_EQ(path_of("file://"), "");
  EXPECT_EQ(path_of("file:a+b"), "a+b");
  EXPECT_EQ(path_of("file:a%3fb%3F%25%20%c3%BC%0a"), "a?b?% \xc3\xbc\n");
  EXPECT_EQ(path_of("file:%2F%2Fhost/a"), "//host/a");
  EXPECT_EQ(path_of("file:a&b=c"), "a&b=c");
}

TEST(Uri, HoldsKeysAndValues) {
  const Options options = Options::from_uri("file:app.db?%72eaders=%38&fallback=a+b%26c?d=e/%2525&durability=normal");
  EXPECT_EQ(options.readers, 8U);
  EXPECT_EQ(options.fallback, "a+b&c?d=e/%25");
  EXPECT_EQ(options.durability, Durability::normal);
}

TEST(Uri, RefusesWhatIsNone) {
  struct Case {
    std::string uri;
    std::string message;
  };
  const Case kCases[] = {
      {"", "begin with \"file:\""},
      {"app.db", "begin with \"file:\""},
      {"FILE:app.db", "begin with \"file:\""},
      {" file:app.db", "begin with \"file:\""},
      {"http://a/b", "begin with \"file:\""},
      {"file://server/a", "no host but localhost"},
      {"file://app.db", "no host but localhost"},
      {"file://localhost.example/a", "no host but localhost"},
      {"file://localhost:80/a", "no host but localhost"},
      {"file:a#b", "fragment"},
      {"file:a?readers=1#b", "fragment"},
      {"file:a%", "path in a URI: \"%\" must be followed by two hexadecimal digits"},
      {"file:a%2", "path in a URI: \"%\" must be"},
      {"file:a%2g", "path in a URI: \"%\" must be"},
      {"file:a%g2", "path in a URI: \"%\" must be"},
      {"file:a%+2", "path in a URI: \"%\" must be"},
      {"file:a%%41", "path in a URI: \"%\" must be"},
      {"file:a?readers=%", "readers in a URI: \"%\" must be"},
      {"file:a?readers%=1", "a key in a URI: \"%\" must be"},
      {"file:a%00b", "path in a URI must not hold a NUL byte"},
      {std::string("file:a\0b", 8), "path in a URI must not hold a NUL byte"},
      {"file:a?fallback=b%00", "fallback in a URI must not hold a NUL byte"},
      {"file:a?readers%00=1", "a key in a URI must not hold a NUL byte"},
      {"file:a?", "a key in a URI must be followed by \"=\" and a value"},
      {"file:a?readers", "readers in a URI must be followed by \"=\""},
      {"file:a?readers=1&", "a key in a URI must be followed by"},
      {"file:a?&readers=1", "a key in a URI must be followed by"},
      {"file:a?readers=1&&async_queue=1", "a key in a URI must be followed by"},
      {"file:a?=1", "a key in a URI is missing before \"=\""},
      {"file:a?readers=1&readers=1", "readers is given twice"},
      {"file:a?readers=1&%72eaders=2", "readers is given twice"},
      {"file:a?path=b", "path cannot be set behind \"?\""},
      {"file:?path=b", "path cannot be set behind \"?\""},
      {"file:a?%70ath=b", "path cannot be set behind \"?\""},
      {"file:a?colour=blue", "there is no key \"colour\". Allowed are mode, readers, "},
      {"file:a?colour=%", "there is no key \"colour\""},
      {"file:a?readers=+1", "readers must be a whole number"},
  };
  for (const Case& one : kCases) {
    const std::string message = refusal_of_uri(one.uri);
    EXPECT_TRUE(mentions(message, one.message)) << one.uri << ": " << message;
  }
}

TEST(Uri, IsWrittenShortAndInOrder) {
  EXPECT_EQ(Options().to_uri(), "file:");
  Options options;
  options.path = "/srv/my notes.db";
  EXPECT_EQ(options.to_uri(), "file:/srv/my%20notes.db");
  options.fallback = "/srv/r&d.db";
  options.readers = 8;
  options.busy_timeout = 90s;
  options.page_cache = 1U << 20U;
  options.batch.bytes = 1000;
  options.statement_cache = 0;
  options.batch.run_time = 0us;
  options.health_interval = 7200s;
  options.upkeep.breaker.reset();
  options.upkeep.adaptive_size.emplace();
  options.upkeep.lifetime_jitter = 0.25;
  EXPECT_EQ(
      options.to_uri(),
      "file:/srv/"
      "my%20notes.db?readers=8&busy_timeout=90s&statement_cache=0&page_cache=1MiB&batch_run_time=0ms&batch_bytes=1000&"
      "lifetime_jitter=0.25&breaker=off&adaptive_size=on&fallback=%2Fsrv%2Fr%26d.db&health_interval=2h");
}

TEST(Uri, HoldsNoBytesWithoutAUnit) {
  Options options;
  options.page_cache = 0;
  EXPECT_EQ(options.to_uri(), "file:?page_cache=0");
}

TEST(Uri, HoldsEveryPath) {
  for (const std::string path : {"",       "a", "/",  "//",  "///", "//host/a",    "//localhost/a", "/a//b/",   "a:b/c",
                                 "file:a", "?", "#",  "%41", "a b", "\n",          "\xc3\xbc",      "\xff\xfe", "a=b&c",
                                 "+",      "~", "\\", "..",  "./a", "a?readers=8", "\x01\x7f"}) {
    Options options;
    options.path = path;
    options.fallback = path;
    const std::string uri = options.to_uri();
    EXPECT_EQ(shown(Options::from_uri(uri)), shown(options)) << uri;
    EXPECT_EQ(uri.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/:?&="),
              std::string::npos)
        << uri;
  }
}

TEST(Uri, IsRefusedToOptionsThatTextCannotHold) {
  const auto refusal_of = [](const auto& change) -> std::string {
    Options options;
    change(options);
    return error_of<UsageError>([&] { static_cast<void>(options.to_uri()); }).what();
  };
  EXPECT_TRUE(
      mentions(refusal_of([](Options& o) { o.acquire_timeout = -5s; }), ": acquire_timeout must be a duration"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.batch.run_time = std::chrono::microseconds::min(); }),
                       ": batch_run_time must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.health_interval = -1ms; }), ": health_interval must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.upkeep.lifetime_jitter = std::nan(""); }), ": lifetime_jitter"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.upkeep.lifetime_jitter = 1.5; }), ": lifetime_jitter must be"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.durability = static_cast<Durability>(9); }), ": durability must"));
  EXPECT_TRUE(mentions(refusal_of([](Options& o) { o.path = std::string("a\0b", 3); }), ": path must be"));
}

// --- secrets

TEST(Messages, NeverShowAValue) {
  const std::string secret = "hunter2 hunter2";
  for (const detail::ConfigurationKey& key : detail::configuration_keys()) {
    try {
      static_cast<void>(from(std::string(key.name), secret));
      EXPECT_TRUE(key.name == "path" || key.name == "fallback" || key.name == "warm_up_query") << key.name;
    } catch (const UsageError& error) {
      EXPECT_TRUE(mentions(error, key.name)) << error.what();
      EXPECT_FALSE(mentions(error, "hunter2")) << error.what();
    }
  }
  for (const std::string_view uri :
       {"hunter2", "http://hunter2/", "file://hunter2/", "file:hunter2%", "file:hunter2?readers=x", "file:hunter2#",
        "file:a?fallback=b&hunter2", "file:a?fallback=hunter2%zz", "file:a?fallback=hunter2&fallback=hunter2",
        "file:a?readers=hunter2", "file:a?colour=hunter2", "file:a?path=hunter2", "file:a?=hunter2",
        "file:a?fallback=b#hunter2", "file:a?breaker=off&breaker_failures=1&fallback=hunter2"}) {
    const std::string message = refusal_of_uri(uri);
    EXPECT_FALSE(mentions(message, "hunter2")) << message;
  }
}

// --- at random

// Bytes that mean something somewhere, and others.
std::string random_text(Random& random, std::size_t most) {
  constexpr std::string_view kLikely = "%?#&=/:+ ~.\n\\\"09afAFzZ\xc3\xbc\x01\x7f\xff";
  std::string text(random() % (most + 1), ' ');
  for (char& c : text) {
    do {
      c = random() % 4 == 0 ? static_cast<char>(random() % 256) : kLikely[random() % kLikely.size()];
    } while (c == '\0');
  }
  return text;
}

// A number of any magnitude, often the largest or a round one.
std::uint64_t random_number(Random& random, std::uint64_t most) {
  constexpr std::uint64_t kRound[] = {1, 1000, 60'000, 3'600'000, 1024, 1U << 20U, 1U << 30U};
  const std::uint64_t number = random() >> (random() % 64);
  switch (random() % 4) {
    case 0: return std::min(number, most);
    case 1: return most - std::min(number, most) / 1024 / 1024;
    default: return number % 1000 * kRound[random() % std::size(kRound)] % most;
  }
}

Options random_options(Random& random) {
  Options options;
  options.upkeep.breaker = random() % 2 == 0 ? std::optional<Breaker>() : Breaker();
  options.upkeep.adaptive_size = random() % 2 == 0 ? std::optional<AdaptiveSize>() : AdaptiveSize();
  const auto draw = [&]<class T>(const auto& self, T& value) -> void {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(random() % kEnumerators<T>);
    } else if constexpr (std::is_same_v<T, double>) {
      value = std::ldexp(static_cast<double>(random() >> 11U),
                         -53 - static_cast<int>(random() % 4 == 0 ? random() % 1021 : 0));
    } else if constexpr (std::is_integral_v<T>) {
      value = random_number(random, std::numeric_limits<T>::max());
    } else if constexpr (is_text_itself<T>) {
      value = random_text(random, 20);
    } else if constexpr (is_optional<T>) {
      value.reset();
      if (random() % 3 != 0) self(self, value.emplace());
    } else {
      value = T(static_cast<std::int64_t>(random_number(random, std::numeric_limits<std::int64_t>::max())));
    }
  };
  for_each_text(options, [&]<class T>(T&& field) {
    if constexpr (!requires { field.at; }) {
      if (random() % 2 == 0) draw(draw, field);
    }
  });
  return options;
}

TEST(RandomOptions, ReadBackEqual) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 500; ++i) {
    const Options options = random_options(random);
    const std::string uri = options.to_uri();
    ASSERT_EQ(shown(Options::from_uri(uri)), shown(options)) << uri;

    Map values;
    for (const detail::ConfigurationKey& key : detail::configuration_keys()) {
      const bool is_on = key.part_of.empty() || values.at(std::string(key.part_of)) == "on";
      if (is_on) values.emplace(key.name, key.write(options));
    }
    // All is said, so that nothing is left of the base.
    ASSERT_EQ(shown(Options::from_map(values, random_options(random))), shown(options)) << uri;
  }
}

// Either it is one, and then reads back equal when written, or it is refused.
void expect_uri_or_refusal(const std::string& uri, int& read) {
  try {
    const Options options = Options::from_uri(uri);
    ++read;
    ASSERT_EQ(shown(Options::from_uri(options.to_uri())), shown(options));
  } catch (const UsageError& error) {
    for (const char c : std::string_view(error.what())) ASSERT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
  }
}

TEST(RandomUris, AreReadOrRefused) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  int read = 0;
  for (int i = 0; i < 3000 && !HasFatalFailure(); ++i) {
    std::string uri = i % 10 == 0 ? "file:" + random_text(random, 40) : random_options(random).to_uri();
    for (std::size_t changes = random() % 4; changes > 0 && !uri.empty(); --changes) {
      const std::size_t at = random() % uri.size();
      switch (random() % 5) {
        case 0: uri[at] = static_cast<char>(random() % 256); break;
        case 1: uri.erase(at, random() % 8); break;
        case 2: uri.insert(at, random_text(random, 4)); break;
        case 3: uri.insert(at, uri.substr(random() % uri.size(), random() % 16)); break;
        default: uri.resize(at); break;
      }
    }
    expect_uri_or_refusal(uri, read);
    if (HasFatalFailure()) ADD_FAILURE() << ::testing::PrintToString(uri);
  }
  EXPECT_GT(read, 500);  // a quarter was not changed
  EXPECT_LT(read, 2900);
}

TEST(LongUris, AreReadOrRefused) {
  const std::string long_text(1U << 20U, 'a');
  EXPECT_EQ(path_of("file:" + long_text), long_text);
  EXPECT_LT(refusal_of_uri("file:a?" + long_text + "=1").size(), 2000U);
  EXPECT_LT(refusal_of_uri("file:a?readers=" + std::string(1U << 20U, '9')).size(), 200U);
}

}  // namespace
}  // namespace sqlane
