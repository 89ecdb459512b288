#include <string>

#include "database/configuration.hpp"
#include "support/configuration_sources.hpp"
#include "support/expect_error.hpp"

namespace sqlane {
namespace {

using testing::from;
using testing::mentions;
using testing::refusal;
using testing::refusal_of_uri;

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

}  // namespace
}  // namespace sqlane
