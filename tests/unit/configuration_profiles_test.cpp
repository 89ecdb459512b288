#include <chrono>
#include <memory>
#include <string>

#include "support/configuration_sources.hpp"
#include "support/expect_error.hpp"
#include "support/option_fields.hpp"

namespace sqlane {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::kPrefix;
using testing::mentions;
using testing::refusal_of_uri;
using testing::shown;
using testing::Variable;

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

}  // namespace
}  // namespace sqlane
