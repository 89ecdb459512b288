#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <type_traits>

#include "database/configuration.hpp"
#include "support/option_fields.hpp"

namespace sqlane {
namespace {

using testing::for_each_text;
using testing::is_optional;
using testing::is_text_itself;
using testing::shown;

using Map = std::map<std::string, std::string>;

using Random = std::mt19937_64;

template <class E>
constexpr int kEnumerators = 2;
template <>
constexpr int kEnumerators<ValidateOnAcquire> = 3;

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

}  // namespace
}  // namespace sqlane
