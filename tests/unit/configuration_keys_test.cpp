#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "database/configuration.hpp"
#include "support/configuration_sources.hpp"
#include "support/option_fields.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::for_each_text;
using testing::is_optional;
using testing::is_text_itself;
using testing::kPrefix;
using testing::shown;
using testing::Variable;

using Map = std::map<std::string, std::string>;

// With all that is switched.
Options everything_on() {
  Options options;
  options.upkeep.breaker.emplace();
  options.upkeep.adaptive_size.emplace();
  return options;
}

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
    } else if constexpr (std::is_same_v<Field, bool>) {
      field = !field;
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

}  // namespace
}  // namespace sqlane
